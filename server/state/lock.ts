/** One service to a data folder: two would not see each other's turns. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { ZkeepError } from '../../catalog/errors.ts';

/** Held until it is given back or the process ends, however it ends. */
export interface Lock {
  release(): void;
}

/**
 * Takes the lock of a data folder that exists: an exclusive transaction on
 * `service.lock`, which the operating system ends with the process.
 *
 * @throws {ZkeepError} `busy` with code `service.running`.
 */
export function lockFolder(folder: string): Lock {
  const database = new Database(join(folder, 'service.lock'), { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    if (!(cause instanceof Database.SqliteError) || cause.code !== 'SQLITE_BUSY') throw cause;
    throw new ZkeepError('busy', 'service.running', `a zkeep-server is running on ${folder}`, {
      advice: 'stop it first, or use another data folder',
      facts: { folder },
      cause,
    });
  }
  return { release: () => database.close() };
}
