/**
 * The way in: a raw stream, checked record by record, cut into segments,
 * compressed, encrypted, hashed, and handed on, with bounded memory.
 */
import { FLETCHER4_ROOM } from '../../stream/fletcher4.ts';
import { type ReaderOptions, StreamReader } from '../../stream/reader.ts';
import type { Begin, EntryPoint, ReaderState, ResumePoint, StreamSummary } from '../../stream/state.ts';
import { parseDigest } from '../../words.ts';
import type { Segment } from '../manifest.ts';
import { Arenas, FRAME_STRIDE, packingRoom } from './arenas.ts';
import { ByteGate, MOST_IN_FLIGHT, SEGMENT_BUDGET } from './bounds.ts';
import { DEFAULT_LEVEL, FRAME_SIZE, type FrameSizes } from './frames.ts';
import { segmentSize } from './sizes.ts';
import { type Slot, SlotRing } from './slots.ts';
import { sharedPool, type WorkerPool } from './threads/pool.ts';

/** A finished segment: what the manifest will say of it, and the object to store. */
export interface PackedSegment {
  /** From 0. */
  readonly number: number;
  readonly segment: Segment;
  /** The reader's state behind its last byte. */
  readonly after: ReaderState;
  /** The last point in the stream up to there from which `zfs send -t` could go on. */
  readonly point: ResumePoint | null;
  /** Lies in memory that is used again: only good until `send` has resolved. */
  readonly body: Buffer;
}

/** Where the packing of a stream goes on whose first segments are stored already. */
export interface PackStart {
  /** The number of the next segment: so many are stored. */
  readonly number: number;
  /** The reader's state behind the last byte of those. */
  readonly after: ReaderState;
  readonly begin: Begin;
  /** The last point in them. */
  readonly point: ResumePoint | null;
}

export interface PackOptions {
  /** zstd's level, 1 to 19. */
  readonly level?: number;
  /** age recipients; empty: not encrypted. */
  readonly recipients: readonly string[];
  /** The source is the rest of a stream, from the byte `start.after.at` on. By default it is a whole one. */
  readonly start?: PackStart;
  /** Awaited when BEGIN was read, before the first `send`; not called for a rest. What it throws ends the packing. */
  readonly onBegin?: (begin: Begin) => Promise<void>;
  /** Stores one segment durably; called for several at once, in any order of ending. It retries by itself. */
  readonly send: (part: PackedSegment, signal: AbortSignal) => Promise<void>;
  /** Told after each piece read and each segment stored: raw bytes read, bytes stored. */
  readonly onProgress?: (progress: { bytes: number; stored: number }) => void;
  /** Worker threads to use; by default those that the process shares. */
  readonly pool?: WorkerPool;
  readonly signal?: AbortSignal;
}

/**
 * Packs one stream. When it resolves, the stream was whole and every `send` has
 * resolved; when it rejects, nothing is on its way any more.
 *
 * @param source pieces of any size; it is read only as fast as segments are stored.
 * @throws {StreamError} at the first byte that is not a stream's; what `onBegin`, `send` or the source throws.
 * @example const summary = await packStream(child.stdout, { recipients: [], send: store })
 * @example const summary = await packStream(rest, { recipients: [], send: store, start: { number: 3, after, begin, point } })
 */
export async function packStream(
  source: AsyncIterable<Uint8Array>,
  options: PackOptions,
): Promise<StreamSummary> {
  const packer = new Packer(options.pool ?? sharedPool(), options);
  try {
    for await (const bytes of source) await packer.take(bytes);
    return await packer.finish();
  } catch (thrown) {
    await packer.abort(thrown);
    throw packer.failure;
  }
}

/** A segment that is being filled. */
interface OpenSegment {
  readonly number: number;
  readonly offset: number;
  /** Raw bytes that it will hold unless the stream ends before. */
  readonly room: number;
  readonly state: ReaderState;
  readonly leave: () => void;
  readonly arena: SharedArrayBuffer;
  readonly frames: Promise<FrameSizes>[];
  size: number;
  entry: EntryPoint | null;
}

class Packer {
  readonly #pool: WorkerPool;
  readonly #options: PackOptions;
  readonly #ring: SlotRing;
  readonly #reader: StreamReader;
  readonly #gate = new ByteGate(SEGMENT_BUDGET, MOST_IN_FLIGHT);
  readonly #arenas = new Arenas();
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #sending = new Set<Promise<void>>();
  readonly #progress = { bytes: 0, stored: 0 };
  #failure: { readonly thrown: unknown } | undefined;
  #begun: boolean;
  #next: number;
  #open: OpenSegment | undefined;
  #slot: Slot | undefined;
  #filled = 0;

  constructor(pool: WorkerPool, options: PackOptions) {
    this.#pool = pool;
    this.#options = options;
    this.#signal = options.signal ? AbortSignal.any([options.signal, this.#stop.signal]) : this.#stop.signal;
    // Each worker has a frame at hand and some to follow: pipes give in bursts.
    this.#ring = new SlotRing(4 * pool.size + 4, FLETCHER4_ROOM);
    const reading: ReaderOptions = {
      room: { memory: this.#ring.memory, at: 0 },
      onEntryPoint: (entry) => this.#enter(entry),
    };
    const { start } = options;
    this.#reader = start ? StreamReader.resume(start.after, start.begin, reading) : new StreamReader(reading);
    this.#begun = start !== undefined;
    this.#next = start?.number ?? 0;
  }

  /** The first failure: later ones are its consequences. */
  get failure(): unknown {
    return this.#failure?.thrown;
  }

  async take(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      this.#open ??= await this.#openSegment();
      this.#slot ??= await this.#ring.take();
      const [open, slot] = [this.#open, this.#slot];
      this.#check();
      const room = Math.min(FRAME_SIZE - this.#filled, open.room - open.size);
      const piece = bytes.subarray(at, at + room);
      const place = slot.bytes.subarray(this.#filled, this.#filled + piece.length);
      place.set(piece);
      this.#reader.write(place);
      at += piece.length;
      this.#filled += piece.length;
      open.size += piece.length;
      if (!this.#begun && this.#reader.begin) await this.#begin(this.#reader.begin);
      if (this.#filled === FRAME_SIZE || open.size === open.room) this.#closeFrame(open, slot);
      if (open.size === open.room) this.#closeSegment(open);
    }
    this.#progress.bytes += bytes.length;
    this.#options.onProgress?.({ ...this.#progress });
  }

  async finish(): Promise<StreamSummary> {
    const summary = this.#reader.end();
    if (this.#open && this.#slot && this.#filled > 0) this.#closeFrame(this.#open, this.#slot);
    if (this.#open) this.#closeSegment(this.#open);
    while (this.#sending.size > 0) await Promise.all(this.#sending);
    this.#check();
    return summary;
  }

  /** Stops what is under way and waits for its end. */
  async abort(thrown: unknown): Promise<void> {
    this.#failure ??= { thrown };
    this.#stop.abort(this.#failure.thrown);
    await Promise.allSettled([...this.#sending, ...(this.#open?.frames ?? [])]);
  }

  #check(): void {
    if (this.#failure) throw this.#failure.thrown;
    this.#signal.throwIfAborted();
  }

  async #begin(begin: Begin): Promise<void> {
    this.#begun = true;
    await this.#options.onBegin?.(begin);
  }

  async #openSegment(): Promise<OpenSegment> {
    const number = this.#next++;
    const room = segmentSize(number);
    const leave = await this.#gate.enter(room);
    const state = this.#reader.save();
    this.#reader.entryFrom = state.at;
    const arena = this.#arenas.take(packingRoom(room));
    return { number, offset: state.at, room, state, leave, arena, frames: [], size: 0, entry: null };
  }

  #enter(entry: EntryPoint): void {
    if (this.#open) this.#open.entry = entry;
    this.#reader.entryFrom = Number.POSITIVE_INFINITY; // the first one of a segment is enough
  }

  #closeFrame(open: OpenSegment, slot: Slot): void {
    const length = this.#filled;
    this.#slot = undefined;
    this.#filled = 0;
    const { buffer: memory } = this.#ring;
    const { offset } = slot;
    const { level = DEFAULT_LEVEL } = this.#options;
    const at = open.frames.length * FRAME_STRIDE;
    const frame = this.#pool
      .run({ do: 'compress', memory, offset, length, level, arena: open.arena, at })
      .then(({ stored }) => ({ stored, raw: length }))
      .finally(() => this.#ring.give(slot));
    frame.catch(() => {}); // it is thrown where the segment is sealed
    open.frames.push(frame);
  }

  #closeSegment(open: OpenSegment): void {
    this.#open = undefined;
    // A reader that began in the middle knows no point until it has passed one.
    const point = this.#reader.point ?? this.#options.start?.point ?? null;
    const end = { after: this.#reader.save(), point };
    const sending: Promise<void> = this.#seal(open, end)
      .catch((thrown: unknown) => {
        this.#failure ??= { thrown };
        this.#stop.abort(thrown);
      })
      .finally(() => {
        this.#sending.delete(sending);
        this.#arenas.give(open.arena);
        open.leave();
      });
    this.#sending.add(sending);
  }

  async #seal(open: OpenSegment, end: Pick<PackedSegment, 'after' | 'point'>): Promise<void> {
    const { arena } = open;
    const frames = await Promise.all(open.frames);
    this.#signal.throwIfAborted();
    const { recipients } = this.#options;
    const { length, sha256 } = await this.#pool.run({ do: 'seal', arena, frames, recipients });
    this.#signal.throwIfAborted(); // another segment may have failed while this one was sealed
    const segment: Segment = {
      offset: open.offset,
      size: open.size,
      stored: length,
      sha256: parseDigest(sha256),
      state: open.state,
      entry: open.entry,
    };
    const body = Buffer.from(arena, 0, length);
    await this.#options.send({ number: open.number, segment, ...end, body }, this.#signal);
    this.#progress.stored += length;
    this.#options.onProgress?.({ ...this.#progress });
  }
}
