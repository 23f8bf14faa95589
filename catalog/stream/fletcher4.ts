/** Fletcher4, the running checksum of a send stream (OpenZFS `zcommon/zfs_fletcher.c`). */
import { ZkeepError } from '../errors.ts';
import { fletcher4Code, type SumWords } from './fletcher4-code.ts';

/** Byte order of a stream: its sender's. */
export type ByteOrder = 'little' | 'big';

/** Where a {@link Fletcher4} works. */
export interface Fletcher4Room {
  /** Bytes that lie in it are summed where they are; others are copied through a scratch piece first. May be shared. */
  readonly memory: WebAssembly.Memory;
  /** Address of the {@link FLETCHER4_ROOM} bytes that this instance alone may use: a multiple of 8. */
  readonly at: number;
}

/** Bytes of memory that one instance needs. */
export const FLETCHER4_ROOM = 64 * 1024 + 512;

/** What must be kept to go on summing later. */
export interface Fletcher4State {
  /** The four sums: 4 x 16 hex digits. */
  readonly sum: string;
  /** Bytes that do not fill a 32-bit word yet: 0 to 3. */
  readonly word: Uint8Array;
}

// The room: four sums, a word that is not full yet, 320 bytes for the owner, then the scratch piece.
const WORD_AT = 32;
const OWNER_AT = 64;
const SCRATCH_AT = 512;
const SCRATCH = FLETCHER4_ROOM - SCRATCH_AT; // small enough to stay in the L2 cache
const PAGE = 64 * 1024;

/**
 * A running fletcher4 over 32-bit words of one byte order: a += word, b += a,
 * c += b, d += c, modulo 2^64. Takes bytes in pieces of any size.
 *
 * @example
 * const sum = new Fletcher4('little');
 * sum.update(bytes);
 * sum.hex; // '…64 hex digits…'
 */
export class Fletcher4 {
  readonly memory: WebAssembly.Memory;
  /** Address of 320 bytes in `memory` that the owner of this instance may use. */
  readonly spare: number;
  #bytes: Uint8Array;
  #view: DataView;
  readonly #at: number;
  readonly #sums: Readonly<Record<ByteOrder, SumWords>>;
  #order: ByteOrder;
  #sumWords: SumWords;
  /** Bytes that wait at WORD_AT for their word to be full. */
  #waiting = 0;

  /** @throws {ZkeepError} `usage` when the room does not lie in its memory. */
  constructor(order: ByteOrder, room: Fletcher4Room = ownRoom()) {
    this.memory = room.memory;
    this.#at = room.at;
    this.spare = room.at + OWNER_AT;
    this.#bytes = new Uint8Array(room.memory.buffer);
    this.#view = new DataView(room.memory.buffer);
    if (room.at % 8 !== 0 || room.at < 0 || room.at + FLETCHER4_ROOM > this.#bytes.length) {
      throw new ZkeepError('usage', 'stream.room', `no room for a checksum at address ${room.at}`, {
        advice: `leave ${FLETCHER4_ROOM} bytes of the memory free, at a multiple of 8`,
      });
    }
    this.#sums = link(room.memory);
    this.#order = order;
    this.#sumWords = this.#sums[order];
    this.#bytes.fill(0, room.at, room.at + SCRATCH_AT);
  }

  /** The byte order in which words are read. May be set before anything was summed. */
  get order(): ByteOrder {
    return this.#order;
  }

  set order(order: ByteOrder) {
    this.#order = order;
    this.#sumWords = this.#sums[order];
  }

  /** All of `memory` as bytes; made anew when the memory has grown. */
  get bytes(): Uint8Array {
    if (this.#bytes.buffer !== this.memory.buffer) this.#bytes = new Uint8Array(this.memory.buffer);
    return this.#bytes;
  }

  /** All of `memory` to read numbers from. */
  get view(): DataView {
    if (this.#view.buffer !== this.memory.buffer) this.#view = new DataView(this.memory.buffer);
    return this.#view;
  }

  /** Adds bytes, wherever they lie. */
  update(bytes: Uint8Array): void {
    this.inMemory(bytes, (at, length) => this.sum(at, length));
  }

  /**
   * Brings bytes into `memory`, a piece after the other, unless they are there
   * already, and hands out the address and length of each.
   */
  inMemory(bytes: Uint8Array, take: (at: number, length: number) => void): void {
    if (bytes.buffer === this.memory.buffer) {
      take(bytes.byteOffset, bytes.length);
      return;
    }
    const scratch = this.#at + SCRATCH_AT;
    for (let done = 0; done < bytes.length; done += SCRATCH) {
      const piece = bytes.length <= SCRATCH ? bytes : bytes.subarray(done, done + SCRATCH);
      this.bytes.set(piece, scratch);
      take(scratch, piece.length);
    }
  }

  /** Adds `length` bytes at address `at` of `memory`. */
  sum(at: number, length: number): void {
    while (this.#waiting > 0 && length > 0) {
      this.#wait(at, 1);
      at++;
      length--;
    }
    const words = length >>> 2;
    if (words > 0) this.#sumWords(this.#at, at, words);
    if (length & 3) this.#wait(at + words * 4, length & 3);
  }

  /** Whether the sums are equal to the four numbers at address `at` of `memory`, in this byte order. `view` is {@link view}. */
  matches(at: number, view: DataView = this.view): boolean {
    const little = this.#order === 'little';
    for (let n = 0; n < 32; n += 8) {
      if (view.getUint32(this.#at + n, true) !== view.getUint32(at + n + (little ? 0 : 4), little))
        return false;
      if (view.getUint32(this.#at + n + 4, true) !== view.getUint32(at + n + (little ? 4 : 0), little))
        return false;
    }
    return true;
  }

  /** The four sums over all whole words: 4 x 16 hex digits. */
  get hex(): string {
    return this.value.map((sum) => sum.toString(16).padStart(16, '0')).join('');
  }

  /** The four sums over all whole words. */
  get value(): [bigint, bigint, bigint, bigint] {
    const at = (n: number) => this.view.getBigUint64(this.#at + n * 8, true);
    return [at(0), at(1), at(2), at(3)];
  }

  /** Copies the four sums, each a low and a high half; {@link hexOfSums} makes text of them. `view` is {@link view}. */
  copyTo(halves: Uint32Array, view: DataView): void {
    const at = this.#at;
    for (let n = 0; n < 8; n++) halves[n] = view.getUint32(at + n * 4, true);
  }

  /** Writes the four sums to address `at` of `memory`, in this byte order. `view` is {@link view}. */
  writeAt(at: number, view: DataView): void {
    const little = this.#order === 'little';
    const low = little ? 0 : 4;
    for (let n = 0; n < 32; n += 8) {
      view.setUint32(at + n + low, view.getUint32(this.#at + n, true), little);
      view.setUint32(at + n + 4 - low, view.getUint32(this.#at + n + 4, true), little);
    }
  }

  /** What {@link restore} takes to go on from here. */
  save(): Fletcher4State {
    const word = this.#at + WORD_AT;
    return { sum: this.hex, word: this.bytes.slice(word, word + this.#waiting) };
  }

  /** Goes on from what {@link save} gave. */
  restore(state: Fletcher4State): void {
    if (!/^[0-9a-f]{64}$/.test(state.sum) || state.word.length > 3) {
      throw new ZkeepError('damaged', 'stream.state', 'this is not the state of a checksum', {
        advice: 'read the stream from its start',
      });
    }
    for (let n = 0; n < 4; n++) {
      this.view.setBigUint64(this.#at + n * 8, BigInt(`0x${state.sum.slice(n * 16, n * 16 + 16)}`), true);
    }
    this.bytes.set(state.word, this.#at + WORD_AT);
    this.#waiting = state.word.length;
  }

  /** Keeps bytes until their word is full, then adds it. */
  #wait(at: number, length: number): void {
    const word = this.#at + WORD_AT;
    this.bytes.copyWithin(word + this.#waiting, at, at + length);
    this.#waiting += length;
    if (this.#waiting === 4) {
      this.#sumWords(this.#at, word, 1);
      this.#waiting = 0;
    }
  }
}

/** The text of sums in halves, as {@link Fletcher4.hex} has it. */
export function hexOfSums(halves: Uint32Array): string {
  const hex = (n: number) => (halves[n] ?? 0).toString(16).padStart(8, '0');
  return [1, 0, 3, 2, 5, 4, 7, 6].map(hex).join('');
}

function ownRoom(): Fletcher4Room {
  return { memory: new WebAssembly.Memory({ initial: Math.ceil(FLETCHER4_ROOM / PAGE) }), at: 0 };
}

const modules = new Map<boolean, WebAssembly.Module>();
const linked = new WeakMap<WebAssembly.Memory, Record<ByteOrder, SumWords>>();

/** The two functions, working on this memory. */
function link(memory: WebAssembly.Memory): Record<ByteOrder, SumWords> {
  const known = linked.get(memory);
  if (known) return known;
  const shared = memory.buffer instanceof SharedArrayBuffer;
  const module = modules.get(shared) ?? new WebAssembly.Module(fletcher4Code(shared));
  modules.set(shared, module);
  const { sum, sumSwapped } = new WebAssembly.Instance(module, { m: { m: memory } }).exports;
  const functions = { little: sum as SumWords, big: sumSwapped as SumWords };
  linked.set(memory, functions);
  return functions;
}
