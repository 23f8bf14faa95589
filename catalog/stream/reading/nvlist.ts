/**
 * Reading name-value lists as OpenZFS's libnvpair packs them (`nvpair.c`): in
 * XDR, or as they lie in the memory of either byte order, which is what kernels
 * write. Foreign bytes: every length is held against what is there.
 */

/** A value that is understood; `null` stands for one of another type. */
export type FlatValue = true | bigint | readonly bigint[] | string | null;

/**
 * The pairs of one list. Lists within it and values of other types are passed over.
 *
 * @returns `undefined` when the bytes are not a list, or not a whole one.
 * @example readNvlist(packNvlist(new Map([['object', 5n]])))?.get('object') // 5n
 */
export function readNvlist(bytes: Uint8Array): ReadonlyMap<string, FlatValue> | undefined {
  const [encoding, order] = bytes;
  if (encoding === XDR) return readPairs(new Cursor(bytes.subarray(HEADER), false), takeXdrPair);
  if (encoding !== NATIVE) return undefined;
  const little = order === LITTLE;
  if (!little && order !== BIG) return undefined;
  return readPairs(new Cursor(bytes.subarray(HEADER), little), takeNativePair);
}

/** `nvs_header_t`: encoding, byte order of the host that packed, two bytes that say nothing. */
const HEADER = 4;
const NATIVE = 0;
const XDR = 1;
const BIG = 0;
const LITTLE = 1;
/** `data_type_t`. */
const TYPES = { boolean: 1, uint64: 8, string: 9, uint64Array: 16 } as const;
/** `nvpair_t` in memory: its size, that of the name, the number of elements, the type. */
const PAIR = 16;

type Pair = readonly [name: string, value: FlatValue];
/** Takes one pair; `null` is the end of the list, `undefined` bytes that are no pair. */
type TakePair = (cursor: Cursor) => Pair | null | undefined;

function readPairs(cursor: Cursor, takePair: TakePair): ReadonlyMap<string, FlatValue> | undefined {
  if (!cursor.has(8) || cursor.u32() !== 0) return undefined; // `nvl_version`
  cursor.u32(); // `nvl_nvflag`
  const pairs = new Map<string, FlatValue>();
  for (;;) {
    const pair = takePair(cursor);
    if (pair === undefined) return undefined;
    if (pair === null) return pairs;
    pairs.set(...pair);
  }
}

/** A pair is: bytes of all of it, bytes in memory, name, type, number of elements, value. */
function takeXdrPair(cursor: Cursor): Pair | null | undefined {
  if (!cursor.has(8)) return undefined;
  const [size, memory] = [cursor.u32(), cursor.u32()];
  if (size === 0 && memory === 0) return null;
  const pair = cursor.piece(size - 8);
  const name = pair?.xdrText();
  if (!pair || name === undefined || !pair.has(8)) return undefined;
  const [type, count] = [pair.u32(), pair.u32()];
  if (type === TYPES.string && count === 1) return pairOf(name, pair.xdrText());
  if (type === TYPES.uint64Array && (!pair.has(4) || pair.u32() !== count)) return undefined;
  return pairOf(name, numbersOf(pair, type, count));
}

/** A pair is an `nvpair_t`, the name with a zero, and the value, each filled up to 8 bytes. */
function takeNativePair(cursor: Cursor): Pair | null | undefined {
  if (!cursor.has(4)) return undefined;
  const size = cursor.u32();
  if (size === 0) return null;
  const pair = cursor.piece(size - 4);
  if (!pair?.has(PAIR - 4)) return undefined;
  const nameSize = pair.u16();
  pair.u16(); // `nvp_reserve`
  const [count, type] = [pair.u32(), pair.u32()];
  const name = pair.piece(Math.ceil((PAIR + nameSize) / 8) * 8 - PAIR)?.textToZero();
  if (name === undefined) return undefined;
  if (type === TYPES.string && count === 1) return pairOf(name, pair.textToZero());
  return pairOf(name, numbersOf(pair, type, count));
}

const pairOf = (name: string, value: FlatValue | undefined): Pair | undefined =>
  value === undefined ? undefined : [name, value];

function numbersOf(cursor: Cursor, type: number, count: number): FlatValue | undefined {
  switch (type) {
    case TYPES.boolean:
      return true;
    case TYPES.uint64:
      return count === 1 && cursor.has(8) ? cursor.u64() : undefined;
    case TYPES.uint64Array:
      return cursor.has(count * 8) ? Array.from({ length: count }, () => cursor.u64()) : undefined;
    default:
      return null;
  }
}

/** A place in bytes. Whoever takes asks first whether they are there. */
class Cursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #little: boolean;
  #at = 0;

  constructor(bytes: Uint8Array, little: boolean) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#little = little;
  }

  has(length: number): boolean {
    return length >= 0 && this.#at + length <= this.#bytes.length;
  }

  u16(): number {
    this.#at += 2;
    return this.#view.getUint16(this.#at - 2, this.#little);
  }

  u32(): number {
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4, this.#little);
  }

  u64(): bigint {
    this.#at += 8;
    return this.#view.getBigUint64(this.#at - 8, this.#little);
  }

  /** The next bytes on their own. */
  piece(length: number): Cursor | undefined {
    if (!this.has(length)) return undefined;
    this.#at += length;
    return new Cursor(this.#bytes.subarray(this.#at - length, this.#at), this.#little);
  }

  /** A text with its length before it, filled up to 4 bytes. */
  xdrText(): string | undefined {
    if (!this.has(4)) return undefined;
    const length = this.u32();
    const text = this.#bytes.subarray(this.#at, this.#at + length);
    return this.piece(Math.ceil(length / 4) * 4) && Buffer.from(text).toString();
  }

  /** The text up to a zero, which must be there. */
  textToZero(): string | undefined {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) return undefined;
    return Buffer.from(this.#bytes.subarray(this.#at, end)).toString();
  }
}
