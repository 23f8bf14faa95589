/**
 * Name-value lists in XDR, as OpenZFS's libnvpair packs them (`nvpair.c`,
 * `nvs_xdr_*`): what the BEGIN of a package carries, and a resume token. `reading/nvlist.ts` reads them.
 */

/** A value of a pair: a flag that is there, an unsigned 64-bit number or several, a text or its bytes, another list. */
export type NvValue = true | bigint | readonly bigint[] | string | Uint8Array | NvList;
/** Names and values, in their order. */
export interface NvList extends ReadonlyMap<string, NvValue> {}

/**
 * Packs a list: encoding XDR, names unique.
 *
 * @example packNvlist(new Map([['tosnap', 'one'], ['not_recursive', true]]))
 */
export function packNvlist(list: NvList): Uint8Array {
  return Buffer.concat([XDR, packList(list)]);
}

/** `nvs_header_t`: encoding 1 (XDR), sender's order little-endian, which XDR does not heed. */
const XDR = Uint8Array.of(1, 1, 0, 0);
/** `nvl_version` 0, `nvl_nvflag` NV_UNIQUE_NAME. */
const LIST_HEAD = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1);
/** A pair of size 0 ends a list. */
const LIST_END = new Uint8Array(8);

/** `data_type_t`. */
const TYPES = { boolean: 1, uint64: 8, string: 9, uint64_array: 16, nvlist: 19 } as const;
/** Bytes of `nvpair_t` and `nvlist_t` in memory (64 bit), which a reader allocates by. */
const PAIR_IN_MEMORY = 16;
const LIST_IN_MEMORY = 24;

interface Packed {
  readonly type: number;
  readonly count: number;
  readonly bytes: Uint8Array;
  /** Bytes of the value in memory. */
  readonly memory: number;
}

function packList(list: NvList): Uint8Array {
  return Buffer.concat([LIST_HEAD, ...[...list].map(([name, value]) => packPair(name, value)), LIST_END]);
}

function packPair(name: string, value: NvValue): Uint8Array {
  const { type, count, bytes, memory } = packValue(value);
  const text = Buffer.from(name, 'utf8');
  const rest = Buffer.concat([packText(text), u32(type), u32(count), bytes]);
  const inMemory = round8(PAIR_IN_MEMORY + text.length + 1) + memory;
  return Buffer.concat([u32(8 + rest.length), u32(inMemory), rest]);
}

function packValue(value: NvValue): Packed {
  if (value === true) return { type: TYPES.boolean, count: 0, bytes: new Uint8Array(), memory: 0 };
  if (typeof value === 'bigint') return { type: TYPES.uint64, count: 1, bytes: u64(value), memory: 8 };
  if (typeof value === 'string' || value instanceof Uint8Array) {
    const text = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
    return { type: TYPES.string, count: 1, bytes: packText(text), memory: round8(text.length + 1) };
  }
  if (isNumbers(value)) {
    const bytes = Buffer.concat([u32(value.length), ...value.map(u64)]);
    return { type: TYPES.uint64_array, count: value.length, bytes, memory: value.length * 8 };
  }
  return { type: TYPES.nvlist, count: 1, bytes: packList(value), memory: LIST_IN_MEMORY };
}

const isNumbers = (value: readonly bigint[] | NvList): value is readonly bigint[] => Array.isArray(value);

function packText(text: Uint8Array): Uint8Array {
  const padded = new Uint8Array(4 + Math.ceil(text.length / 4) * 4);
  padded.set(u32(text.length));
  padded.set(text, 4);
  return padded;
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

function round8(length: number): number {
  return Math.ceil(length / 8) * 8;
}
