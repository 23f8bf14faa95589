/** Which snapshots are wanted, and why: by policies, pins, and because they are the newest of their dataset. */
import { matches } from '../../patterns.ts';
import type { Guid } from '../../words.ts';
import { compareText } from '../order.ts';
import type { RetentionEdge } from './edge.ts';
import type { Place } from './places.ts';
import type { Policy } from './policy.ts';
import type { Because, Counted, ReadyPolicy } from './rules.ts';

/** What keeps a snapshot besides policies. */
export interface PinnedSnapshot {
  readonly guid: Guid;
  /** ISO 8601; `null`: without an end. */
  readonly until: string | null;
  readonly legal: boolean;
}

/** Wanted snapshots with all reasons. */
export type Wanted = Map<Guid, Because[]>;

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

/**
 * What the policies keep of datasets that are counted together.
 *
 * @param isRestorable whether a whole chain leads to a snapshot.
 */
export function wantedOf(
  places: readonly Place[],
  policies: readonly ReadyPolicy[],
  isRestorable: (guid: Guid) => boolean,
  now: number,
  wanted: Wanted,
): void {
  const want = ({ guid }: Counted, why: Because): void => {
    const reasons = wanted.get(guid);
    if (!reasons) wanted.set(guid, [why]);
    else if (!reasons.includes(why)) reasons.push(why);
  };
  const asked = policies.filter(({ policy }) => places.some((place) => mayApply(policy, place)));
  for (const snapshots of countedOf(places, isRestorable)) {
    const newest = snapshots.find(({ restorable }) => restorable);
    if (newest) want(newest, NEWEST);
    const covered = new Set<Guid>();
    for (const ready of asked) {
      const meant = places.some((place) => isFor(ready.policy, place))
        ? snapshots
        : snapshots.filter(({ lineage }) => ready.policy.lineages.includes(lineage));
      for (const { guid } of meant) covered.add(guid);
      ready.keep(meant, now, want);
    }
    if (covered.size === snapshots.length) continue;
    for (const snapshot of snapshots) if (!covered.has(snapshot.guid)) want(snapshot, NO_POLICY);
  }
}

/** Adds the snapshots that pins keep. */
export function wantPinned(pins: readonly PinnedSnapshot[], now: number, wanted: Wanted): void {
  for (const { guid, until, legal } of pins) {
    if (!legal && until !== null && Date.parse(until) <= now) continue;
    const why = legal ? LEGAL : PINNED;
    const reasons = wanted.get(guid);
    if (!reasons) wanted.set(guid, [why]);
    else if (!reasons.includes(why)) reasons.push(why);
  }
}

/** Whether a policy is for all snapshots of a place. */
function isFor({ datasets, hosts, lineages }: Policy, { host, dataset }: Place): boolean {
  if (datasets.length === 0 && hosts.length === 0 && lineages.length > 0) return false;
  return (
    (datasets.length === 0 || matches(datasets, dataset)) && (hosts.length === 0 || matches(hosts, host))
  );
}

/** The same, or for some of them. */
function mayApply(policy: Policy, place: Place): boolean {
  if (isFor(policy, place)) return true;
  return policy.lineages.length > 0 && place.edges.some(({ lineage }) => policy.lineages.includes(lineage));
}

/** The snapshots, the newest first: those that were backed up in time, and the others. */
function countedOf(places: readonly Place[], isRestorable: (guid: Guid) => boolean): Counted[][] {
  const firsts = new Map<Guid, RetentionEdge>();
  for (const { edges } of places) {
    for (const edge of edges) {
      const first = firsts.get(edge.to);
      if (!first || edge.backup < first.backup) firsts.set(edge.to, edge);
    }
  }
  const parts: [inTime: RetentionEdge[], others: RetentionEdge[]] = [[], []];
  for (const edge of firsts.values()) parts[isInTime(edge) ? 0 : 1].push(edge);
  return parts.map((edges) =>
    edges
      .sort((a, b) => b.created - a.created || compareText(b.backup, a.backup))
      .map(({ to: guid, lineage, created }) => {
        return { guid, lineage, moment: created * 1000, restorable: isRestorable(guid) };
      }),
  );
}

function isInTime({ created, committed }: RetentionEdge): boolean {
  return Math.abs(Date.parse(committed) - created * 1000) <= IN_TIME;
}
