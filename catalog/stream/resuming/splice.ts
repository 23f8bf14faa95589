/**
 * The rest of a stream that was cut off: what `zfs send -t` gives, made into the
 * very bytes that an uninterrupted `zfs send` would have gone on with (tried on
 * OpenZFS 2.1, 2.3 and 2.4). STREAM.md says what comes and how it is proven.
 */
import { isDeepStrictEqual } from 'node:util';
import { FEATURES, featureNames } from '../features.ts';
import { FLETCHER4_ROOM } from '../fletcher4.ts';
import { StreamReader } from '../reader.ts';
import type { RecordView } from '../reading/record-view.ts';
import { RECORD_SIZE } from '../record.ts';
import type { Begin, ReaderState, ResumePoint } from '../state.ts';
import { StreamError } from '../stream-error.ts';
import { Rewriter } from './rewrite.ts';
import * as refusals from './splice-refusals.ts';

/** What is known of the stored part of a stream. */
export interface StoredPart {
  readonly begin: Begin;
  /** The last point in it. */
  readonly point: ResumePoint;
  /** The reader's state behind its last byte. */
  readonly after: ReaderState;
}

/**
 * The bytes of the stored stream from `after.at` to its end. The first one comes
 * only when everything from the point to there was made again and was the same.
 *
 * @param rest what `zfs send -t` gives for the token of `point`; closed when this ends early.
 * @throws {ZkeepError} `refused`, before the first byte: code `resume.other-stream` when BEGIN tells of another
 *   stream, `resume.no-point` when the point is not in it, `resume.differs` when the overlap is not the same.
 * @throws {StreamError} when the rest is damaged, not whole, or something follows it; what `rest` throws.
 * @example for await (const bytes of spliceStream(child.stdout, { begin, point, after })) await packer.take(bytes);
 */
export async function* spliceStream(
  rest: AsyncIterable<Uint8Array>,
  stored: StoredPart,
): AsyncGenerator<Uint8Array, void> {
  const splicer = new Splicer(stored);
  for await (const bytes of rest) {
    const made = splicer.take(bytes);
    if (made.length > 0) yield made;
  }
  splicer.end();
}

/** Takes the rest as it comes; every checksum in it is checked before its records are given others. */
class Splicer {
  readonly #stored: StoredPart;
  readonly #object: bigint;
  readonly #offset: bigint;
  readonly #reader: StreamReader;
  readonly #rewriter: Rewriter;
  /** Reads what was made again; gone when that was proven. */
  #prover: StreamReader | undefined;
  /** Bytes of the overlap that are still to be made again. */
  #left: number;
  /** The point has come: what follows is kept. */
  #found = false;
  #made: Uint8Array = new Uint8Array();
  #filled = 0;

  constructor(stored: StoredPart) {
    const { begin, point, after } = stored;
    this.#stored = stored;
    this.#object = BigInt(point.object);
    this.#offset = BigInt(point.offset);
    this.#left = after.at - point.state.at;
    if (this.#left < RECORD_SIZE) throw refusals.differs(stored, 'its end lies before its last point');
    // One memory for both, so that payloads are copied into it once.
    const memory = new WebAssembly.Memory({ initial: Math.ceil((2 * FLETCHER4_ROOM) / PAGE) });
    this.#reader = new StreamReader({
      expect: 'rest',
      room: { memory, at: 0 },
      onRecord: (record) => this.#takeRecord(record),
      onPayload: (piece) => this.#takePayload(piece),
    });
    const room = { memory, at: FLETCHER4_ROOM };
    this.#rewriter = new Rewriter(begin.order, { sum: point.state.sum, room });
    this.#prover = StreamReader.resume(point.state, begin);
  }

  /** Gives what these bytes add to the stored stream, in memory of its own. */
  take(bytes: Uint8Array): Uint8Array {
    this.#made = Buffer.allocUnsafe(bytes.length + RECORD_SIZE); // a header may have begun in the bytes before
    this.#filled = 0;
    inRest(() => this.#reader.write(bytes));
    return this.#behindOverlap(this.#made.subarray(0, this.#filled));
  }

  end(): void {
    inRest(() => this.#reader.end());
    if (this.#prover) throw refusals.differs(this.#stored, 'what zfs send -t gives ends before it does');
  }

  #takeRecord(record: RecordView): void {
    if (record.type === 'BEGIN') this.#checkBegin();
    else if (this.#isKept(record)) this.#rewriter.header(record.header, this.#next(RECORD_SIZE));
  }

  #takePayload(piece: Uint8Array): void {
    if (!this.#found) return;
    this.#rewriter.payload(piece);
    this.#next(piece.length).set(piece);
  }

  #checkBegin(): void {
    const { begin } = this.#reader;
    if (!begin) return;
    const wanted = kindOf(this.#stored.begin, RESUMING);
    const found = kindOf(begin);
    const differing = Object.entries(wanted).filter(([what, value]) => found[what] !== value);
    if (differing.length === 0) return;
    const words = differing.map(([what, value]) => `${what} ${found[what]} instead of ${value}`);
    throw refusals.otherStream(this.#stored, words);
  }

  #isKept(record: RecordView): boolean {
    if (this.#found) return true;
    const { point } = this.#stored;
    const { type, object, offset = 0n } = record;
    this.#found = type === point.type && object === this.#object && offset === this.#offset;
    if (!this.#found && this.#isBehind(record)) throw refusals.noPoint(this.#stored);
    return this.#found;
  }

  /** Whether the point can no longer come: data comes in order, OBJECTs at most a block of dnodes ahead of it. */
  #isBehind({ type, object = 0n, offset = 0n }: RecordView): boolean {
    switch (type) {
      case 'END':
        return true;
      case 'OBJECT':
        return object > this.#object && object / OBJECTS_TOGETHER !== this.#object / OBJECTS_TOGETHER;
      case 'WRITE':
      case 'WRITE_EMBEDDED':
        return object > this.#object || (object === this.#object && offset > this.#offset);
      default:
        return false;
    }
  }

  /** The place of the next bytes. */
  #next(length: number): Uint8Array {
    this.#filled += length;
    return this.#made.subarray(this.#filled - length, this.#filled);
  }

  /** Drops what is stored already, when it has proven to be the same. */
  #behindOverlap(made: Uint8Array): Uint8Array {
    if (!this.#prover) return made;
    const overlap = made.subarray(0, this.#left);
    this.#prove(this.#prover, overlap);
    return made.subarray(overlap.length);
  }

  #prove(prover: StreamReader, overlap: Uint8Array): void {
    try {
      prover.write(overlap);
    } catch (cause) {
      throw refusals.differs(this.#stored, 'it breaks a rule that what is stored has kept', cause);
    }
    this.#left -= overlap.length;
    if (this.#left > 0) return;
    if (!isDeepStrictEqual(prover.save(), this.#stored.after)) {
      throw refusals.differs(this.#stored, 'its bytes are others');
    }
    this.#prover = undefined;
  }
}

const PAGE = 64 * 1024;
/** Objects in a block of dnodes. */
const OBJECTS_TOGETHER = 32n;
const RESUMING = 1n << BigInt(FEATURES.RESUMING.bit);

/** What must not change when a sender goes on; names may, and the payload of BEGIN does. */
function kindOf(begin: Begin, added = 0n): Readonly<Record<string, string>> {
  const features = (BigInt(`0x${begin.features}`) | added).toString(16);
  return {
    toguid: begin.toGuid,
    fromguid: begin.fromGuid ?? 'none',
    'byte order': begin.order,
    type: String(begin.type),
    flags: `0x${begin.flags.toString(16)}`,
    features: featureNames(features).join('+'),
  };
}

/** Lets errors say that their place is one in the rest. */
function inRest(work: () => unknown): void {
  try {
    work();
  } catch (thrown) {
    throw thrown instanceof StreamError ? refusals.inRest(thrown) : thrown;
  }
}
