/** A file that one process at a time holds: the operating system lets go of it with the process, however that ends. */
import Database from 'better-sqlite3';
import type { ZkeepError } from './errors.ts';

/** Held until it is given back or the process ends. */
export interface Lock {
  release(): void;
}

/**
 * Takes a lock: an exclusive transaction on a database that holds nothing. Its folder must be there.
 *
 * @param busy the error for when another process has it.
 * @throws what `busy` gives, or what the file system says.
 * @example const lock = lockFile('/var/lib/zkeep/agent.lock', () => alreadyRunning());
 */
export function lockFile(file: string, busy: (cause: unknown) => ZkeepError): Lock {
  const database = new Database(file, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    if (!(cause instanceof Database.SqliteError) || cause.code !== 'SQLITE_BUSY') throw cause;
    throw busy(cause);
  }
  return { release: () => database.close() };
}
