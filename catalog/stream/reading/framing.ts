/** Cuts a stream into headers and payloads and keeps its running checksum. What headers mean is not known here. */
import { Fletcher4, type Fletcher4Room } from '../fletcher4.ts';
import { RECORD_SIZE } from '../record.ts';
import type { ReaderState } from '../state.ts';

/** The part of a reader's state that is kept here. */
export type FramingState = Pick<ReaderState, 'at' | 'sum' | 'head' | 'left' | 'word'>;

/** What the header's taker gives back when it was the last one. */
export const LAST_RECORD = -1;

/**
 * Takes bytes in buffers of any size. Each header is handed out whole, by its
 * address in `fletcher.memory`; payloads are only summed. Payloads fill whole
 * 32-bit words, or their last bytes would not be in the checksum.
 */
export class Framing {
  readonly fletcher: Fletcher4;
  /** Takes a header: the memory that it lies in, its address, and its position in the stream. Gives the bytes of its payload, or LAST_RECORD. */
  readonly #take: (view: DataView, at: number, position: number) => number;
  /** Shown each piece of a payload. */
  readonly #show: ((piece: Uint8Array) => void) | undefined;
  #position = 0;
  /** Bytes of a header that wait at `fletcher.spare` for the rest of it. They are not summed yet. */
  #torn = 0;
  #left = 0;
  #closed = false;
  /** Bytes of the buffer at hand before this address are summed. */
  #summed = 0;

  constructor(
    room: Fletcher4Room | undefined,
    take: (view: DataView, at: number, position: number) => number,
    show?: (piece: Uint8Array) => void,
  ) {
    this.fletcher = new Fletcher4('little', room);
    this.#take = take;
    this.#show = show;
  }

  /** Bytes taken so far. */
  get position(): number {
    return this.#position;
  }

  /** Payload bytes still to come of the record at hand. */
  get left(): number {
    return this.#left;
  }

  /** The bytes of a header that is not whole yet; good until the next call. */
  get torn(): Uint8Array {
    const { bytes, spare } = this.fletcher;
    return bytes.subarray(spare, spare + this.#torn);
  }

  /**
   * Takes bytes up to the end of the last record.
   *
   * @returns how many were taken.
   */
  read(bytes: Uint8Array): number {
    const from = this.#position;
    this.fletcher.inMemory(bytes, (at, length) => this.#takePiece(at, at + length));
    return this.#position - from;
  }

  /** Brings the checksum up to this address, which lies in the header at hand. */
  sumTo(at: number): void {
    this.fletcher.sum(this.#summed, at - this.#summed);
    this.#summed = at;
  }

  /** Brings the checksum up to this address, which lies in the header at hand, and copies it. */
  copySum(at: number, halves: Uint32Array, view: DataView): void {
    this.sumTo(at);
    this.fletcher.copyTo(halves, view);
  }

  save(): FramingState {
    const { sum, word } = this.fletcher.save();
    return {
      at: this.#position,
      sum,
      ...(this.#torn > 0 && { head: base64(this.torn) }),
      ...(this.#left > 0 && { left: this.#left }),
      ...(word.length > 0 && { word: base64(word) }),
    };
  }

  /** Goes on from what {@link save} gave. */
  restore({ at, sum, head = '', left = 0, word = '' }: FramingState, closed: boolean): void {
    const torn = Buffer.from(head, 'base64').subarray(0, RECORD_SIZE - 1);
    this.fletcher.restore({ sum, word: Buffer.from(word, 'base64') });
    this.fletcher.bytes.set(torn, this.fletcher.spare);
    this.#position = at;
    this.#torn = torn.length;
    this.#left = left;
    this.#closed = closed;
  }

  /** Takes the bytes from `start` to `end`: the rest of a payload, whole records, and a piece of the next one. */
  #takePiece(start: number, end: number): void {
    if (this.#closed) return;
    const { view } = this.fletcher; // once for all records: it asks the memory whether it has grown
    let at = this.#torn > 0 ? this.#mendHeader(start, end) : start;
    let from = at; // the address that `#position` speaks of
    this.#summed = at;
    while (!this.#closed && at < end) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, end - at);
        if (this.#show) this.#show(this.fletcher.bytes.subarray(at, at + step));
        at += step;
        this.#left -= step;
      } else if (end - at < RECORD_SIZE) {
        break;
      } else {
        this.#position += at - from;
        from = at;
        this.#takeHeader(view, at);
        at += RECORD_SIZE;
      }
    }
    this.sumTo(at);
    this.#position += at - from;
    if (!this.#closed && at < end) this.#tearHeader(at, end);
  }

  #takeHeader(view: DataView, at: number): void {
    const length = this.#take(view, at, this.#position);
    if (length === LAST_RECORD) this.#closed = true;
    else this.#left = length;
  }

  #tearHeader(at: number, end: number): void {
    this.fletcher.bytes.copyWithin(this.fletcher.spare + this.#torn, at, end);
    this.#torn += end - at;
    this.#position += end - at;
  }

  /** Completes a torn header from here; gives the address up to which bytes were used. */
  #mendHeader(start: number, end: number): number {
    const used = Math.min(end, start + RECORD_SIZE - this.#torn);
    this.#tearHeader(start, used);
    if (this.#torn < RECORD_SIZE) return used;
    const { spare } = this.fletcher;
    this.#torn = 0;
    this.#summed = spare;
    this.#position -= RECORD_SIZE;
    this.#takeHeader(this.fletcher.view, spare);
    this.#position += RECORD_SIZE;
    this.sumTo(spare + RECORD_SIZE);
    return used;
  }
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
