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

/**
 * While one piece is used, the next one comes into a second buffer: whoever is done with a piece before
 * that need not stop the pipe and start it again, for each 64 KiB.
 */
async function* fromPipe(fd: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const buffers = [Buffer.allocUnsafeSlow(PIECE), Buffer.allocUnsafeSlow(PIECE)];
  const arrived: Uint8Array[] = [];
  let used = 0;
  let end: { readonly thrown?: unknown } | undefined;
  let told = Promise.withResolvers<void>();
  const pipe = new Socket({
    fd,
    readable: true,
    writable: false,
    onread: {
      buffer: () => {
        buffers.reverse();
        return buffers[0] ?? Buffer.alloc(0);
      },
      callback: (length, buffer) => {
        arrived.push(buffer.subarray(0, length));
        told.resolve();
        return arrived.length + used < buffers.length; // else this buffer is the next one too, once it is free
      },
    },
  });
  const ended = (how: { readonly thrown?: unknown }) => {
    end ??= how;
    told.resolve();
  };
  pipe.on('end', () => ended({}));
  pipe.on('error', (thrown) => ended({ thrown }));
  const abort = () => told.resolve();
  signal.addEventListener('abort', abort, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      const piece = arrived.shift();
      if (piece) {
        used = 1;
        yield piece;
        used = 0;
      } else if (end) {
        if ('thrown' in end) throw end.thrown;
        return;
      } else {
        told = Promise.withResolvers();
        pipe.resume();
        await told.promise;
      }
    }
  } finally {
    signal.removeEventListener('abort', abort);
    pipe.destroy();
  }
}
