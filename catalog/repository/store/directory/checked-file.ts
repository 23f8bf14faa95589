/** One file that is written, read and compared with care: sizes checked, digests checked, synced. */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import type { Digest } from '../../../words.ts';
import { bodyMismatch } from '../store-errors.ts';

/** Bytes that come one piece after the other. */
export type Pieces = AsyncIterable<Uint8Array>;

/** What a file must be. */
export interface Content {
  /** Bytes. */
  readonly size: number;
  readonly sha256: Digest;
}

/** Keeps errors of the source, in `cause`, apart from those of the file system. */
export class SourceFailure extends Error {}

/** Bytes that are read or written at once. */
const BATCH = 1024 * 1024;

/**
 * Writes a new file, checks that it is what was announced, and makes it durable.
 *
 * @param what the name for people, in the error.
 * @throws {ZkeepError} `damaged` when the pieces are not `content`; {@link SourceFailure}.
 */
export async function writeChecked(
  path: string,
  pieces: Pieces,
  content: Content,
  what: string,
  signal?: AbortSignal,
): Promise<void> {
  const file = await open(path, 'wx');
  try {
    const written = await copy(file, pieces, content.size, what, signal);
    if (written.size !== content.size || written.sha256 !== content.sha256)
      throw bodyMismatch(what, { size: content.size, sha256: content.sha256, got: written.sha256 });
    await file.sync();
    const { size } = await file.stat();
    if (size !== content.size) throw bodyMismatch(what, { size: content.size, got: size });
  } finally {
    await file.close();
  }
}

/** Fills the buffer with the bytes from `position` on, as far as there are any; gives their number. */
export async function readAt(file: FileHandle, buffer: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < buffer.byteLength) {
    const { bytesRead } = await file.read(buffer, done, buffer.byteLength - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

/** Whether the file is exactly `content`. */
export async function hasContent(path: string, content: Content): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const stats = await file.stat();
    if (!stats.isFile() || stats.size !== content.size) return false;
    const sum = createHash('sha256');
    const buffer = Buffer.allocUnsafe(BATCH);
    for (let at = 0; at < content.size; ) {
      const got = await readAt(file, buffer, at);
      if (got === 0) return false;
      sum.update(buffer.subarray(0, got));
      at += got;
    }
    return sum.digest('hex') === content.sha256;
  } finally {
    await file.close();
  }
}

/**
 * Writes the pieces, a mebibyte at a time: sockets give 64 KiB, and a write for
 * each costs more than hashing it. While one is written, it is hashed.
 */
async function copy(
  file: FileHandle,
  pieces: Pieces,
  limit: number,
  what: string,
  signal: AbortSignal | undefined,
): Promise<{ size: number; sha256: string }> {
  const sum = createHash('sha256');
  let [written, writing] = [0, Promise.resolve()];
  const write = async (bytes: Uint8Array) => {
    await writing;
    writing = writeAt(file, bytes, written);
    writing.catch(() => undefined); // it is thrown where it is awaited
    sum.update(bytes);
    written += bytes.byteLength;
  };
  const batches = new Batches(limit);
  let size = 0;
  for await (const piece of guarded(pieces, signal)) {
    size += piece.byteLength;
    if (size > limit) throw bodyMismatch(what, { size: limit, got: 'more' });
    let lent = false;
    for (let at = 0; at < piece.byteLength; ) {
      const part = piece.subarray(at, at + batches.room);
      at += part.byteLength;
      const full = batches.add(part);
      if (full) await write(full);
      lent ||= full === part;
    }
    if (lent) await writing; // from where the piece lies, which its source may use again
  }
  await write(batches.rest);
  await writing;
  return { size, sha256: sum.digest('hex') };
}

/** Gathers parts into batches; a part that is a whole batch by itself is not copied. Two take turns. */
class Batches {
  readonly #size: number;
  #filling: Buffer | undefined;
  #spare: Buffer | undefined;
  #filled = 0;

  /** @param limit bytes in all, at most. */
  constructor(limit: number) {
    this.#size = Math.max(1, Math.min(BATCH, limit));
  }

  /** Bytes that are wanted to make the batch full. */
  get room(): number {
    return this.#size - this.#filled;
  }

  /** The bytes that make no full batch. */
  get rest(): Uint8Array {
    return this.#filling?.subarray(0, this.#filled) ?? new Uint8Array();
  }

  /**
   * @param part at most {@link room} bytes.
   * @returns a batch that is full now; good until the next but one is.
   */
  add(part: Uint8Array): Uint8Array | undefined {
    if (part.byteLength === this.#size) return part;
    this.#filling ??= Buffer.allocUnsafeSlow(this.#size);
    this.#filling.set(part, this.#filled);
    this.#filled += part.byteLength;
    if (this.#filled < this.#size) return undefined;
    const full = this.#filling;
    [this.#filling, this.#spare, this.#filled] = [this.#spare, full, 0];
    return full;
  }
}

/** The pieces, until the signal aborts, even where the source is silent. */
async function* guarded(pieces: Pieces, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  const source = pieces[Symbol.asyncIterator]();
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => undefined); // it is thrown where a piece is awaited
  const abort = () => aborted.reject(signal?.reason);
  signal?.addEventListener('abort', abort, { once: true });
  let ended = false;
  try {
    signal?.throwIfAborted();
    for (;;) {
      const next = await Promise.race([source.next(), aborted.promise]);
      if (next.done) break;
      yield next.value;
    }
    ended = true;
  } catch (cause) {
    ended = true;
    throw new SourceFailure('the source failed', { cause });
  } finally {
    signal?.removeEventListener('abort', abort);
    if (!ended) await source.return?.();
  }
}

async function writeAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, position + done);
    done += bytesWritten;
  }
}
