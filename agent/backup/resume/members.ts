/** The rest of a set of which some members are stored, or were interrupted in the middle. */
import type { Guid, SetId } from '../../../catalog/words.ts';
import type { PointFacts, SourceFacts } from '../../zfs/list.ts';
import { poolOf } from '../../zfs/names.ts';
import { isOwn, isRefresh } from '../tidy/names.ts';

/** A member of a set of which something is stored. */
export interface Finished {
  readonly dataset: string;
  /** The snapshot's name, the part after `@`. */
  readonly snapshot: string;
  readonly set: SetId;
}

/** Snapshots of one moment that were never begun to be stored. */
export interface MissingMembers {
  /** `null`: they were taken at several moments, or one alone. */
  readonly set: SetId | null;
  /** The part after `@`. */
  readonly snapshot: string;
  readonly sources: readonly SourceFacts[];
}

/**
 * Finds the snapshots that were taken together with a finished one and are neither stored nor open.
 *
 * @param isOneMoment whether the same name alone says so (the datasets of a Lustre file system:
 *   nothing was opened before their moment was known to be one); else the pool has to.
 */
export function missingMembers(facts: {
  readonly finished: readonly Finished[];
  readonly sources: readonly SourceFacts[];
  /** Snapshots that the repository has. */
  readonly stored: ReadonlySet<Guid>;
  /** Snapshots of all backups that are open. */
  readonly open: ReadonlySet<Guid>;
  readonly isOneMoment: boolean;
}): MissingMembers[] {
  const once = new Map(facts.finished.map((finished) => [finished.set, finished]));
  return [...once.values()].flatMap(({ dataset, snapshot, set }) => {
    if (!isOwn(snapshot) && !isRefresh(snapshot)) return [];
    const first = pointOf(facts.sources, dataset, snapshot);
    const sources = facts.sources.filter((source) => {
      const point = pointIn(source, snapshot);
      if (!point || facts.stored.has(point.guid) || facts.open.has(point.guid)) return false;
      return facts.isOneMoment || (first !== undefined && isTogether(first, point));
    });
    return sources.length === 0 ? [] : [{ set, snapshot, sources }];
  });
}

/** By ZFS's own word: same pool, same transaction. */
export function isTogether(one: PointFacts, other: PointFacts): boolean {
  return poolOf(one.dataset) === poolOf(other.dataset) && one.createtxg === other.createtxg;
}

function pointOf(sources: readonly SourceFacts[], dataset: string, name: string): PointFacts | undefined {
  const source = sources.find((each) => each.dataset === dataset);
  // One that was temporary is gone by now; its bookmark tells its transaction, too.
  return source && (pointIn(source, name) ?? source.points.find((point) => point.name === name));
}

function pointIn({ points }: SourceFacts, name: string): PointFacts | undefined {
  return points.find((point) => point.kind === 'snapshot' && point.name === name);
}
