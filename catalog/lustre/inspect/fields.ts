/** Numbers out of foreign bytes: what lies outside of them is an error in words, never a slip of the language. */
import { ZkeepError } from '../../errors.ts';

/** The bytes of one thing, and its name for errors. */
export class Fields {
  readonly bytes: Uint8Array;
  readonly little: boolean;
  readonly what: string;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, little: boolean, what: string) {
    this.bytes = bytes;
    this.little = little;
    this.what = what;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get length(): number {
    return this.bytes.length;
  }

  u8(at: number): number {
    return this.#view.getUint8(this.#inside(at, 1));
  }

  u16(at: number): number {
    return this.#view.getUint16(this.#inside(at, 2), this.little);
  }

  u32(at: number): number {
    return this.#view.getUint32(this.#inside(at, 4), this.little);
  }

  u64(at: number): bigint {
    return this.#view.getBigUint64(this.#inside(at, 8), this.little);
  }

  /** An unsigned 64-bit number that must be small: a size, a block number. */
  count(at: number): number {
    const value = this.u64(at);
    if (value > Number.MAX_SAFE_INTEGER)
      throw malformed(this.what, `a number at byte ${at} is beyond bounds`);
    return Number(value);
  }

  /** Bytes as they lie here, not copied. */
  slice(at: number, length: number): Uint8Array {
    this.#inside(at, length);
    return this.bytes.subarray(at, at + length);
  }

  /** Text up to its first zero byte, of a field of this width. */
  text(at: number, width: number): string {
    const field = this.slice(at, width);
    const end = field.indexOf(0);
    return Buffer.from(end < 0 ? field : field.subarray(0, end)).toString();
  }

  #inside(at: number, width: number): number {
    if (at >= 0 && at + width <= this.bytes.length) return at;
    throw malformed(this.what, `it has ${this.bytes.length} bytes, and byte ${at + width - 1} is needed`);
  }
}

/** That a part of a target is not what it must be. */
export function malformed(what: string, why: string): ZkeepError {
  return new ZkeepError('damaged', 'inspect.malformed', `${what} cannot be read: ${why}`, {
    advice:
      'it was written otherwise than this zkeep knows it; `zkeep verify` tells whether the backup is sound',
    facts: { what, why },
  });
}

/** That something is larger than is kept of a stream. */
export function tooLarge(what: string, most: number): ZkeepError {
  return new ZkeepError('refused', 'inspect.too-large', `${what} takes more than ${most} bytes`, {
    advice: 'restore the snapshot under another name and look into it there: mount -t zfs -o ro,zfsutil',
    facts: { what, most },
  });
}
