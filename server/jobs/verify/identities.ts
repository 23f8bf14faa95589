/** The age identities with which the service itself reads an encrypted repository, where it is given any. */
import { readFileSync } from 'node:fs';
import { messageOf, ZkeepError } from '../../../catalog/errors.ts';

/**
 * The identities of a file, as `age-keygen` writes it.
 *
 * @param file `undefined`: none.
 * @throws {ZkeepError} `usage` when it cannot be read or holds something else.
 */
export function readIdentityFile(file: string | undefined): string[] {
  if (file === undefined) return [];
  const lines = textOf(file)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (lines.length > 0 && lines.every((line) => /^AGE-SECRET-KEY-[A-Z0-9-]+$/.test(line))) return lines;
  throw unusable(file, 'is not an age identity file');
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw unusable(file, `cannot be read: ${messageOf(cause)}`, cause);
  }
}

function unusable(file: string, why: string, cause?: unknown): ZkeepError {
  return new ZkeepError('usage', 'verify.identity', `the identity_file ${file} ${why}`, {
    advice:
      'each of its lines begins with AGE-SECRET-KEY-; without it deep proofs come from zkeep verify --report',
    facts: { file },
    cause,
  });
}
