/** A stream that lies in a file, or comes through standard input. */
import { closeSync, openSync } from 'node:fs';
import { messageOf, ZkeepError } from '../../../catalog/errors.ts';
import { readPieces } from '../../backup/upload/pieces.ts';

/**
 * Reads it from its start; a piece is only good until the next one.
 *
 * @param file `-`: standard input.
 * @throws {ZkeepError} `missing` or `denied` when it cannot be read.
 */
export async function* openStreamFile(file: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const fd = file === '-' ? 0 : open(file);
  try {
    yield* readPieces(fd, signal);
  } catch (thrown) {
    throw thrown instanceof Error && 'code' in thrown && !(thrown instanceof ZkeepError)
      ? unreadable(file, thrown)
      : thrown;
  } finally {
    if (fd !== 0) closeSync(fd);
  }
}

function open(file: string): number {
  try {
    return openSync(file, 'r');
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

function unreadable(file: string, cause: unknown): ZkeepError {
  const absent = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
  return new ZkeepError(
    absent ? 'missing' : 'denied',
    'inspect.unreadable',
    `cannot read ${file}: ${messageOf(cause)}`,
    { advice: 'name a file that zfs send wrote, or "-" for standard input', facts: { file }, cause },
  );
}
