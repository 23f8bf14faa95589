/** Which snapshots are wanted, and why: by policies, pins, and because they are the newest of their dataset. */
import type { Guid } from '../../words.ts';
import { compareText } from '../order.ts';
import type { Chains } from './chains.ts';
import type { RetentionEdge } from './edge.ts';
import type { Place } from './places.ts';
import { isFor, type Policy } from './policy.ts';
import type { Because, Counted, ReadyPolicy } from './rules.ts';

/** What keeps a snapshot besides policies. */
export interface PinnedSnapshot {
  readonly guid: Guid;
  /** ISO 8601; `null`: without an end. */
  readonly until: string | null;
  readonly legal: boolean;
}

/** Wanted snapshots, by number, with all reasons. */
export class Wanted {
  readonly #reasons = new Map<number, Because[]>();

  add(snapshot: number, why: Because): void {
    const reasons = this.#reasons.get(snapshot);
    if (!reasons) this.#reasons.set(snapshot, [why]);
    else if (!reasons.includes(why)) reasons.push(why);
  }

  /** All of them. */
  snapshots(): Iterable<number> {
    return this.#reasons.keys();
  }

  /** Why one is wanted. */
  because(snapshot: number): Because[] {
    return this.#reasons.get(snapshot) ?? [];
  }
}

const NEWEST: Because = { reason: 'newest', policy: null };
const NO_POLICY: Because = { reason: 'no-policy', policy: null };
const PINNED: Because = { reason: 'pinned', policy: null };
const LEGAL: Because = { reason: 'legal', policy: null };

/**
 * A snapshot that was backed up so long after (or before) it says that it was made does not compete
 * with those that were backed up in time, milliseconds: whoever may store backups cannot make
 * snapshots of the past go by storing others that seem to be of then.
 */
const IN_TIME = 2 * 86_400_000;

/** Adds what the policies keep of datasets that are counted together. */
export function wantBy(
  policies: readonly ReadyPolicy[],
  places: readonly Place[],
  chains: Chains,
  now: number,
  wanted: Wanted,
): void {
  const want = ({ snapshot }: Counted, why: Because): void => wanted.add(snapshot, why);
  const asked = policies.filter(({ policy }) => places.some((place) => mayApply(policy, place, chains)));
  for (const snapshots of countedOf(places, chains)) {
    const newest = snapshots.find(({ restorable }) => restorable);
    if (newest) want(newest, NEWEST);
    const uncovered = new Set(snapshots);
    for (const ready of asked) {
      const meant = places.some((place) => isFor(ready.policy, place))
        ? snapshots
        : snapshots.filter(({ lineage }) => ready.policy.lineages.includes(lineage));
      if (meant === snapshots) uncovered.clear();
      for (const snapshot of meant) uncovered.delete(snapshot);
      ready.keep(meant, now, want);
    }
    for (const snapshot of uncovered) want(snapshot, NO_POLICY);
  }
}

/** Adds what pins keep. */
export function wantPinned(
  pins: readonly PinnedSnapshot[],
  { graph }: Chains,
  now: number,
  wanted: Wanted,
): void {
  for (const { guid, until, legal } of pins) {
    const snapshot = graph.snapshot(guid);
    const isOver = !legal && until !== null && Date.parse(until) <= now;
    if (snapshot >= 0 && !isOver) wanted.add(snapshot, legal ? LEGAL : PINNED);
  }
}

/** Whether a policy is for all snapshots of a place, or for some of them. */
function mayApply(policy: Policy, place: Place, { graph }: Chains): boolean {
  if (isFor(policy, place)) return true;
  const isOfLineage = (number: number) => policy.lineages.includes(graph.edge(number).lineage);
  return policy.lineages.length > 0 && place.backups.some(isOfLineage);
}

/** The snapshots, the newest first: those that were backed up in time, and the others. */
function countedOf(places: readonly Place[], chains: Chains): Counted[][] {
  const { graph } = chains;
  const firsts = new Map<number, RetentionEdge>();
  for (const { backups } of places) {
    for (const number of backups) {
      const edge = graph.edge(number);
      const snapshot = graph.to[number] ?? -1;
      const first = firsts.get(snapshot);
      if (!first || edge.backup < first.backup) firsts.set(snapshot, edge);
    }
  }
  const parts: [inTime: [number, RetentionEdge][], others: [number, RetentionEdge][]] = [[], []];
  for (const first of firsts) parts[isInTime(first[1]) ? 0 : 1].push(first);
  return parts.map((part) =>
    part
      .sort(([, a], [, b]) => b.created - a.created || compareText(b.backup, a.backup))
      .map(([snapshot, { lineage, created }]) => {
        return { snapshot, lineage, moment: created * 1000, restorable: chains.end(snapshot) >= 0 };
      }),
  );
}

function isInTime({ created, committed }: RetentionEdge): boolean {
  return Math.abs(Date.parse(committed) - created * 1000) <= IN_TIME;
}
