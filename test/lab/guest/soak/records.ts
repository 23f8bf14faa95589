/**
 * Two send streams compared record by record, without zkeep: all but their
 * checksums and BEGIN, which tells the dataset's name.
 */
import { type FileHandle, open } from 'node:fs/promises';

/** Of every record the header; `sys/zfs_ioctl.h` says what is where. */
const HEADER = 312;
const SUM_AT = 280;
/** Of a WRITE: what kind of checksum the block has in the pool, and its sizes and checksum as it is compressed there. */
const KINDS = [48, 50] as const;
const KEY = [56, 96] as const;
const NAMES =
  'BEGIN OBJECT FREEOBJECTS WRITE FREE END WRITE_BYREF SPILL WRITE_EMBEDDED OBJECT_RANGE REDACT'.split(' ');

/**
 * What is the first thing in which two streams in files differ, in words; `undefined`: nothing.
 *
 * @param decoded the blocks in them are not as they lie in the pool: how they lie there does not matter.
 */
export async function differenceOf(
  one: string,
  other: string,
  { decoded = false }: { readonly decoded?: boolean } = {},
): Promise<string | undefined> {
  const files = await Promise.all([Records.open(one, decoded), Records.open(other, decoded)]);
  try {
    for (let count = 0; ; count++) {
      const [left, right] = [await files[0].next(), await files[1].next()];
      if (left === undefined && right === undefined) return undefined;
      const same = left !== undefined && right !== undefined && left.compare(right) === 0;
      if (!same) return `record ${count}${where(left, right)}: ${say(left)}, the other: ${say(right)}`;
    }
  } finally {
    for (const file of files) await file.close();
  }
}

/** A stream in a file, read by records. */
class Records {
  readonly #file: FileHandle;
  readonly #decoded: boolean;
  readonly #buffer = Buffer.allocUnsafe(4 * 1024 * 1024);
  #from = 0;
  #to = 0;

  private constructor(file: FileHandle, decoded: boolean) {
    this.#file = file;
    this.#decoded = decoded;
  }

  static async open(path: string, decoded: boolean): Promise<Records> {
    return new Records(await open(path), decoded);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** The next record and its payload, with zeros for what may differ; good until the one after it. */
  async next(): Promise<Buffer | undefined> {
    const header = await this.#take(HEADER);
    if (!header) return undefined;
    const record = await this.#take(HEADER + payloadOf(header));
    if (!record) throw new Error('the stream ends within a payload');
    this.#from += record.length;
    const type = record.readUInt32LE(0);
    if (type === 0) return record.subarray(0, 4);
    record.fill(0, SUM_AT, HEADER);
    if (type === 3 && this.#decoded) record.fill(0, ...KINDS).fill(0, ...KEY);
    if (type === 5) record.fill(0, 8, 40);
    return record;
  }

  /** So many bytes, which stay the next ones. */
  async #take(length: number): Promise<Buffer | undefined> {
    while (this.#to - this.#from < length) {
      this.#buffer.copyWithin(0, this.#from, this.#to);
      this.#to -= this.#from;
      this.#from = 0;
      const { bytesRead } = await this.#file.read(this.#buffer, this.#to, this.#buffer.length - this.#to);
      if (bytesRead === 0) return undefined;
      this.#to += bytesRead;
    }
    return this.#buffer.subarray(this.#from, this.#from + length);
  }
}

function payloadOf(header: Buffer): number {
  const roundedUp = (length: number) => Math.ceil(length / 8) * 8;
  const size = (at: number) => Number(header.readBigUInt64LE(at));
  switch (header.readUInt32LE(0)) {
    case 0:
      return header.readUInt32LE(4);
    case 1:
      return header.readUInt32LE(36) || roundedUp(header.readUInt32LE(28));
    case 3:
      return header[50] ? size(96) : size(32);
    case 7:
      return size(40) || size(16);
    case 8:
      return roundedUp(header.readUInt32LE(52));
    default:
      return 0;
  }
}

function where(left: Buffer | undefined, right: Buffer | undefined): string {
  if (!left || !right) return '';
  return ` at byte ${left.findIndex((byte, at) => byte !== right[at])}`;
}

function say(record: Buffer | undefined): string {
  if (!record) return 'none';
  const name = NAMES[record.readUInt32LE(0)];
  if (record.length < HEADER) return String(name);
  return `${name} ${[8, 16, 24].map((at) => record.readBigUInt64LE(at)).join(' ')} of ${record.length} bytes`;
}
