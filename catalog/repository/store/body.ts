/** Bodies within bounds of size and time, and their digests: the same for every store. */
import { hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { ZkeepError } from '../../errors.ts';
import type { Digest } from '../../words.ts';
import type { GetOptions } from './store.ts';
import { cutShort, tooLarge } from './store-errors.ts';

/** The SHA-256 of bytes that are in memory. */
export function digestOf(body: Uint8Array): Digest {
  return hash('sha256', body, 'hex') as Digest;
}

/**
 * Reads a body whole.
 *
 * @param length bytes announced; `undefined` when nothing was announced.
 * @param into as in {@link GetOptions}; used where a length was announced.
 * @throws {ZkeepError} `damaged` when it is larger than `maxBytes` (at most that
 *   much was kept in memory), `unavailable` when it does not end at `length`.
 */
export async function readBody(
  body: AsyncIterable<Uint8Array>,
  length: number | undefined,
  maxBytes: number,
  what: string,
  into?: Uint8Array,
): Promise<Buffer> {
  checkLength(length ?? 0, maxBytes, what);
  // Into one buffer where the length is known: pieces and their sum would need twice the memory.
  const whole = length === undefined ? undefined : roomFor(length, into);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    checkLength(size + chunk.byteLength, maxBytes, what);
    if (whole && size + chunk.byteLength <= whole.length) whole.set(chunk, size);
    else chunks.push(chunk);
    size += chunk.byteLength;
  }
  if (length !== undefined && size !== length) throw cutShort(what, size, length);
  return whole ?? Buffer.concat(chunks, size);
}

/** Memory for `length` bytes: the start of `into`, or new memory where they do not fit there. */
export function roomFor(length: number, into: Uint8Array | undefined): Buffer {
  if (!into || into.byteLength < length) return Buffer.allocUnsafeSlow(length);
  return Buffer.from(into.buffer, into.byteOffset, length);
}

/**
 * A body as undici is to be given it: its time-outs look at what is left to
 * write, so that a large body given whole, on a slow line, would look like one
 * that is no longer taken.
 */
export function piecesOf(body: Uint8Array): Uint8Array | Readable {
  return body.byteLength <= PIECE ? body : Readable.from(eachPiece(body), { highWaterMark: 1 });
}

/** Bytes given to a connection at once: small, so that a stalled upload shows. */
const PIECE = 1024 * 1024;

function* eachPiece(body: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < body.byteLength; at += PIECE) yield body.subarray(at, at + PIECE);
}

/** Checks what is asked for before asking: a range runs forwards and fits into `maxBytes`. */
export function checkRange({ range, maxBytes }: GetOptions, what: string): void {
  if (!range) return;
  const { start, end } = range;
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end <= start)
    throw new ZkeepError('usage', 'store.bad-range', `${start} to ${end} is no range of bytes`, {
      advice: 'a range holds at least one byte, from start to before end',
    });
  checkLength(end - start, maxBytes, what);
}

/** @throws {ZkeepError} `damaged` when `length` is above `maxBytes`. */
export function checkLength(length: number, maxBytes: number, what: string): void {
  if (length > maxBytes) throw tooLarge(what, length, maxBytes);
}

/**
 * A store that refused a body as another than announced may have got it spoilt
 * on the way: when the body here is right, another try helps.
 *
 * @param sha256 what was announced.
 * @returns what is to be thrown instead of `thrown`.
 */
export function blameTheWay(thrown: unknown, body: Uint8Array, sha256: string | undefined): unknown {
  if (!(thrown instanceof ZkeepError) || thrown.code !== 'store.mismatch') return thrown;
  if (digestOf(body) !== sha256) return thrown;
  return new ZkeepError(
    'unavailable',
    'store.spoilt-on-the-way',
    'the store received other bytes than were sent',
    {
      advice: 'if it happens again, check the network hardware between here and the store',
      cause: thrown,
    },
  );
}
