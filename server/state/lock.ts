/** One service to a data folder: two would not see each other's turns. */
import { join } from 'node:path';
import { ZkeepError } from '../../catalog/errors.ts';
import { type Lock, lockFile } from '../../catalog/lock.ts';

/**
 * Takes the lock of a data folder that exists.
 *
 * @throws {ZkeepError} `busy` with code `service.running`.
 */
export function lockFolder(folder: string): Lock {
  return lockFile(join(folder, 'service.lock'), (cause) => {
    return new ZkeepError('busy', 'service.running', `a zkeep-server is running on ${folder}`, {
      advice: 'stop it first, or use another data folder',
      facts: { folder },
      cause,
    });
  });
}
