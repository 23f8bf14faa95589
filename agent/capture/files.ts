/** Small files of the host that belong to its attributes, kept as if `cat` had printed them. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandOutput } from '../../catalog/attributes/attributes.ts';
import { messageOf } from '../../catalog/errors.ts';
import { within } from '../zfs/run.ts';
import { textOf } from './ask.ts';

/** Most bytes of a file that are kept. */
const MAX_FILE = 64 * 1024;
/** Longest that a file may take, milliseconds: some lie on file systems of other machines. */
const TIMEOUT = 5_000;

/**
 * Reads a file.
 *
 * @param root where the host's `/` lies; another one in tests.
 * @param lines of its lines, those that are kept.
 * @returns `undefined` where there is no such file.
 */
export async function catFile(
  path: string,
  root: string,
  lines?: (line: string) => boolean,
): Promise<CommandOutput | undefined> {
  const command = ['cat', path];
  const none = { command, exit: 1, output: '', encoding: 'utf8' as const };
  const found = await within(TIMEOUT, readStart(join(root, path)).catch(failureIn));
  if (found === undefined) return { ...none, error: `it took longer than ${TIMEOUT / 1000} s to read` };
  if (found === 'absent') return undefined;
  if ('failure' in found) return { ...none, error: found.failure };
  const bytes = lines === undefined ? found.bytes : linesOf(found.bytes, lines);
  const notes = [
    ...(found.cut ? [`cut after ${MAX_FILE} bytes`] : []),
    ...(lines === undefined ? [] : ['only the lines that matter are kept']),
  ];
  return { command, exit: 0, ...textOf(bytes), ...(notes.length > 0 ? { error: notes.join('; ') } : {}) };
}

/** Whether there is such a file or folder. */
export async function isThere(path: string, root: string): Promise<boolean> {
  const handle = await within(
    TIMEOUT,
    open(join(root, path), 'r').catch(() => undefined),
  );
  await handle?.close();
  return handle !== undefined;
}

/** Files under `/proc` and `/sys` do not tell their length. */
async function readStart(file: string): Promise<{ bytes: Buffer; cut: boolean }> {
  const handle = await open(file, 'r');
  try {
    const buffer = Buffer.alloc(MAX_FILE + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return { bytes: buffer.subarray(0, Math.min(length, MAX_FILE)), cut: length > MAX_FILE };
  } finally {
    await handle.close();
  }
}

function failureIn(thrown: unknown): 'absent' | { failure: string } {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'absent';
  return { failure: messageOf(thrown).slice(0, 4096) };
}

function linesOf(bytes: Buffer, keep: (line: string) => boolean): Buffer {
  const lines = bytes.toString('latin1').split('\n').filter(keep);
  return Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1');
}
