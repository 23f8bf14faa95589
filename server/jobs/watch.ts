/**
 * Sees which datasets have become late and which agents are away, and which are not any more: each is said
 * once, in the journal.
 */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../catalog/clock.ts';
import type { CatalogIndex } from '../../catalog/index/catalog-index.ts';
import type { Fact } from '../../catalog/journal/entry.ts';
import {
  AGENT_AWAY,
  type AgentRow,
  type DatasetStatus,
  type StatusAnswer,
} from '../../catalog/protocol/agents.ts';
import type { Agents } from '../agents/agents.ts';
import type { Job } from './job.ts';

export interface WatchTools {
  readonly index: Pick<CatalogIndex, 'events'>;
  readonly journal: { record(by: string | null, ...facts: Fact[]): Promise<void> };
  /** How all datasets stand now. */
  readonly status: () => Promise<StatusAnswer>;
  readonly agents: Pick<Agents, 'list'>;
  readonly clock: Clock;
  readonly schedule: string | null;
}

/** A dataset on a host. */
interface Place {
  readonly host: string;
  readonly dataset: string;
}

type Heard = Extract<Fact, { kind: 'agent.away' | 'agent.away.over' }>;

/** What is said at once. */
const MOST_FACTS = 500;

/** The job `watch`. What was said before is read in the journal, so that a restart says nothing twice. */
export function watchJob({ index, journal, status, agents, clock, schedule }: WatchTools): Job {
  const started = clock.now();
  return {
    name: 'watch',
    exclusive: true,
    schedule,
    run: async () => {
      const datasets = transitions(await saidToBeLate(index), (await status()).datasets);
      // Who could not be heard because the service itself was away has so long to be heard again.
      const isListening = clock.now() - started >= AGENT_AWAY;
      const away = isListening ? agentTransitions(await saidOfAgents(index), agents.list()) : [];
      const facts = [...datasets, ...away].slice(0, MOST_FACTS);
      if (facts.length === 0) return null;
      await journal.record(null, ...facts);
      return inWords(facts);
    },
  };
}

function inWords(facts: readonly Fact[]): string {
  const count = (kind: Fact['kind']) => facts.filter((fact) => fact.kind === kind).length;
  const [late, lateOver, away, awayOver] = [
    count('late'),
    count('late.over'),
    count('agent.away'),
    count('agent.away.over'),
  ];
  return [
    ...(late + lateOver > 0 ? [`${late} datasets are late now, ${lateOver} not any more`] : []),
    ...(away + awayOver > 0 ? [`${away} agents are away now, ${awayOver} not any more`] : []),
  ].join('; ');
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

/**
 * The same of agents. Each service knows those that come to it: who is not known here may be heard of elsewhere,
 * and who was heard of elsewhere since is not away.
 */
export function agentTransitions(said: readonly Heard[], agents: readonly AgentRow[]): Fact[] {
  const last = new Map(said.map((fact) => [agentKey(fact), fact]));
  return agents.flatMap((row): Fact[] => {
    const { agent, host, seen, away } = row;
    const before = last.get(agentKey(row));
    const wasAway = before?.kind === 'agent.away';
    if (away === wasAway) return [];
    if (!away) return [{ kind: 'agent.away.over', agent, host, seen }];
    return before !== undefined && before.seen > seen ? [] : [{ kind: 'agent.away', agent, host, seen }];
  });
}

/** Those of which the journal's last word is that they are late. */
async function saidToBeLate(index: WatchTools['index']): Promise<Place[]> {
  const last = await lastWords(index, 'late', (fact) =>
    fact.kind === 'late' || fact.kind === 'late.over' ? keyOf(fact) : undefined,
  );
  return last.flatMap((fact) => (fact.kind === 'late' ? { host: fact.host, dataset: fact.dataset } : []));
}

async function saidOfAgents(index: WatchTools['index']): Promise<Heard[]> {
  const last = await lastWords(index, 'agent.away', (fact) => (isHeard(fact) ? agentKey(fact) : undefined));
  return last.filter(isHeard);
}

function isHeard(fact: Fact): fact is Heard {
  return fact.kind === 'agent.away' || fact.kind === 'agent.away.over';
}

/** The journal's last words of some kinds about each thing. @param about what a fact is about; `undefined`: none of them. */
async function lastWords(
  index: WatchTools['index'],
  kinds: string,
  about: (fact: Fact) => string | undefined,
): Promise<Fact[]> {
  const last = new Map<string, Fact>();
  for (let after: string | undefined; ; ) {
    const { events, next } = index.events({ kinds, limit: 1000, ...(after ? { after } : {}) });
    for (const { fact } of events) {
      const key = about(fact);
      // The newest come first.
      if (key !== undefined && !last.has(key)) last.set(key, fact);
    }
    if (next === null) break;
    after = next;
    await setImmediate();
  }
  return [...last.values()];
}

function keyOf({ host, dataset }: Place): string {
  return `${host}\0${dataset}`;
}

function agentKey({ agent, host }: { readonly agent: string; readonly host: string }): string {
  return `${agent}\0${host}`;
}
