/** What a backup will do: decided here, purely, printed by `--dry-run`, done by `run.ts`. */
import { chooseBase } from '../../catalog/chain/base.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { KnownSnapshot } from '../../catalog/protocol/protocol.ts';
import type { Guid } from '../../catalog/words.ts';
import { freeName } from '../moments.ts';
import type { PointFacts, SourceFacts } from '../zfs/list.ts';
import { poolOf } from '../zfs/names.ts';
import { sendFlags } from '../zfs/send.ts';
import { snapshotCommand, snapshotOf } from '../zfs/snapshot.ts';
import { isOwn, isRefresh, refreshName } from './tidy/names.ts';
import {
  afterTidying,
  bookmarkName,
  bookmarkOf,
  FUTURE,
  KEPT_BOOKMARKS,
  type KeepOnSource,
  planTemporary,
  planTidying,
  type TidyFacts,
  type Tidying,
} from './tidy/plan.ts';

/** What was asked for. */
export interface BackupRequest {
  /** The snapshot to use, which must be there; `undefined`: take a new one. */
  readonly snapshot: string | undefined;
  readonly full: boolean;
  /** Milliseconds since 1970; names the new snapshot. */
  readonly now: number;
  /** The new snapshot is a temporary one, taken by this process. */
  readonly refresh?: { readonly process: number } | undefined;
  /** What stays on the source; by default all snapshots, and the newest bookmarks. */
  readonly keep?: KeepOnSource | undefined;
}

/** A base, as the source has it. */
export type Base = Pick<PointFacts, 'guid' | 'name' | 'kind'>;

/** One dataset's backup. */
export interface DatasetPlan {
  readonly dataset: string;
  readonly kind: 'full' | 'incremental' | 'already';
  /** Why it is full, or from which base, in words. */
  readonly reason: string;
  readonly from: Base | null;
  /** The part after `@`. */
  readonly snapshot: string;
  /** `null`: it is to be taken. */
  readonly guid: Guid | null;
  readonly flags: readonly string[];
  /** The bookmark of the base, where that is a snapshot; `null`: it has none, and cannot get one. */
  readonly remembered: string | null;
  /** That bookmark is made first: what is interrupted goes on from it, whoever destroys the base meanwhile. */
  readonly secures: boolean;
  /** Snapshots that need no hold any more once this is stored: itself, and those that older versions held on. */
  readonly release: readonly string[];
  /** The name of its bookmark. */
  readonly bookmark: string;
  /** What goes from the source then. */
  readonly tidying: Tidying;
  /**
   * What becomes of the snapshot when it does not become a backup: one that zkeep took for it is
   * destroyed, on any other our hold is released; `nothing`: a later run needs it as it is.
   */
  readonly undo: 'destroy' | 'release' | 'nothing';
}

/** Takes all snapshots of one pool at one moment. */
export interface TakeCommand {
  readonly pool: string;
  readonly command: readonly string[];
}

/** The whole backup. */
export interface BackupPlan {
  /** What earlier refreshes left of the datasets: it goes first. */
  readonly temporary: readonly Tidying[];
  /** Empty when a snapshot was named. */
  readonly take: readonly TakeCommand[];
  readonly datasets: readonly DatasetPlan[];
  /** Datasets below that do not have the snapshot that was named. */
  readonly leftOut: readonly string[];
}

/** What else is known of the source; nothing of it by default. */
const NOTHING_ELSE = { open: new Set<Guid>(), holds: new Map<string, string[]>(), atWork: new Set<string>() };
const KEEP_ALL: KeepOnSource = { snapshots: undefined, bookmarks: KEPT_BOOKMARKS };

/**
 * Plans the backup of datasets.
 *
 * @param roots the datasets that were named; others come from below them (`-r`).
 * @param recursive each root's snapshot command takes those below as well.
 * @param known what the repository knows of all their snapshots and bookmarks.
 * @param tidy what must not go from the source.
 * @throws {ZkeepError} `missing` when a root does not have the snapshot that was named.
 * @example planBackup({ sources, roots: ['tank/a'], recursive: false, known, request })
 */
export function planBackup(question: {
  readonly sources: readonly SourceFacts[];
  readonly roots: readonly string[];
  readonly recursive: boolean;
  readonly known: readonly KnownSnapshot[];
  readonly request: BackupRequest;
  readonly tidy?: Omit<TidyFacts, 'known'>;
}): BackupPlan {
  const { roots, recursive, known, request, tidy = NOTHING_ELSE } = question;
  const facts = { ...tidy, known };
  const left = question.sources.map((source) => planTemporary(source, facts));
  // The snapshot that is to be used is there, whoever took it.
  const temporary = left.map((one) => ({
    ...one,
    destroy: one.destroy.filter(({ snapshot }) => snapshot !== request.snapshot),
  }));
  const sources = question.sources.map((source, at) => {
    const first = temporary[at];
    return first ? afterTidying(source, first) : source;
  });
  const name = request.snapshot ?? newName(question.sources, request);
  const lacking =
    request.snapshot === undefined ? [] : sources.filter((source) => !snapshotNamed(source, name));
  const lackingRoot = lacking.find(({ dataset }) => roots.includes(dataset));
  if (lackingRoot) throw noSnapshot(lackingRoot, name);
  return {
    temporary: temporary.filter(({ destroy }) => destroy.length > 0),
    take: request.snapshot === undefined ? takeCommands(roots, recursive, name) : [],
    datasets: sources
      .filter((source) => !lacking.includes(source))
      .map((source) => planDataset(source, name, facts, request)),
    leftOut: lacking.map(({ dataset }) => dataset),
  };
}

function planDataset(
  source: SourceFacts,
  name: string,
  facts: TidyFacts,
  request: BackupRequest,
): DatasetPlan {
  const { dataset, points } = source;
  const there = snapshotNamed(source, name);
  const target = there ?? futureSnapshot(dataset, name);
  const flags = sendFlags(source);
  const { kind, base, reason } = chooseBase({
    dataset,
    source: there ? points : [...points, target],
    target: target.guid,
    known: facts.known,
    wants: { raw: source.encrypted, large_blocks: true },
    full: request.full,
  });
  const tidying =
    kind === 'already'
      ? { dataset, destroy: [], forget: [], stays: [] }
      : planTidying(source, target, request.keep ?? KEEP_ALL, facts);
  const stored = new Set(facts.known.map(({ guid }) => guid));
  return {
    dataset,
    kind,
    reason,
    ...baseOf(points, base),
    snapshot: name,
    guid: there?.guid ?? null,
    flags,
    release: kind === 'already' ? [] : heldNoLonger({ points, target, base, stored }, tidying),
    bookmark: bookmarkName(points, target),
    tidying,
    undo: there && !isRefresh(name) ? 'release' : 'destroy',
  };
}

/**
 * The plan for a snapshot whose backup was begun by a run that was interrupted.
 *
 * @param sent what that run sent: the snapshot, on which base, with which flags.
 * @param stored the repository has the snapshot, by another backup.
 */
export function planAgain(
  { dataset, points }: SourceFacts,
  sent: { readonly target: PointFacts; readonly base: PointFacts | null; readonly flags: readonly string[] },
  { reason, stored }: { readonly reason: string; readonly stored: boolean },
): DatasetPlan {
  const { target, base, flags } = sent;
  // What else goes from the source, the next backup decides, which follows.
  const tidying = planTidying({ dataset, points: [] }, target, KEEP_ALL, { ...NOTHING_ELSE, known: [] });
  return {
    dataset,
    kind: base ? 'incremental' : 'full',
    reason,
    ...baseOf(points, base),
    snapshot: target.name,
    guid: target.guid,
    flags,
    release: heldNoLonger({ points, target, base, stored: new Set() }, tidying),
    bookmark: bookmarkName(points, target),
    tidying,
    undo: isRefresh(target.name) || (isOwn(target.name) && !stored) ? 'destroy' : 'release',
  };
}

/** The base, and the bookmark by which it stays one when its snapshot goes. */
function baseOf(points: readonly PointFacts[], base: PointFacts | null) {
  if (base === null) return { from: null, remembered: null, secures: false };
  const { guid, name, kind } = base;
  const there = bookmarkOf(points, guid);
  const isSnapshot = kind === 'snapshot';
  return {
    from: { guid, name, kind },
    remembered: isSnapshot ? (there?.name ?? bookmarkName(points, base)) : null,
    secures: isSnapshot && !there,
  };
}

function newName(sources: readonly SourceFacts[], { now, refresh }: BackupRequest): string {
  const taken = (free: string) => sources.some((source) => snapshotNamed(source, free) !== undefined);
  return refresh ? refreshName(now, refresh.process, taken) : freeName('zkeep', now, taken);
}

function snapshotNamed({ points }: SourceFacts, name: string): PointFacts | undefined {
  return points.find((point) => point.kind === 'snapshot' && point.name === name);
}

function futureSnapshot(dataset: string, name: string): PointFacts {
  return { dataset, kind: 'snapshot', name, guid: FUTURE, createtxg: 1n << 64n, created: 0, references: 0 };
}

function takeCommands(roots: readonly string[], recursive: boolean, name: string): TakeCommand[] {
  const byPool = Map.groupBy(roots, poolOf);
  return [...byPool].map(([pool, datasets]) => {
    const snapshots = datasets.map((dataset) => snapshotOf(dataset, name));
    return { pool, command: snapshotCommand(snapshots, recursive) };
  });
}

/**
 * The snapshot itself, which has its bookmark by then, as the next base; the base's, and older ones of
 * ours that are stored: former versions held the newest until the next backup. Those that are not stored
 * may wait for their turn in another run.
 */
function heldNoLonger(
  {
    points,
    target,
    base,
    stored,
  }: {
    points: readonly PointFacts[];
    target: PointFacts;
    base: PointFacts | null;
    stored: ReadonlySet<Guid>;
  },
  { destroy }: Tidying,
): string[] {
  const older = points.filter(
    (point) =>
      point.kind === 'snapshot' &&
      point.references > 0 &&
      point.createtxg < target.createtxg &&
      (point.guid === base?.guid || (isOwn(point.name) && stored.has(point.guid))),
  );
  const going = new Set(destroy.map(({ snapshot }) => snapshot));
  return [...older.map(({ name }) => name), target.name].filter((name) => !going.has(name));
}

function noSnapshot({ dataset, points }: SourceFacts, name: string): ZkeepError {
  const newest = points.findLast(({ kind }) => kind === 'snapshot');
  return new ZkeepError('missing', 'backup.no-snapshot', `${dataset} has no snapshot @${name}`, {
    advice: newest
      ? `its newest is @${newest.name}; without --snapshot a new one is taken`
      : 'it has none at all; without --snapshot a new one is taken',
    facts: { dataset, snapshot: name },
  });
}
