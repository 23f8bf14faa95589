/** Streams of a small made-up target: ZFS's tables and Lustre's files, in any order of objects. */
import { type Part, part } from '../../stream/parts.ts';

export interface MadeFile {
  readonly object: number;
  readonly bytes: Uint8Array;
  /** Size in its attributes; all of the bytes when it is not said. */
  readonly size?: number;
}

/** `ROOT` and so on, in one block of 64-byte entries. */
export function microZap(entries: Readonly<Record<string, bigint>>, blockSize = 512): Buffer {
  const block = Buffer.alloc(blockSize);
  block.writeBigUInt64LE((1n << 63n) + 3n);
  Object.entries(entries).forEach(([name, value], index) => {
    block.writeBigUInt64LE(value, 64 + index * 64);
    block.write(name, 64 + index * 64 + 14, 'utf8');
  });
  return block;
}

/** A header that points to one leaf for each group of entries. Values are numbers of `width` bytes. */
export function fatZap(
  groups: readonly (readonly [string, readonly bigint[]])[][],
  { blockSize = 16_384, width = 8, table = false } = {},
): Buffer {
  const header = Buffer.alloc(blockSize);
  header.writeBigUInt64LE((1n << 63n) + 1n);
  header.writeBigUInt64LE(0x2f52ab2abn, 8);
  const first = table ? 2 : 1;
  const pointers = Buffer.alloc(table ? blockSize : blockSize / 2);
  for (let at = 0; at < pointers.length; at += 8) {
    const leaf = Math.floor((at / pointers.length) * groups.length);
    pointers.writeBigUInt64LE(BigInt(first + leaf), at);
  }
  if (table) {
    header.writeBigUInt64LE(1n, 16);
    header.writeBigUInt64LE(1n, 24);
  } else {
    pointers.copy(header, blockSize / 2);
  }
  const leaves = groups.map((entries) => leafOf(entries, blockSize, width));
  return Buffer.concat([header, ...(table ? [pointers] : []), ...leaves]);
}

function leafOf(
  entries: readonly (readonly [string, readonly bigint[]])[],
  blockSize: number,
  width: number,
): Buffer {
  const leaf = Buffer.alloc(blockSize);
  leaf.writeBigUInt64LE(1n << 63n);
  leaf.writeUInt32LE(0x2ab1eaf, 24);
  const start = 48 + blockSize / 16;
  let next = 0;
  const chunk = (): number => start + next++ * 24;
  const array = (bytes: Buffer): number => {
    const number = next;
    for (let at = 0; at < bytes.length; at += 21) {
      const place = chunk();
      leaf.writeUInt8(251, place);
      bytes.copy(leaf, place + 1, at, at + 21);
      leaf.writeUInt16LE(at + 21 < bytes.length ? next : 0xffff, place + 22);
    }
    return number;
  };
  for (const [name, values] of entries) {
    const text = Buffer.from(`${name}\0`);
    const numbers = Buffer.concat(
      values.map((value) => {
        const bytes = Buffer.alloc(8);
        bytes.writeBigUInt64BE(value);
        return bytes.subarray(8 - width);
      }),
    );
    const place = chunk();
    leaf.writeUInt8(252, place);
    leaf.writeUInt8(width, place + 1);
    leaf.writeUInt16LE(array(text), place + 4);
    leaf.writeUInt16LE(text.length, place + 6);
    leaf.writeUInt16LE(array(numbers), place + 8);
    leaf.writeUInt16LE(values.length, place + 10);
  }
  return leaf;
}

/** The attributes of a file by a layout of mode and size: header of 8 bytes, mode, size. */
export function bonusOf(size: number): Buffer {
  const bonus = Buffer.alloc(24);
  bonus.writeUInt32LE(0x2f505a);
  bonus.writeUInt16LE((1 << 10) | 2, 4);
  bonus.writeBigUInt64LE(BigInt(size), 16);
  return bonus;
}

/** An object and its blocks. */
export function objectOf(
  number: number,
  bytes: Uint8Array,
  { type = 19, blockSize = 512, size = bytes.length } = {},
): Part[] {
  const bonus = bonusOf(size);
  const object = BigInt(number);
  const made = [
    part(
      'OBJECT',
      { object, object_type: type, bonustype: 44, blksz: blockSize, bonuslen: bonus.length, dn_slots: 1 },
      bonus,
    ),
  ];
  for (let at = 0; at < bytes.length; at += blockSize) {
    const block = Buffer.alloc(blockSize);
    block.set(bytes.subarray(at, at + blockSize));
    made.push(
      part(
        'WRITE',
        { object, object_type: type, offset: BigInt(at), logical_size: BigInt(blockSize) },
        block,
      ),
    );
  }
  return made;
}

/** The objects that every dataset has: the master node, the tables of attributes. */
export function datasetParts(root: number): [number, Part[]][] {
  const registry = microZap({ ZPL_MODE: (8n << 24n) | 5n, ZPL_SIZE: (8n << 24n) | 6n });
  const layouts = fatZap([[['2', [5n, 6n]]]], { width: 2 });
  return [
    [1, objectOf(1, microZap({ VERSION: 5n, ROOT: BigInt(root) }), { type: 21 })],
    [35, objectOf(35, registry, { type: 46 })],
    [36, objectOf(36, layouts, { type: 47, blockSize: 16_384 })],
  ];
}

const DIRECTORY = 4n << 60n;
const FILE = 8n << 60n;

/** A directory as Lustre writes it: object, and the FID in two numbers. */
export function directoryOf(names: Readonly<Record<string, number>>): Buffer {
  const entries = Object.entries(names).map(([name, object]) => {
    const kind = name === 'CONFIGS' ? DIRECTORY : FILE;
    return [name, [kind | BigInt(object), 0x200000001n, 5n]] as const;
  });
  return fatZap([entries]);
}

/** A `last_rcvd` with clients of these UUIDs in its slots; an empty one is a free slot. */
export function lastRcvd(uuid: string, index: number, clients: readonly string[]): Buffer {
  const file = Buffer.alloc(8192 + clients.length * 128);
  file.write(uuid);
  file.writeBigUInt64LE(77n, 40);
  file.writeBigUInt64LE(3n, 56);
  file.writeUInt32LE(512, 76);
  file.writeUInt32LE(8192, 80);
  file.writeUInt16LE(128, 84);
  file.writeUInt32LE(index, 140);
  clients.forEach((client, slot) => void file.write(client, 8192 + slot * 128));
  return file;
}

/** u64s, little-endian. */
export function numbersFile(numbers: readonly bigint[]): Buffer {
  const file = Buffer.alloc(numbers.length * 8);
  numbers.forEach((number, index) => void file.writeBigUInt64LE(number, index * 8));
  return file;
}
