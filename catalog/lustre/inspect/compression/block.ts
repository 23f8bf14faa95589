/** A block of a stream as it was before it was compressed (`zfs send -c`, and blocks that lie in block pointers). */
import { inflateSync, zstdDecompressSync } from 'node:zlib';
import { ZkeepError } from '../../../errors.ts';
import { malformed, tooLarge } from '../fields.ts';
import { unpackLz4 } from './lz4.ts';

/** A block as it came. */
export interface StoredBlock {
  readonly bytes: Uint8Array;
  /** `enum zio_compress` (OpenZFS `include/sys/zio.h`); 0 in records that say nothing of it. */
  readonly compression: number;
  /** Bytes that it has in the file. */
  readonly size: number;
}

/** The largest block of ZFS (SPA_MAXBLOCKSIZE). */
export const MOST_BLOCK = 16 * 1024 * 1024;

/**
 * Unpacks a block.
 *
 * @throws {ZkeepError} `damaged` when it does not unpack to its size, `refused` for a method that is not known here.
 */
export function unpackBlock({ bytes, compression, size }: StoredBlock): Uint8Array {
  if (size > MOST_BLOCK) throw tooLarge('one block', MOST_BLOCK);
  const method = METHODS.find(({ from, to }) => from <= compression && compression <= to);
  if (!method) throw unknown(compression);
  const unpacked = attempt(() => method.unpack(bytes, size));
  if (unpacked?.length !== size) throw malformed('a block', `it does not unpack to ${size} bytes`);
  return unpacked;
}

const METHODS: readonly {
  from: number;
  to: number;
  unpack(bytes: Uint8Array, size: number): Uint8Array | undefined;
}[] = [
  { from: 0, to: 0, unpack: whole },
  { from: 2, to: 2, unpack: whole },
  { from: 5, to: 13, unpack: (bytes, size) => inflateSync(bytes, { maxOutputLength: size || 1 }) },
  { from: 15, to: 15, unpack: unpackLz4 },
  { from: 16, to: 16, unpack: unpackZstd },
];

function whole(bytes: Uint8Array, size: number): Uint8Array {
  return bytes.subarray(0, size);
}

const ZSTD_MAGIC = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd);

/** ZFS writes the length and its version and level, big-endian, and a frame without its magic number (`zfs_zstd.c`). */
function unpackZstd(bytes: Uint8Array, size: number): Uint8Array | undefined {
  if (bytes.length < 8) return undefined;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  if (length > bytes.length - 8) return undefined;
  const frame = Buffer.concat([ZSTD_MAGIC, bytes.subarray(8, 8 + length)]);
  return zstdDecompressSync(frame, { maxOutputLength: size || 1 });
}

/** What zlib throws of foreign bytes has one meaning here. */
function attempt(unpack: () => Uint8Array | undefined): Uint8Array | undefined {
  try {
    return unpack();
  } catch {
    return undefined;
  }
}

function unknown(compression: number): ZkeepError {
  return new ZkeepError(
    'refused',
    'inspect.compression',
    `blocks compressed with method ${compression} cannot be read`,
    {
      advice: 'send without -c into a file, and give that: zkeep lustre inspect --stream FILE',
      facts: { compression },
    },
  );
}
