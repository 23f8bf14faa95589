/**
 * The service's own database, `service.db`: tokens, the key that signs grants,
 * the backups that are open, and the sets that several hosts take together. Losing
 * it ends tokens and sets, never a stored backup; open backups are written down in
 * the bucket as well (`uploads/`), and a new database takes them from there.
 */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import { migrate } from './migrations.ts';

/** An open `service.db`. */
export type State = Database.Database;

/**
 * Opens `service.db` in `folder`, made when absent, readable by its owner only.
 *
 * @throws {ZkeepError} `denied` when the folder cannot be used, `refused` when a newer zkeep wrote it.
 */
export function openState(folder: string): State {
  const file = join(folder, 'service.db');
  const state = openFile(folder, file);
  try {
    state.pragma('journal_mode = WAL');
    // What was answered must outlive a power cut: FULL, not WAL's usual NORMAL.
    state.pragma('synchronous = FULL');
    state.pragma('foreign_keys = ON');
    migrate(state, file);
    return state;
  } catch (thrown) {
    state.close();
    throw thrown;
  }
}

function openFile(folder: string, file: string): State {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    // SQLite would create it readable by everybody.
    closeSync(openSync(file, 'a', 0o600));
    return new Database(file, { timeout: 5000 });
  } catch (thrown) {
    throw new ZkeepError('denied', 'state.unusable', `cannot use ${file}: ${messageOf(thrown)}`, {
      advice: 'run as the user who owns the data folder, or name another one with --data',
      facts: { file },
      cause: thrown,
    });
  }
}
