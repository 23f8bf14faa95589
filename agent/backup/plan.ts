/** What a backup will do: decided here, purely, printed by `--dry-run`, done by `run.ts`. */
import { chooseBase } from '../../catalog/chain/base.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { KnownSnapshot } from '../../catalog/protocol/protocol.ts';
import { type Guid, guidOf } from '../../catalog/words.ts';
import { freeName } from '../moments.ts';
import type { PointFacts, SourceFacts } from '../zfs/list.ts';
import { poolOf } from '../zfs/names.ts';
import { sendCommand, sendFlags } from '../zfs/send.ts';
import {
  bookmarkCommand,
  holdCommand,
  releaseCommand,
  snapshotCommand,
  snapshotOf,
} from '../zfs/snapshot.ts';

/** What was asked for. */
export interface BackupRequest {
  /** The snapshot to use, which must be there; `undefined`: take a new one. */
  readonly snapshot: string | undefined;
  readonly full: boolean;
  /** Milliseconds since 1970; names the new snapshot. */
  readonly now: number;
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
  /** Snapshots of ours that need no hold any more once this is stored. */
  readonly release: readonly string[];
  /** The name of its bookmark. */
  readonly bookmark: string;
  /**
   * What becomes of the snapshot when it does not become a backup: one that zkeep took for it is
   * destroyed, on one that somebody else made only our hold is released, and one of ours that is
   * stored, as the base of the next, stays as it is.
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
  /** Empty when a snapshot was named. */
  readonly take: readonly TakeCommand[];
  readonly datasets: readonly DatasetPlan[];
  /** Datasets below that do not have the snapshot that was named. */
  readonly leftOut: readonly string[];
}

/** Names of the snapshots that zkeep takes by itself begin so. */
const OWN = /^zkeep-\d{8}T\d{6}Z$/;
/** Stands for a snapshot that is still to be taken: ZFS gives none this GUID. */
const FUTURE = guidOf(0n);

/**
 * Plans the backup of datasets.
 *
 * @param roots the datasets that were named; others come from below them (`-r`).
 * @param recursive each root's snapshot command takes those below as well.
 * @param known what the repository knows of all their snapshots and bookmarks.
 * @throws {ZkeepError} `missing` when a root does not have the snapshot that was named.
 * @example planBackup({ sources, roots: ['tank/a'], recursive: false, known, request })
 */
export function planBackup(question: {
  readonly sources: readonly SourceFacts[];
  readonly roots: readonly string[];
  readonly recursive: boolean;
  readonly known: readonly KnownSnapshot[];
  readonly request: BackupRequest;
}): BackupPlan {
  const { sources, roots, recursive, known, request } = question;
  const taken = (free: string) => sources.some((source) => snapshotNamed(source, free) !== undefined);
  const name = request.snapshot ?? freeName('zkeep', request.now, taken);
  const lacking =
    request.snapshot === undefined ? [] : sources.filter((source) => !snapshotNamed(source, name));
  const lackingRoot = lacking.find(({ dataset }) => roots.includes(dataset));
  if (lackingRoot) throw noSnapshot(lackingRoot, name);
  return {
    take: request.snapshot === undefined ? takeCommands(roots, recursive, name) : [],
    datasets: sources
      .filter((source) => !lacking.includes(source))
      .map((source) => planDataset(source, name, known, request)),
    leftOut: lacking.map(({ dataset }) => dataset),
  };
}

/**
 * The commands of one dataset's plan, in the order in which they run; that zkeep
 * reads the stream of `zfs send` goes without saying.
 */
export function commandsOf(plan: DatasetPlan): string[][] {
  if (plan.kind === 'already') return [];
  const snapshot = snapshotOf(plan.dataset, plan.snapshot);
  return [
    holdCommand(snapshot),
    sendCommand(sendingOf(plan)),
    bookmarkCommand(plan.dataset, plan.snapshot, plan.bookmark),
    ...plan.release.map((held) => releaseCommand(snapshotOf(plan.dataset, held))),
  ];
}

/** What `zfs send` is told. */
export function sendingOf({ dataset, snapshot, from, flags }: DatasetPlan) {
  const mark = from?.kind === 'bookmark' ? '#' : '@';
  return {
    to: snapshotOf(dataset, snapshot),
    from: from ? `${dataset}${mark}${from.name}` : undefined,
    flags,
  };
}

/** Whether zkeep took a snapshot of this name, and so keeps its own hold on it until the next backup. */
export function isOwn(name: string): boolean {
  return OWN.test(name);
}

function planDataset(
  source: SourceFacts,
  name: string,
  known: readonly KnownSnapshot[],
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
    known,
    wants: { raw: source.encrypted, large_blocks: true },
    full: request.full,
  });
  return {
    dataset,
    kind,
    reason,
    from: base && { guid: base.guid, name: base.name, kind: base.kind },
    snapshot: name,
    guid: there?.guid ?? null,
    flags,
    release: kind === 'already' ? [] : heldNoLonger(points, target, base),
    bookmark: bookmarkName(points, target),
    // One of ours that is there may be held since its own backup.
    undo: there ? (isOwn(name) ? 'nothing' : 'release') : 'destroy',
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
  const own = isOwn(target.name);
  return {
    dataset,
    kind: base ? 'incremental' : 'full',
    reason,
    from: base && { guid: base.guid, name: base.name, kind: base.kind },
    snapshot: target.name,
    guid: target.guid,
    flags,
    release: heldNoLonger(points, target, base),
    bookmark: bookmarkName(points, target),
    undo: own ? (stored ? 'nothing' : 'destroy') : 'release',
  };
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
 * The base's snapshot, older ones of ours (a run that was killed leaves its
 * hold), and a snapshot that is not ours: its own makers destroy it when they like.
 */
function heldNoLonger(points: readonly PointFacts[], target: PointFacts, base: PointFacts | null): string[] {
  const older = points.filter(
    (point) =>
      point.kind === 'snapshot' &&
      point.references > 0 &&
      point.createtxg < target.createtxg &&
      (isOwn(point.name) || point.guid === base?.guid),
  );
  return [...older.map(({ name }) => name), ...(isOwn(target.name) ? [] : [target.name])];
}

/** The snapshot's own name, unless an older snapshot's bookmark bears it. */
function bookmarkName(points: readonly PointFacts[], target: PointFacts): string {
  const taken = points.find((point) => point.kind === 'bookmark' && point.name === target.name);
  return !taken || taken.guid === target.guid ? target.name : `${target.name}-${target.guid}`;
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
