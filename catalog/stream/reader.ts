/**
 * The reader: takes a send stream in buffers of any size and proves that it is
 * one, whole and undamaged. STREAM.md says what it refuses and why.
 */

import { hasFeature } from './features.ts';
import type { Fletcher4Room } from './fletcher4.ts';
import { byteOrderOf, readBegin } from './reading/begin.ts';
import { EntryFinder } from './reading/entry.ts';
import { Framing, LAST_RECORD } from './reading/framing.ts';
import { MOST_PAYLOAD_OF_TYPE, payloadLength } from './reading/payload.ts';
import { PointFinder, type PointMark } from './reading/point.ts';
import { RecordView } from './reading/record-view.ts';
import * as refusals from './reading/refusals.ts';
import { AwaitedSpills } from './reading/spill.ts';
import { RECORD_NAMES, RECORD_SIZE, RECORDS, SUM_AT, TOGUID_AT } from './record.ts';
import type { Begin, EntryPoint, ReaderState, ResumePoint, StreamSummary } from './state.ts';
import type { StreamPlace } from './stream-error.ts';

export type { RecordView };

export interface ReaderOptions {
  /** Told of each record when its header was checked, before its payload. The view is only good during the call. */
  readonly onRecord?: (record: RecordView) => void;
  /** Told of the payload of the record last told of, piece by piece; a piece is only good during the call. */
  readonly onPayload?: (piece: Uint8Array) => void;
  /** Told of each entry point at or after {@link StreamReader.entryFrom}. */
  readonly onEntryPoint?: (entry: EntryPoint) => void;
  /** Where to work: buffers that lie in this memory are not copied for the checksum. Default: a memory of its own. */
  readonly room?: Fletcher4Room;
  /**
   * `package`: what comes before the streams of a package, a BEGIN and an END. `rest`: what `zfs send -t`
   * gives, of which `spliceStream` makes the rest of a stream. Default: a stream.
   */
  readonly expect?: 'stream' | 'package' | 'rest';
}

/**
 * Reads one send stream. Payloads are not kept, and not proven before the next header. After an error it only throws
 * the same error again.
 *
 * @example
 * const reader = new StreamReader();
 * for await (const bytes of source) reader.write(bytes);
 * const summary = reader.end(); // only now the stream is known to be whole
 */
export class StreamReader {
  /**
   * Entry points of records that begin before this byte are not told. Whoever
   * wants one for each stretch sets it to the end of the stretch when told of one.
   */
  entryFrom = 0;
  readonly #options: ReaderOptions;
  readonly #framing: Framing;
  readonly #shown = new RecordView();
  readonly #entries = new EntryFinder();
  readonly #spills = new AwaitedSpills();
  readonly #points = new PointFinder();
  #begin: Begin | undefined;
  // What BEGIN says for every header after it; `toguid` in two halves, because BigInts are slow.
  #little = true;
  #guidLow = 0;
  #guidHigh = 0;
  #records = 0;
  readonly #counts = RECORD_NAMES.map(() => 0);
  /** Number of the type of the record at hand. */
  #type = 0;
  /** What END carried. */
  #checksum: string | undefined;
  #failure: unknown;

  constructor(options: ReaderOptions = {}) {
    this.#options = options;
    const { room, onPayload } = options;
    this.#framing = new Framing(
      room,
      (view, at, position) => this.#takeHeader(view, at, position),
      onPayload,
    );
  }

  /**
   * A reader that goes on where another one stopped.
   *
   * @param begin what that one had as {@link begin}; not looked at when it had none yet.
   * @throws {ZkeepError} `damaged`, code `stream.state`, when the state is none.
   */
  static resume(state: ReaderState, begin: Begin | undefined, options: ReaderOptions = {}): StreamReader {
    const reader = new StreamReader(options);
    if (state.records > 0 && !begin) throw refusals.notAState(reader.#nowhere(), 'its BEGIN is missing');
    if (state.records > 0 && begin) reader.#setBegin(begin);
    reader.#framing.restore(state, state.ended === true);
    reader.#entries.restore(state);
    reader.#spills.restore(state.spill ?? []);
    state.counts.forEach((count, type) => {
      reader.#counts[type] = count;
    });
    reader.#records = state.records;
    reader.#type = state.type ?? 0;
    if (state.ended) reader.#checksum = state.sum;
    return reader;
  }

  /** Bytes taken so far. */
  get position(): number {
    return this.#framing.position;
  }

  /** The facts of BEGIN, once its header was taken. */
  get begin(): Begin | undefined {
    return this.#begin;
  }

  /** END was taken: nothing may follow. */
  get ended(): boolean {
    return this.#checksum !== undefined;
  }

  /**
   * The last record taken whole from which `zfs send -t` could go on. A reader that was resumed
   * knows none before it has passed one: until then the one from before holds.
   */
  get point(): ResumePoint | undefined {
    return this.#points.at(this.position);
  }

  /**
   * Takes the next bytes, all of them.
   *
   * @throws {StreamError} at the first thing that is wrong, as soon as it shows.
   */
  write(bytes: Uint8Array): void {
    if (this.read(bytes) < bytes.length) throw this.#fail(refusals.trailing(this.#nowhere()));
  }

  /**
   * Takes the next bytes up to the end of the stream.
   *
   * @returns how many were taken: fewer than given only when END was among them.
   * @throws {StreamError} as {@link write}.
   */
  read(bytes: Uint8Array): number {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      return this.#framing.read(bytes);
    } catch (thrown) {
      throw this.#fail(thrown);
    }
  }

  /**
   * Ends the stream.
   *
   * @throws {StreamError} when it is not whole.
   */
  end(): StreamSummary {
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.#begin || this.#checksum === undefined) throw this.#fail(this.#truncated());
    const counts = RECORD_NAMES.map((name, type) => [name, this.#counts[type] ?? 0] as const);
    return {
      begin: this.#begin,
      bytes: this.position,
      records: Object.fromEntries(counts.filter(([, count]) => count > 0)),
      checksum: this.#checksum,
    };
  }

  /** What {@link resume} takes to go on from here. */
  save(): ReaderState {
    if (this.#failure !== undefined) throw this.#failure;
    const framing = this.#framing.save();
    const spill = this.#spills.save();
    return {
      ...framing,
      sum: this.#checksum ?? framing.sum,
      records: this.#records,
      counts: [...this.#counts],
      ...(framing.left !== undefined && { type: this.#type }),
      ...(spill.length > 0 && { spill }),
      ...(this.ended && { ended: true as const }),
      ...this.#entries.save(),
    };
  }

  /** Checks a header, by its address in the memory that `view` shows and its position; gives the bytes of its payload. */
  #takeHeader(view: DataView, at: number, position: number): number {
    const type = this.#begin ? view.getUint32(at, this.#little) : this.#takeBegin(at);
    this.#type = type;
    const mark = this.#points.markFor(type, view, at, this.#little);
    if (mark) this.#framing.copySum(at, mark.sums, view);
    if (this.#records > 0) this.#check(view, at);
    const length = payloadLength(view, at, type, this.#little);
    if (length > (MOST_PAYLOAD_OF_TYPE[type] ?? 0) || length % 4 !== 0) {
      throw refusals.outOfBounds(this.#here(), length);
    }
    if (mark) this.#fill(mark, position, length);
    const missing = this.#spills.take(type, view, at, this.#little);
    if (missing !== undefined) throw refusals.spoilt(this.#here(), missing);
    this.#entries.take(type, view, at, this.#little, position);
    this.#counts[type] = (this.#counts[type] ?? 0) + 1;
    const number = this.#records++;
    const { onRecord, onEntryPoint } = this.#options;
    if (onRecord) onRecord(this.#shown.show(view, at, this.#little, { number, type, position, length }));
    if (onEntryPoint && position >= this.entryFrom) {
      const entry = this.#entries.entryAt(type, view, at, this.#little, position);
      if (entry) onEntryPoint(entry);
    }
    return type === END ? LAST_RECORD : length;
  }

  /** The record at hand is a point: keeps the state before it. */
  #fill(mark: PointMark, position: number, length: number): void {
    mark.position = position;
    mark.end = position + RECORD_SIZE + length;
    mark.records = this.#records;
    for (let type = 0; type < mark.counts.length; type++) mark.counts[type] = this.#counts[type] ?? 0;
    mark.entry.set(this.#entries.mark);
    mark.spill = this.#spills.objects;
    this.#points.add();
  }

  /** The first header must be a BEGIN of the expected kind; it carries no checksum of its own. */
  #takeBegin(at: number): number {
    const expected = this.#options.expect ?? 'stream';
    const found = readBegin(this.#framing.fletcher.bytes.subarray(at, at + RECORD_SIZE));
    if (!found) throw refusals.notAStream(this.#nowhere());
    if (found.header !== (expected === 'rest' ? 'stream' : expected)) {
      throw found.header === 'package' ? refusals.isPackage(this.#here()) : refusals.notAStream(this.#here());
    }
    if (expected !== 'rest' && hasFeature(found.begin, 'RESUMING')) throw refusals.isResuming(this.#here());
    this.#setBegin(found.begin);
    return BEGIN;
  }

  #setBegin(begin: Begin): void {
    const guid = BigInt(`0x${begin.toGuid}`);
    this.#begin = begin;
    this.#little = begin.order === 'little';
    this.#guidLow = Number(guid & 0xffffffffn);
    this.#guidHigh = Number(guid >> 32n);
    // The first OBJECT of a rest comes again without its spill block; what is made of it is checked.
    if (this.#options.expect !== 'rest') this.#spills.begin(begin);
    this.#entries.begin(begin);
    this.#framing.fletcher.order = begin.order;
  }

  /** Checks what all headers after BEGIN have in common: the checksums, a known type, the stream they belong to. */
  #check(view: DataView, at: number): void {
    const type = this.#type;
    if (type === BEGIN) throw refusals.secondBegin(this.#here());
    if (type === END) this.#takeTotal(at);
    const { fletcher } = this.#framing;
    this.#framing.sumTo(at + SUM_AT);
    if (!fletcher.matches(at + SUM_AT, view) && !this.#mayLackSum(at)) throw refusals.wrongSum(this.#here());
    const guidAt = TOGUID_AT[type];
    if (guidAt === undefined) throw refusals.unknownRecord(this.#here(), type);
    if (this.#options.expect === 'package' && type !== END) throw refusals.notAWrapper(this.#here());
    const low = view.getUint32(at + guidAt + (this.#little ? 0 : 4), this.#little);
    const high = view.getUint32(at + guidAt + (this.#little ? 4 : 0), this.#little);
    if (low !== this.#guidLow || high !== this.#guidHigh) throw refusals.otherStream(this.#here());
  }

  /** END carries the checksum of everything before it. */
  #takeTotal(at: number): void {
    const { fletcher } = this.#framing;
    this.#framing.sumTo(at);
    if (!fletcher.matches(at + RECORDS.END.fields.checksum.at)) throw refusals.wrongTotal(this.#here());
    this.#checksum = fletcher.hex;
  }

  /**
   * Old senders leave a record's checksum zero, as receivers allow (`dmu_recv.c`); then END's
   * total guards it. Nothing guards END itself, but then all that it does not need is zero too.
   */
  #mayLackSum(at: number): boolean {
    const { bytes } = this.#framing.fletcher;
    const isZero = (from: number, to: number) =>
      bytes.subarray(at + from, at + to).every((byte) => byte === 0);
    if (!isZero(SUM_AT, RECORD_SIZE)) return false;
    const { toguid } = RECORDS.END.fields;
    return this.#type !== END || (isZero(4, 8) && isZero(toguid.at + toguid.width, SUM_AT));
  }

  #truncated(): Error {
    const { torn, left } = this.#framing;
    if (this.position === 0) return refusals.empty(this.#nowhere());
    if (this.#records === 0 && !byteOrderOf(torn)) return refusals.notAStream(this.#nowhere());
    return refusals.truncated(left > 0 ? this.#inPayload() : this.#nowhere(), torn.length, left);
  }

  #fail(thrown: unknown): unknown {
    this.#failure = thrown;
    return thrown;
  }

  /** The record whose header is at hand. */
  #here(): StreamPlace {
    return { record: this.#records, type: RECORD_NAMES[this.#type] ?? null, position: this.position };
  }

  /** In the payload of the last record. */
  #inPayload(): StreamPlace {
    return { ...this.#here(), record: this.#records - 1 };
  }

  /** Where the next record would begin, or begins and is not whole. */
  #nowhere(): StreamPlace {
    return { record: this.#records, type: null, position: this.position };
  }
}

const BEGIN = RECORDS.BEGIN.type;
const END = RECORDS.END.type;
