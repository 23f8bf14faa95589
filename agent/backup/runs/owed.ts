/**
 * What runs that were killed between two datasets owe: snapshots that were taken and never begun to be stored.
 * Decided here, purely: by the notes of this host, and by what the repository has of the same moment, which
 * also tells it of a pool that was imported here after its host died.
 */
import type { Guid } from '../../../catalog/words.ts';
import type { PointFacts, SourceFacts } from '../../zfs/list.ts';
import { snapshotOf } from '../../zfs/snapshot.ts';
import { isTogether, type MissingMembers } from '../resume/members.ts';
import { isOwn, isRefresh } from '../tidy/names.ts';
import type { NotedMember, NotedRun } from './notes.ts';

/** What {@link notedMembers} and {@link forsaken} look at. */
export interface OwedFacts {
  readonly sources: readonly SourceFacts[];
  /** Snapshots that the repository has. */
  readonly stored: ReadonlySet<Guid>;
  /** Snapshots of all backups that are open. */
  readonly open: ReadonlySet<Guid>;
  /** Snapshots (`pool/dataset@name`) that a run is at. */
  readonly atWork: ReadonlySet<string>;
}

/**
 * What notes of dead runs say of these datasets, whatever these are called by now: the oldest moment first.
 *
 * @example notedMembers(dead.flatMap(({ members }) => members), facts)[0]?.sources
 */
export function notedMembers(noted: readonly NotedMember[], facts: OwedFacts): MissingMembers[] {
  const once = new Map<string, { member: NotedMember; source: SourceFacts; point: PointFacts }>();
  for (const member of noted) {
    const found = holderOf(member, facts.sources);
    if (found && isUnclaimed(found.point, facts))
      once.set(snapshotOf(found.source.dataset, found.point.name), { member, ...found });
  }
  const together = Map.groupBy(once.values(), ({ member, point }) => `${member.set} ${point.name}`);
  return [...together.values()]
    .map((those) => ({
      set: those[0]?.member.set ?? null,
      snapshot: those[0]?.point.name ?? '',
      sources: those.map(({ source }) => source),
    }))
    .toSorted((one, other) => ageOf(one) - ageOf(other));
}

/**
 * Snapshots that zkeep took and holds, and that nobody is at: of those that are not stored, the repository may
 * have others of the same moment. `stored` need not be known for it.
 */
export function forsaken(facts: OwedFacts): PointFacts[] {
  return facts.sources.flatMap(({ points }) =>
    points.filter(
      (point) =>
        point.kind === 'snapshot' &&
        point.references > 0 &&
        (isOwn(point.name) || isRefresh(point.name)) &&
        isUnclaimed(point, facts),
    ),
  );
}

/** Snapshots and bookmarks of the same moment at all these datasets, each other's and its own. */
export function siblingsOf(
  point: PointFacts,
  sources: readonly SourceFacts[],
  isOneMoment: boolean,
): PointFacts[] {
  return sources.flatMap(({ points }) =>
    points.filter((other) => (isOneMoment ? other.name === point.name : isTogether(other, point))),
  );
}

/** Whether a run that is over noted something of these datasets. */
export function areConcerned(sources: readonly SourceFacts[], runs: readonly NotedRun[]): boolean {
  const names = new Set(sources.map(({ dataset }) => dataset));
  const guids = new Set(sources.flatMap(({ points }) => points.map(({ guid }) => guid)));
  return runs.some(
    ({ lives, members }) =>
      !lives &&
      members.some(
        ({ snapshot, guid }) => names.has(datasetOf(snapshot)) || (guid !== null && guids.has(guid)),
      ),
  );
}

/** The snapshot of a note, and where it is: at the dataset that it was taken of, else at one that has it by now. */
export function holderOf(
  { snapshot, guid }: NotedMember,
  sources: readonly SourceFacts[],
): { source: SourceFacts; point: PointFacts } | undefined {
  if (guid === null) return undefined;
  const holders = sources.flatMap((source) => {
    const point = source.points.find((one) => one.kind === 'snapshot' && one.guid === guid);
    return point ? [{ source, point }] : [];
  });
  return holders.find(({ source }) => source.dataset === datasetOf(snapshot)) ?? holders[0];
}

/** @example datasetOf('tank/a@daily') // 'tank/a' */
export function datasetOf(snapshot: string): string {
  return snapshot.slice(0, Math.max(0, snapshot.indexOf('@')));
}

function isUnclaimed({ guid, dataset, name }: PointFacts, { stored, open, atWork }: OwedFacts): boolean {
  return !stored.has(guid) && !open.has(guid) && !atWork.has(snapshotOf(dataset, name));
}

/** Seconds since 1970. */
function ageOf({ sources, snapshot }: MissingMembers): number {
  const created = sources.flatMap(({ points }) =>
    points.filter(({ kind, name }) => kind === 'snapshot' && name === snapshot).map((point) => point.created),
  );
  return Math.min(...created);
}
