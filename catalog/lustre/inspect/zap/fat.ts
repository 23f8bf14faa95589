/** The large form of a ZAP: a header with a table of pointers, and leaves, which are arrays of 24-byte chunks. */
import { Fields, malformed } from '../fields.ts';
import { blockOf, type KeptObject } from '../objects.ts';
import type { ZapEntry } from './zap.ts';

const HEADER_MAGIC = 0x2f52ab2abn;
const LEAF = 1n << 63n;
const LEAF_MAGIC = 0x2ab1eaf;
const LEAF_HEADER = 48;
const CHUNK = 24;
/** Bytes of an array in one chunk. */
const CHUNK_BYTES = 21;
const ENTRY_CHUNK = 252;
const ARRAY_CHUNK = 251;
/** Longest name: with the feature `longname`, 1023 bytes and a zero. */
const MOST_NAME = 1024;
/** Most bytes of one value that are of interest here. */
const MOST_VALUE = 8 * 1024;

/** All entries of all leaves that the header points to. */
export function fatEntries(object: KeptObject, header: Fields): ZapEntry[] {
  if (header.u64(8) !== HEADER_MAGIC) throw malformed(header.what, 'its header is none');
  const { blockSize } = object;
  if (blockSize < 512 || (blockSize & (blockSize - 1)) !== 0) throw malformed(header.what, 'its block size');
  const entries: ZapEntry[] = [];
  for (const number of leavesOf(object, header)) {
    const leaf = new Fields(blockOf(object, number), header.little, header.what);
    entries.push(...leafEntries(leaf, blockSize));
  }
  return entries;
}

/** The numbers of the leaf blocks: the second half of the header, or blocks of their own, hold the pointers. */
function leavesOf(object: KeptObject, header: Fields): Set<number> {
  const { blockSize } = object;
  const [block, blocks] = [header.count(16), header.count(24)];
  const leaves = new Set<number>();
  const take = (from: Fields, at: number) => {
    for (; at + 8 <= from.length; at += 8) leaves.add(from.count(at));
  };
  if (blocks === 0) take(header, blockSize / 2);
  if (blocks > object.blocks.size) throw malformed(header.what, 'its table of pointers is not whole');
  for (let n = 0; n < blocks; n++) {
    take(new Fields(blockOf(object, block + n), header.little, header.what), 0);
  }
  leaves.delete(0);
  return leaves;
}

function leafEntries(leaf: Fields, blockSize: number): ZapEntry[] {
  if (leaf.u64(0) !== LEAF || leaf.u32(24) !== LEAF_MAGIC) throw malformed(leaf.what, 'a leaf of it is none');
  const chunks = new Chunks(leaf, LEAF_HEADER + blockSize / 16);
  const entries: ZapEntry[] = [];
  for (let number = 0; number < chunks.count; number++) {
    const at = chunks.at(number);
    if (leaf.u8(at) !== ENTRY_CHUNK) continue;
    const width = leaf.u8(at + 1);
    const name = chunks.bytes(leaf.u16(at + 4), Math.min(leaf.u16(at + 6), MOST_NAME));
    const numbers = leaf.u16(at + 10);
    if (width > 8 || width * numbers > MOST_VALUE) throw malformed(leaf.what, 'a value of it is too long');
    const value = chunks.bytes(leaf.u16(at + 8), width * numbers);
    const end = name.indexOf(0);
    const text = Buffer.from(end < 0 ? name : name.subarray(0, end)).toString();
    entries.push({ name: text, values: numbersOf(value, width) });
  }
  return entries;
}

/** Arrays hold big-endian numbers in every stream. */
function numbersOf(bytes: Uint8Array, width: number): bigint[] {
  const numbers: bigint[] = [];
  for (let at = 0; width > 0 && at + width <= bytes.length; at += width) {
    let number = 0n;
    for (const byte of bytes.subarray(at, at + width)) number = (number << 8n) | BigInt(byte);
    numbers.push(number);
  }
  return numbers;
}

/** The chunks of one leaf. */
class Chunks {
  readonly count: number;
  readonly #leaf: Fields;
  readonly #start: number;
  /** Chunks read as parts of arrays: each belongs to one. */
  #read = 0;

  constructor(leaf: Fields, start: number) {
    this.#leaf = leaf;
    this.#start = start;
    this.count = Math.max(0, Math.floor((leaf.length - start) / CHUNK));
  }

  at(number: number): number {
    return this.#start + number * CHUNK;
  }

  /** An array of so many bytes, which begins in this chunk. */
  bytes(number: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let have = 0; have < length; have += CHUNK_BYTES) {
      const at = this.at(number);
      if (number >= this.count || this.#read++ > this.count || this.#leaf.u8(at) !== ARRAY_CHUNK) {
        throw malformed(this.#leaf.what, 'an entry of it is torn');
      }
      bytes.set(this.#leaf.slice(at + 1, Math.min(CHUNK_BYTES, length - have)), have);
      number = this.#leaf.u16(at + 22);
    }
    return bytes;
  }
}
