/** The choice of base: what the next backup of a dataset is sent from. */
import { ZkeepError } from '../errors.ts';
import type { Guid } from '../words.ts';
import { mayFollow, sayFlags } from './flags.ts';
import type { ChainFlags } from './graph.ts';
import { compareText } from './order.ts';

/** A snapshot of the source, or a bookmark that remembers one. */
export interface SourcePoint {
  readonly guid: Guid;
  /** The part after `@` or `#`. */
  readonly name: string;
  /** Orders the snapshots of one pool. */
  readonly createtxg: bigint | number;
  readonly kind: 'snapshot' | 'bookmark';
}

/** A snapshot as the repository knows it (the shape of `KnownSnapshot` in the protocol). */
export interface KnownPoint {
  readonly guid: Guid;
  /** A chain of backups leads from nothing to it. */
  readonly restorable: boolean;
  /** Flags of the cheapest such chain; `null` when there is none. */
  readonly flags: ChainFlags | null;
  /** Why no backup should hang on it any more, in words; `null`: one may. */
  readonly renew?: string | null;
}

/** The question to {@link chooseBase}. */
export interface BaseQuestion<Point extends SourcePoint> {
  /** For the words. */
  readonly dataset: string;
  /** All snapshots and bookmarks of the dataset, in any order. */
  readonly source: readonly Point[];
  /** The snapshot to back up. */
  readonly target: Guid;
  /** What the repository knows of `source`. */
  readonly known: readonly KnownPoint[];
  /** How it will be sent; `large_blocks` means that `-L` is given. */
  readonly wants: ChainFlags;
  /** A full backup is asked for. */
  readonly full: boolean;
}

/** What to send, and why. */
export type BaseChoice<Point extends SourcePoint> =
  | { readonly kind: 'incremental'; readonly base: Point; readonly reason: string }
  | { readonly kind: 'full' | 'already'; readonly base: null; readonly reason: string };

/**
 * Chooses the base: the newest snapshot or bookmark, older than the target, that
 * the repository can restore and whose chain the new stream may continue. A
 * snapshot goes before a bookmark of it. Where the chain of that one is to be renewed the
 * backup is full: an older base would only go on with the same chain.
 *
 * @throws {ZkeepError} `missing` (`chain.no-target`) when the source does not have the target as a snapshot.
 * @example chooseBase({ dataset: 'tank/fs', source, target, known, wants, full: false })
 */
export function chooseBase<Point extends SourcePoint>(question: BaseQuestion<Point>): BaseChoice<Point> {
  const { dataset, source, target, known, wants, full } = question;
  const sent = source.find(({ guid, kind }) => guid === target && kind === 'snapshot');
  if (!sent) throw noTarget(question);
  if (full) return { kind: 'full', base: null, reason: 'a full backup was asked for' };
  const kept = new Map(known.map((point) => [point.guid, point]));
  if (kept.get(target)?.restorable) {
    return { kind: 'already', base: null, reason: `${dataset}@${sent.name} is in the repository already` };
  }
  const older = source
    .filter(({ guid, createtxg }) => guid !== target && createtxg < sent.createtxg)
    .sort(newestFirst);
  const base = older.find(({ guid }) => isContinuable(kept.get(guid), wants));
  const renew = base && kept.get(base.guid)?.renew;
  if (renew) return { kind: 'full', base: null, reason: `the chain to ${say(base)} ends there: ${renew}` };
  if (base) return { kind: 'incremental', base, reason: `${say(base)} is the newest that both sides have` };
  return { kind: 'full', base: null, reason: whyFull(question, sent, older, kept) };
}

function isContinuable(point: KnownPoint | undefined, wants: ChainFlags): boolean {
  return !!point?.restorable && !!point.flags && mayFollow(point.flags, wants);
}

function whyFull<Point extends SourcePoint>(
  { dataset, wants }: BaseQuestion<Point>,
  sent: Point,
  older: readonly Point[],
  kept: ReadonlyMap<Guid, KnownPoint>,
): string {
  if (older.length === 0) return `${dataset} has no snapshot or bookmark older than @${sent.name}`;
  const common = older.filter(({ guid }) => kept.has(guid));
  if (common.length === 0) return `no snapshot or bookmark of ${dataset} is in the repository`;
  for (const point of common) {
    const flags = kept.get(point.guid)?.restorable ? kept.get(point.guid)?.flags : undefined;
    if (flags)
      return `the common ${sayKind(point)} was kept ${sayFlags(flags)} and ${dataset} is sent ${sayFlags(wants)}`;
  }
  const [newest] = common;
  return `the common ${newest ? sayKind(newest) : 'snapshot'} cannot be restored: its chain has a gap`;
}

function newestFirst(a: SourcePoint, b: SourcePoint): number {
  if (a.createtxg !== b.createtxg) return a.createtxg < b.createtxg ? 1 : -1;
  return compareText(b.kind, a.kind) || compareText(a.name, b.name);
}

function sayKind(point: SourcePoint): string {
  return `${point.kind} ${say(point)}`;
}

function say({ kind, name }: SourcePoint): string {
  return `${kind === 'snapshot' ? '@' : '#'}${name}`;
}

function noTarget({ dataset, target }: BaseQuestion<SourcePoint>): ZkeepError {
  return new ZkeepError('missing', 'chain.no-target', `${dataset} has no snapshot ${target}`, {
    advice: 'it was destroyed since it was listed: start again',
    facts: { dataset, target },
  });
}
