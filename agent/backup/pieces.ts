/** A file or a pipe, piece by piece, through one buffer: what passes by leaves no garbage behind. */
import { fstatSync, read as readCallback } from 'node:fs';
import { Socket } from 'node:net';
import { promisify } from 'node:util';

const read = promisify(readCallback);

/** Enough for a pipe of any usual size, and for a file to be read at speed. */
const PIECE = 1024 * 1024;

/**
 * Reads to the end. A piece is only good until the next one is asked for.
 *
 * @param fd an open file descriptor; closing it is up to the caller.
 * @throws the signal's reason, also while a pipe gives nothing; what reading throws.
 * @example for await (const bytes of readPieces(0, signal)) reader.write(bytes)
 */
export function readPieces(fd: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const facts = fstatSync(fd);
  // A pipe may be one that does not block, which only the event loop can read.
  return facts.isFIFO() || facts.isSocket() ? fromPipe(fd, signal) : fromFile(fd, signal);
}

async function* fromFile(fd: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(PIECE);
  for (;;) {
    signal.throwIfAborted();
    const { bytesRead } = await read(fd, buffer, 0, PIECE, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

async function* fromPipe(fd: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(PIECE);
  let told = Promise.withResolvers<number>();
  const callback = (length: number) => {
    told.resolve(length);
    return false; // no more until this piece was used
  };
  const pipe = new Socket({ fd, readable: true, writable: false, onread: { buffer, callback } });
  pipe.on('end', () => told.resolve(0));
  pipe.on('error', (thrown) => told.reject(thrown));
  const abort = () => told.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      pipe.resume();
      const length = await told.promise;
      if (length === 0) return;
      told = Promise.withResolvers();
      told.promise.catch(() => undefined); // it is thrown where it is awaited
      yield buffer.subarray(0, length);
    }
  } finally {
    signal.removeEventListener('abort', abort);
    pipe.destroy();
  }
}
