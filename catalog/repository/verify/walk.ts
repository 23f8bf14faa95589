/** The deep look: every byte of a backup read, hashed, decrypted, decoded, and its stream walked record by record. */
import { setImmediate } from 'node:timers/promises';
import type { Manifest } from '../manifest.ts';
import { segmentKey } from '../names.ts';
import { FRAME_SIZE } from '../segment/frames.ts';
import type { WorkerPool } from '../segment/threads/pool.ts';
import { type StreamPart, unpackPart } from '../segment/unpack.ts';
import type { Verifiable } from './objects.ts';
import { isDamage, type Problem, problemOf } from './problem.ts';

/** Raw bytes, at most, after which the place is told from which a later walk can go on. */
const STRETCH = 256 * 1024 * 1024;

/** How far a walk came. */
export interface Walked {
  /** Segments from the first on that were found whole, and joined to the one after. */
  readonly segments: number;
  /** Frames in them that the second decoder decoded as well. */
  readonly frames: number;
}

export interface WalkOptions {
  /** age identities, when the segments are encrypted. */
  readonly identities: readonly string[];
  /** One frame in so many is decoded by the second decoder too; 0: none. */
  readonly secondOpinion: number;
  /** Which one, from 0: another one each time, and in the end all had their turn. */
  readonly secondPhase: number;
  readonly pool: WorkerPool;
  /** Where a walk of before came to. */
  readonly from?: Walked | undefined;
  /** Told of stored bytes that were read. */
  readonly onRead?: ((bytes: number) => void) | undefined;
  /** Told after each stretch that was whole, up to the first that was not. */
  readonly onStretch?: ((walked: Walked) => void) | undefined;
  /** Asked after each stretch; `false` ends the walk here. */
  readonly mayGoOn?: (() => boolean) | undefined;
  /** Raw bytes of a stretch, at most; at least a segment. */
  readonly stretch?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a walk found. */
export interface Walk {
  readonly walked: Walked;
  /** It came to the end of the backup. */
  readonly ended: boolean;
  readonly problems: readonly Problem[];
}

/**
 * Walks a backup, a stretch of segments after the other, each from the state of the reader that the
 * manifest says of its first byte to the state that it says of the next one: what they prove together
 * is what one walk proves. A stretch in which something is wrong is read a second time, segment by
 * segment, and only what is wrong again is a problem, of that very object. Holds what a restore
 * holds in memory, however large the backup is.
 *
 * @throws {ZkeepError} what says nothing about the bytes: no answer, no right, no identity that fits.
 */
export async function walkBackup(
  source: Verifiable,
  manifest: Manifest,
  options: WalkOptions,
): Promise<Walk> {
  const { onStretch } = options;
  const from = placeIn(manifest, options.from);
  const problems: Problem[] = [];
  let walked = from;
  let next = from.segments;
  while (next < manifest.segments.length) {
    options.signal?.throwIfAborted();
    const part = stretchFrom(manifest, next, options.stretch ?? STRETCH);
    const found = await walkTwice(source, manifest, part, options);
    problems.push(...found);
    next = part.last + 1;
    // What is behind the first problem is looked at for further ones, and proves nothing.
    if (problems.length === 0) {
      const frames = walked.frames + framesIn(manifest, part, options);
      walked = { segments: next, frames };
      onStretch?.(walked);
    }
    if (options.mayGoOn?.() === false) break;
  }
  return { walked, ended: next === manifest.segments.length, problems };
}

/** A place behind the end is of something else. */
function placeIn({ segments }: Manifest, place: Walked | undefined): Walked {
  return place && place.segments <= segments.length ? place : { segments: 0, frames: 0 };
}

function stretchFrom({ segments }: Manifest, first: number, most: number): StreamPart {
  let last = first;
  let size = segments[first]?.size ?? 0;
  for (let next = segments[last + 1]; next && size + next.size <= most; next = segments[last + 1]) {
    size += next.size;
    last += 1;
  }
  return { first, last };
}

async function walkTwice(
  source: Verifiable,
  manifest: Manifest,
  part: StreamPart,
  options: WalkOptions,
): Promise<Problem[]> {
  try {
    await walkPart(source, manifest, part, options);
    return [];
  } catch (thrown) {
    options.signal?.throwIfAborted();
    if (!isDamage(thrown)) return [problemOf(thrown, manifest.backup, null)];
  }
  const problems: Problem[] = [];
  for (let number = part.first; number <= part.last; number++) {
    try {
      await walkPart(source, manifest, { first: number, last: number }, options);
    } catch (thrown) {
      options.signal?.throwIfAborted();
      const key = segmentKey(manifest.backup, number, manifest.encryption !== null);
      problems.push(problemOf(thrown, manifest.backup, key));
    }
  }
  return problems;
}

async function walkPart(
  source: Verifiable,
  manifest: Manifest,
  part: StreamPart,
  { identities, secondOpinion, secondPhase, pool, onRead, signal }: WalkOptions,
): Promise<void> {
  const fetch = async (number: number, fetching: AbortSignal, into?: Uint8Array) => {
    const stored = await source.segment(manifest, number, fetching, into);
    onRead?.(stored.byteLength);
    return stored;
  };
  const unpacking = { identities, secondOpinion, secondPhase, pool, ...(signal ? { signal } : {}) };
  // Walking is the check: the reader inside throws at the first byte that is wrong.
  for await (const _ of unpackPart(manifest, part, fetch, unpacking)) await setImmediate(); // others have their turn
}

/** Frames of a part that the second decoder is given. */
function framesIn(
  { segments }: Manifest,
  { first, last }: StreamPart,
  { secondOpinion: every, secondPhase: phase }: WalkOptions,
): number {
  if (every === 0) return 0;
  const begin = Math.floor((segments[first]?.offset ?? 0) / FRAME_SIZE);
  const { offset = 0, size = 0 } = segments[last] ?? {};
  const end = Math.ceil((offset + size) / FRAME_SIZE);
  const before = (frame: number) => Math.floor((frame - 1 - phase + every) / every);
  return before(end) - before(begin);
}
