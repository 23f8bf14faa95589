/** Which facts are told to whom. */
import { FACT_KINDS, type Fact, type FactKind } from '../../catalog/journal/entry.ts';

/** What can be asked for besides kinds of the journal: the facts that somebody should act on. */
const GROUPS: Readonly<Record<string, { readonly kinds: readonly FactKind[]; fits(fact: Fact): boolean }>> = {
  failure: { kinds: ['run.failed', 'job.ended', 'drilled'], fits: isFailure },
  late: { kinds: ['late', 'late.over', 'agent.away', 'agent.away.over'], fits: () => true },
  damage: { kinds: ['damaged'], fits: () => true },
};

/** All that `events` of a webhook or hook may name. */
export const EVENTS: readonly string[] = [...Object.keys(GROUPS), ...FACT_KINDS];

/**
 * Whether a fact is one of those that are asked for: a group, or a kind by its name.
 *
 * @example isTold(['late'], { kind: 'late.over', host: 'mds1', dataset: 'tank/home' }) // true
 */
export function isTold(events: readonly string[], fact: Fact): boolean {
  return events.some((event) => {
    const group = GROUPS[event];
    return group ? group.kinds.includes(fact.kind) && group.fits(fact) : event === fact.kind;
  });
}

/** The kinds among which they are. */
export function kindsOf(events: readonly string[]): FactKind[] {
  const wanted = new Set(events.flatMap((event): readonly string[] => GROUPS[event]?.kinds ?? [event]));
  return FACT_KINDS.filter((kind) => wanted.has(kind));
}

function isFailure(fact: Fact): boolean {
  if (fact.kind === 'job.ended') return fact.outcome === 'failed';
  return fact.kind === 'drilled' ? !fact.drill.passed : true;
}
