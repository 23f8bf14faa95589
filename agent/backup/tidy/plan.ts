/** What goes from the source: decided here, purely, printed by `--dry-run`, done by `tidy.ts`. */
import type { KnownSnapshot } from '../../../catalog/protocol/protocol.ts';
import { type Guid, guidOf } from '../../../catalog/words.ts';
import type { PointFacts, SourceFacts } from '../../zfs/list.ts';
import {
  bookmarkCommand,
  destroyBookmarkCommand,
  destroyCommand,
  HOLD_TAG,
  releaseCommand,
  snapshotOf,
} from '../../zfs/snapshot.ts';
import { isOwn, isOwnBookmark, isRefresh } from './names.ts';

/** A snapshot of ours that goes. */
export interface Going {
  /** The part after `@`. */
  readonly snapshot: string;
  /** Whose name it was when it was looked at; `null`: it is the target, which is still to be taken. */
  readonly guid: Guid | null;
  /** The bookmark that is made before; `null`: it has one, or none is needed. */
  readonly mark: string | null;
  /** Somebody holds it: our hold is released before, any other keeps it. */
  readonly held: boolean;
}

/** One that would go, and stays. */
export interface Staying {
  readonly snapshot: string;
  readonly reason: string;
}

/** What is cleared at one dataset, in this order. */
export interface Tidying {
  readonly dataset: string;
  readonly destroy: readonly Going[];
  /** Bookmarks, the parts after `#`. */
  readonly forget: readonly string[];
  readonly stays: readonly Staying[];
}

/** How much stays on the source. */
export interface KeepOnSource {
  /** So many of our own snapshots that are stored; `undefined`: all. */
  readonly snapshots: number | undefined;
  /** So many of our own bookmarks that could be the base of a backup. */
  readonly bookmarks: number;
}

/** Bookmarks that stay where nothing else is said: the newest is the next base, the others are for when the repository loses some. */
export const KEPT_BOOKMARKS = 10;

/** Stands for a snapshot that is still to be taken: ZFS gives none this GUID. */
export const FUTURE = guidOf(0n);

/** What {@link planTidying} and {@link planTemporary} look at besides a dataset's snapshots and bookmarks. */
export interface TidyFacts {
  readonly known: readonly KnownSnapshot[];
  /** Snapshots and bases of backups that are open: those are theirs. */
  readonly open: ReadonlySet<Guid>;
  /** The tags of the holds on a snapshot (`pool/dataset@name`), where they were asked. */
  readonly holds: ReadonlyMap<string, readonly string[]>;
  /** Temporary snapshots (`pool/dataset@name`) whose process is at them. */
  readonly atWork: ReadonlySet<string>;
}

/**
 * What goes once `target` is stored and bookmarked: a temporary target itself, of our own snapshots
 * that can be restored all but the newest few, and bookmarks that no backup will go on from.
 *
 * @param target a snapshot of the dataset, perhaps one that is still to be taken.
 */
export function planTidying(
  { dataset, points }: Pick<SourceFacts, 'dataset' | 'points'>,
  target: PointFacts,
  keep: KeepOnSource,
  facts: TidyFacts,
): Tidying {
  const restorable = new Set(facts.known.filter((one) => one.restorable).map(({ guid }) => guid));
  restorable.add(target.guid);
  const others = points.filter(({ guid }) => guid !== target.guid);
  const own = [target, ...others]
    .filter(({ kind, name, guid }) => kind === 'snapshot' && isOwn(name) && restorable.has(guid))
    .toSorted(newestFirst);
  const beyond = (keep.snapshots === undefined ? [] : own.slice(keep.snapshots)).filter(
    ({ guid }) => !facts.open.has(guid),
  );
  const foreign = (point: PointFacts) => othersTags(point, facts);
  const going = [...beyond.filter((point) => foreign(point).length === 0), ...temporary(target)];
  const kept = keptBookmarks({ points, target, going, restorable }, keep.bookmarks);
  return {
    dataset,
    destroy: going.map((point) => ({
      snapshot: point.name,
      guid: point.guid === FUTURE ? null : point.guid,
      mark: point.guid !== target.guid && kept.has(point.guid) ? missingMark(points, point) : null,
      held: point.references > 0 || point.guid === target.guid,
    })),
    forget: points
      .filter(({ kind, name, guid }) => kind === 'bookmark' && isOwnBookmark(name) && restorable.has(guid))
      .filter(({ guid }) => !kept.has(guid) && !facts.open.has(guid))
      .map(({ name }) => name),
    stays: beyond.flatMap((point) => {
      const tags = foreign(point);
      return tags.length === 0 ? [] : [{ snapshot: point.name, reason: `it is held by ${tags.join(', ')}` }];
    }),
  };
}

/**
 * What earlier refreshes left: their temporary snapshots that no run is at and no open backup is of.
 * One that is stored is remembered by its bookmark.
 */
export function planTemporary({ dataset, points }: SourceFacts, facts: TidyFacts): Tidying {
  const stored = new Set(facts.known.filter((one) => one.restorable).map(({ guid }) => guid));
  const left = points.filter(
    ({ kind, name, guid }) =>
      kind === 'snapshot' &&
      isRefresh(name) &&
      !facts.open.has(guid) &&
      !facts.atWork.has(snapshotOf(dataset, name)),
  );
  const destroy = left.map((point) => ({
    snapshot: point.name,
    guid: point.guid,
    mark: stored.has(point.guid) ? missingMark(points, point) : null,
    held: point.references > 0,
  }));
  return { dataset, destroy, forget: [], stays: [] };
}

/** The dataset as it is once that is done. */
export function afterTidying(source: SourceFacts, { destroy, forget }: Tidying): SourceFacts {
  const gone = new Map(destroy.map((going) => [going.snapshot, going]));
  const points = source.points.flatMap((point): PointFacts[] => {
    if (point.kind === 'bookmark') return forget.includes(point.name) ? [] : [point];
    const going = gone.get(point.name);
    if (!going) return [point];
    return going.mark === null ? [] : [{ ...point, kind: 'bookmark', name: going.mark, references: 0 }];
  });
  return { ...source, points };
}

/** The commands, in the order in which they run. */
export function tidyCommandsOf({ dataset, destroy, forget }: Tidying): string[][] {
  return [
    ...destroy.flatMap(({ snapshot, mark, held }) => [
      ...(mark === null ? [] : [bookmarkCommand(dataset, snapshot, mark)]),
      ...(held ? [releaseCommand(snapshotOf(dataset, snapshot))] : []),
      destroyCommand(snapshotOf(dataset, snapshot)),
    ]),
    ...forget.map((name) => destroyBookmarkCommand(`${dataset}#${name}`)),
  ];
}

/** The name for a bookmark of a snapshot: the snapshot's own, unless another one's bookmark bears it. */
export function bookmarkName(
  points: readonly PointFacts[],
  { name, guid }: Pick<PointFacts, 'name' | 'guid'>,
): string {
  const taken = points.find((point) => point.kind === 'bookmark' && point.name === name);
  return !taken || taken.guid === guid ? name : `${name}-${guid}`;
}

/** The bookmark that a snapshot has, `undefined` where it has none. */
export function bookmarkOf(points: readonly PointFacts[], guid: Guid): PointFacts | undefined {
  return points.find((point) => point.kind === 'bookmark' && point.guid === guid);
}

function missingMark(points: readonly PointFacts[], point: PointFacts): string | null {
  return bookmarkOf(points, point.guid) ? null : bookmarkName(points, point);
}

function temporary(target: PointFacts): PointFacts[] {
  return isRefresh(target.name) ? [target] : [];
}

/** GUIDs of the newest ones that have a bookmark of ours now or get one; that of the target is the newest. */
function keptBookmarks(
  {
    points,
    target,
    going,
    restorable,
  }: {
    points: readonly PointFacts[];
    target: PointFacts;
    going: readonly PointFacts[];
    restorable: ReadonlySet<Guid>;
  },
  count: number,
): ReadonlySet<Guid> {
  const ours = points.filter(({ kind, name }) => kind === 'bookmark' && isOwnBookmark(name));
  const candidates = [target, ...ours, ...going].filter(({ guid }) => restorable.has(guid));
  const guids = new Set(candidates.toSorted(newestFirst).map(({ guid }) => guid));
  return new Set([...guids].slice(0, Math.max(1, count)));
}

function othersTags({ dataset, name }: PointFacts, { holds }: TidyFacts): string[] {
  return (holds.get(snapshotOf(dataset, name)) ?? []).filter((tag) => tag !== HOLD_TAG);
}

function newestFirst(one: PointFacts, other: PointFacts): number {
  return one.createtxg === other.createtxg ? 0 : one.createtxg > other.createtxg ? -1 : 1;
}
