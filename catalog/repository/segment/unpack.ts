/** The road back: stored segments to the raw stream, checked at every step. */
import { isDeepStrictEqual } from 'node:util';
import { ZkeepError } from '../../errors.ts';
import { type ReaderOptions, StreamReader } from '../../stream/reader.ts';
import type { ReaderState } from '../../stream/state.ts';
import type { Manifest, Segment } from '../manifest.ts';
import { Arenas, packingRoom } from './arenas.ts';
import { ByteGate, MOST_IN_FLIGHT, SEGMENT_BUDGET } from './bounds.ts';
import { FRAME_SIZE } from './frames.ts';
import { ReadAhead } from './read-ahead.ts';
import { LARGEST_SEGMENT } from './sizes.ts';
import { sharedPool, type WorkerPool } from './threads/pool.ts';
import type { OpenJob } from './threads/worker-jobs.ts';

/**
 * Gives the stored bytes of segment `number`; it retries by itself.
 *
 * @param into shared memory of this stream that they may be put into: nothing of them becomes garbage then.
 */
export type FetchSegment = (
  number: number,
  signal: AbortSignal,
  into: Uint8Array | undefined,
) => Promise<Uint8Array>;

/** How often a segment is fetched whose digest is wrong, before the object itself is called damaged. */
const FETCHES = 2;

export interface UnpackOptions {
  /** age identities, when the segments are encrypted. */
  readonly identities?: readonly string[];
  /** Decode every so many-th frame of the stream with the second decoder too; 0: none. */
  readonly secondOpinion?: number;
  /** Which frame is the first of them, from 0 and less than that number. */
  readonly secondPhase?: number;
  /** Told after each segment: raw and stored bytes so far. */
  readonly onProgress?: (progress: { bytes: number; stored: number }) => void;
  /** Worker threads to use; by default those that the process shares. */
  readonly pool?: WorkerPool;
  readonly signal?: AbortSignal;
}

/**
 * The raw stream of a backup, in order. Segments are fetched and decoded ahead,
 * within {@link SEGMENT_BUDGET}. Every object's digest, every frame's checksum,
 * the reader's state at every segment and every record are checked; whoever
 * reads to the end has the very stream that was sent. A piece is only good until
 * the next one is asked for.
 *
 * @throws {ZkeepError} `damaged` at the first byte that is wrong, or what `fetch` throws.
 * @example for await (const bytes of unpackStream(manifest, fetch)) receive.write(bytes)
 */
export async function* unpackStream(
  manifest: Manifest,
  fetch: FetchSegment,
  options: UnpackOptions = {},
): AsyncGenerator<Uint8Array> {
  yield* unpackPart(manifest, { first: 0, last: manifest.segments.length - 1 }, fetch, options);
}

/** Segments that lie one after the other. */
export interface StreamPart {
  /** Numbers of the first and the last of them. */
  readonly first: number;
  readonly last: number;
}

/**
 * The raw bytes of some segments, fetched and checked as {@link unpackStream} does,
 * and no others. The first record to begin in them proves the state that the
 * manifest says of their first byte.
 *
 * @param watch told of the records that begin in them.
 * @throws {ZkeepError} as {@link unpackStream}; `usage`, code `segment.none`, for numbers that there are not.
 * @example for await (const bytes of unpackPart(manifest, { first: 7, last: 9 }, fetch)) ...
 */
export async function* unpackPart(
  manifest: Manifest,
  part: StreamPart,
  fetch: FetchSegment,
  options: UnpackOptions & { readonly watch?: Pick<ReaderOptions, 'onRecord' | 'onPayload'> } = {},
): AsyncGenerator<Uint8Array> {
  const reader = readerAt(manifest, part, options.watch);
  const pool = options.pool ?? sharedPool();
  const ended = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, ended.signal]) : ended.signal;
  const progress = { bytes: 0, stored: 0 };
  try {
    for await (const { segment, raw } of segmentsAhead(manifest, part, fetch, pool, options, signal)) {
      checkState(segment, reader.save());
      for (let at = 0; at < raw.length; at += FRAME_SIZE) {
        const bytes = raw.subarray(at, at + FRAME_SIZE);
        reader.write(bytes);
        yield bytes;
      }
      progress.bytes += segment.size;
      progress.stored += segment.stored;
      options.onProgress?.({ ...progress });
    }
    const next = manifest.segments[part.last + 1];
    if (next) checkState(next, reader.save());
    else checkEnd(manifest, reader);
  } finally {
    ended.abort();
  }
}

/** A reader that stands at the first byte of a part. */
function readerAt(manifest: Manifest, { first, last }: StreamPart, watch: ReaderOptions = {}): StreamReader {
  const segment = manifest.segments[first];
  if (!segment || last < first || last >= manifest.segments.length) {
    throw new ZkeepError(
      'usage',
      'segment.none',
      `there are no segments ${first} to ${last} in this backup`,
      {
        advice: `it has ${manifest.segments.length}, counted from 0`,
        facts: { backup: manifest.backup, first, last },
      },
    );
  }
  return first === 0
    ? new StreamReader(watch)
    : StreamReader.resume(segment.state, manifest.stream.begin, watch);
}

function checkEnd(manifest: Manifest, reader: StreamReader): void {
  const { checksum } = reader.end();
  if (checksum === manifest.stream.checksum) return;
  throw new ZkeepError('damaged', 'stream.other', 'the stored stream is not the one its manifest names', {
    facts: { backup: manifest.backup, expected: manifest.stream.checksum, found: checksum },
  });
}

/** Where a segment is taken apart. */
interface Places {
  /** For its raw bytes. */
  readonly arena: SharedArrayBuffer;
  /** For its stored bytes. */
  readonly room: SharedArrayBuffer;
}

interface OpenedSegment {
  readonly segment: Segment;
  readonly raw: Uint8Array;
}

/** Fetches and decodes ahead of who reads; gives the segments in order. */
async function* segmentsAhead(
  manifest: Manifest,
  { first, last }: StreamPart,
  fetch: FetchSegment,
  pool: WorkerPool,
  options: UnpackOptions,
  signal: AbortSignal,
): AsyncGenerator<OpenedSegment> {
  const gate = new ByteGate(SEGMENT_BUDGET, MOST_IN_FLIGHT);
  const arenas = new Arenas();
  const rooms = new Arenas();
  const open = async (number: number, segment: Segment, { arena, room }: Places): Promise<OpenedSegment> => {
    // One that grew by packing, which ours never do, is left to lie where it is fetched to.
    const into = segment.stored <= room.byteLength ? new Uint8Array(room) : undefined;
    for (let left = FETCHES - 1; ; left--) {
      const { stored, transfer } = given(await fetch(number, signal, into), room);
      try {
        const job = openJob(manifest, segment, stored, arena, options);
        const { size } = await pool.run(job, transfer);
        return { segment, raw: new Uint8Array(arena, 0, size) };
      } catch (thrown) {
        // A bit that flipped on the way arrives as a good answer (seen on every store tried); ask again.
        const wayOrStore = thrown instanceof ZkeepError && thrown.code === 'segment.digest';
        if (!wayOrStore || left === 0) throw thrown;
      }
    }
  };
  const ahead: { readonly opened: Promise<OpenedSegment>; readonly leave: () => void; isThere: boolean }[] =
    [];
  const pace = new ReadAhead(MOST_IN_FLIGHT);
  let begun = false;
  const segments = manifest.segments.slice(0, last + 1);
  let next = first;
  const startWhatFits = () => {
    for (let segment = segments[next]; segment && ahead.length < pace.held; segment = segments[next]) {
      checkSize(segment);
      const leave = gate.tryEnter(segment.size + segment.stored);
      if (!leave) return;
      const places = { arena: arenas.take(segment.size), room: rooms.take(packingRoom(segment.size)) };
      const opened = open(next++, segment, places);
      const held = {
        opened,
        isThere: false,
        leave: () => {
          arenas.give(places.arena);
          rooms.give(places.room);
          leave();
        },
      };
      const come = () => {
        held.isThere = true;
      };
      opened.then(come, come); // it is thrown where the segment is awaited
      ahead.push(held);
    }
  };
  for (startWhatFits(); ahead[0]; startWhatFits()) {
    signal.throwIfAborted();
    const { opened, leave, isThere } = ahead[0];
    // The first one is waited for in any case.
    if (begun) pace.wanted(isThere, ahead[1]?.isThere === true);
    begun = true;
    startWhatFits();
    ahead.shift();
    yield await opened;
    leave();
  }
}

/** What was fetched, for a worker: it reads the room, and takes over what lies elsewhere, copied if it is part of more. */
function given(
  fetched: Uint8Array,
  room: SharedArrayBuffer,
): { stored: Uint8Array; transfer: ArrayBuffer[] } {
  const { buffer, byteOffset, byteLength } = fetched;
  // As a plain array: a Buffer would arrive as one anyway.
  if (buffer === room) return { stored: new Uint8Array(room, byteOffset, byteLength), transfer: [] };
  const own =
    buffer instanceof ArrayBuffer && byteLength === buffer.byteLength
      ? new Uint8Array(buffer)
      : new Uint8Array(fetched);
  return { stored: own, transfer: [own.buffer] };
}

function openJob(
  manifest: Manifest,
  segment: Segment,
  stored: Uint8Array,
  arena: SharedArrayBuffer,
  { identities = [], secondOpinion = 0, secondPhase = 0 }: UnpackOptions,
): OpenJob {
  const { sha256, size } = segment;
  const before = Math.floor(segment.offset / FRAME_SIZE);
  const passed = secondOpinion > 0 ? (before - secondPhase + secondOpinion) % secondOpinion : 0;
  return {
    do: 'open',
    stored,
    sha256,
    size,
    arena,
    encrypted: manifest.encryption !== null,
    identities,
    secondOpinion,
    secondFirst: passed === 0 ? 0 : secondOpinion - passed,
  };
}

/** What a manifest says of a size is believed only as far as there is memory for it. */
function checkSize({ offset, size }: Segment): void {
  if (size <= LARGEST_SEGMENT) return;
  throw new ZkeepError(
    'damaged',
    'segment.size',
    `the segment at byte ${offset} is said to hold ${size} raw bytes`,
    {
      advice: `no segment holds more than ${LARGEST_SEGMENT}: the manifest is not one that zkeep wrote`,
      facts: { position: offset, size },
    },
  );
}

function checkState(segment: Segment, found: ReaderState): void {
  if (isDeepStrictEqual(segment.state, found)) return;
  throw new ZkeepError('damaged', 'segment.state', `the stream does not join at byte ${segment.offset}`, {
    advice: 'segments of different streams were mixed; zkeep verify --deep names every damaged backup',
    facts: { position: segment.offset },
  });
}
