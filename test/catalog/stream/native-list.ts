/** Name-value lists as they lie in a kernel's memory, after OpenZFS `nvpair.c`. */
import type { ByteOrder } from '../../../catalog/stream/fletcher4.ts';

/** Name, number of the type (`data_type_t`), value. */
export type NativePair = readonly [
  name: string,
  type: number,
  value: bigint | string | readonly bigint[] | true,
];

/** A list as a kernel of this byte order has it in memory, after `nvpair.c`. */
export function nativeList(pairs: readonly NativePair[], order: ByteOrder): Buffer {
  const little = order === 'little';
  const number = (width: 2 | 4 | 8, value: number | bigint) => {
    const bytes = new Uint8Array(width);
    const view = new DataView(bytes.buffer);
    if (width === 8) view.setBigUint64(0, BigInt(value), little);
    else if (width === 4) view.setUint32(0, Number(value), little);
    else view.setUint16(0, Number(value), little);
    return bytes;
  };
  const filled = (bytes: Uint8Array) => Buffer.concat([bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)]);
  const packedValue = (value: NativePair[2]) =>
    value === true
      ? Buffer.alloc(0)
      : typeof value === 'string'
        ? filled(Buffer.from(`${value}\0`))
        : Buffer.concat([value].flat().map((each) => number(8, each)));
  const packed = pairs.map(([name, type, value]) => {
    const text = Buffer.from(`${name}\0`);
    const count = value === true ? 0 : Array.isArray(value) ? value.length : 1;
    const head = [number(2, text.length), number(2, 0), number(4, count), number(4, type), text];
    const rest = Buffer.concat([
      filled(Buffer.concat([number(4, 0), ...head])).subarray(4),
      packedValue(value),
    ]);
    return Buffer.concat([number(4, 4 + rest.length), rest]);
  });
  const header = Uint8Array.of(0, little ? 1 : 0, 0, 0);
  return Buffer.concat([header, number(4, 0), number(4, 1), ...packed, number(4, 0)]);
}
