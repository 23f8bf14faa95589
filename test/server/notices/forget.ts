/** Changes what a service that does not run left in its database. */
import { join } from 'node:path';
import Database from 'better-sqlite3';

export function database(folder: string, sql: string): void {
  const state = new Database(join(folder, 'service.db'));
  try {
    state.exec(sql);
  } finally {
    state.close();
  }
}
