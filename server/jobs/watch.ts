/** Sees which datasets have become late, and which are not any more: each is said once, in the journal. */
import { setImmediate } from 'node:timers/promises';
import type { CatalogIndex } from '../../catalog/index/catalog-index.ts';
import type { Fact } from '../../catalog/journal/entry.ts';
import type { DatasetStatus, StatusAnswer } from '../../catalog/protocol/agents.ts';
import type { Job } from './job.ts';

export interface WatchTools {
  readonly index: Pick<CatalogIndex, 'events'>;
  readonly journal: { record(by: string | null, ...facts: Fact[]): Promise<void> };
  /** How all datasets stand now. */
  readonly status: () => Promise<StatusAnswer>;
  readonly schedule: string | null;
}

/** A dataset on a host. */
interface Place {
  readonly host: string;
  readonly dataset: string;
}

/** What is said at once. */
const MOST_FACTS = 500;

/** The job `watch`. What was said before is read in the journal, so that a restart says nothing twice. */
export function watchJob({ index, journal, status, schedule }: WatchTools): Job {
  return {
    name: 'watch',
    exclusive: true,
    schedule,
    run: async () => {
      const facts = transitions(await saidToBeLate(index), (await status()).datasets).slice(0, MOST_FACTS);
      if (facts.length === 0) return null;
      await journal.record(null, ...facts);
      const late = facts.filter(({ kind }) => kind === 'late').length;
      return `${late} datasets are late now, ${facts.length - late} not any more`;
    },
  };
}

/**
 * What is to be said: of those that are late and were not said to be, and the other way round. A
 * dataset of which nothing is known any more is not late.
 */
export function transitions(said: readonly Place[], datasets: readonly DatasetStatus[]): Fact[] {
  const late = datasets.filter(({ age, objective, newest }) =>
    newest === null ? objective !== null : objective !== null && age !== null && age > objective,
  );
  const [before, now] = [new Set(said.map(keyOf)), new Set(late.map(keyOf))];
  return [
    ...late
      .filter((one) => !before.has(keyOf(one)))
      .map(({ host, dataset, newest, objective }): Fact => {
        return { kind: 'late', host, dataset, newest: newest?.created ?? null, objective: objective ?? 0 };
      }),
    ...said
      .filter((one) => !now.has(keyOf(one)))
      .map(({ host, dataset }): Fact => ({ kind: 'late.over', host, dataset })),
  ];
}

/** Those of which the journal's last word is that they are late. */
async function saidToBeLate(index: WatchTools['index']): Promise<Place[]> {
  const last = new Map<string, Place & { readonly isLate: boolean }>();
  for (let after: string | undefined; ; ) {
    const { events, next } = index.events({ kinds: 'late', limit: 1000, ...(after ? { after } : {}) });
    for (const { fact } of events) {
      if (fact.kind !== 'late' && fact.kind !== 'late.over') continue;
      const { host, dataset } = fact;
      const key = keyOf(fact);
      // The newest come first.
      if (!last.has(key)) last.set(key, { host, dataset, isLate: fact.kind === 'late' });
    }
    if (next === null) break;
    after = next;
    await setImmediate();
  }
  return [...last.values()].filter(({ isLate }) => isLate);
}

function keyOf({ host, dataset }: Place): string {
  return `${host}\0${dataset}`;
}
