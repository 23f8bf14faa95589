/** Which objects of the journal are taken in. */
import type { IndexDatabase } from '../tables/database.ts';

/** Notes an object: read to its last entry, or (`whole` false) to be read again by a zkeep that understands more. */
export function noteObject(db: IndexDatabase, key: string, whole: boolean): void {
  db.run(
    `INSERT INTO journal_object (key, whole) VALUES (?, ?)
     ON CONFLICT DO UPDATE SET whole = max(whole, excluded.whole)`,
    key,
    Number(whole),
  );
}

/** Of these keys, those that are not noted. */
export function unknownObjects(db: IndexDatabase, keys: readonly string[]): string[] {
  return keys.filter((key) => !db.get('SELECT 1 FROM journal_object WHERE key = ?', key));
}

/** Objects that were not understood to their last entry. */
export function partlyRead(db: IndexDatabase): string[] {
  const sql = 'SELECT key FROM journal_object INDEXED BY journal_object_partly WHERE whole = 0 ORDER BY key';
  return db.all<{ key: string }>(sql).map(({ key }) => key);
}

/** Forgets an object that is not in the bucket any more and was never understood. */
export function forgetObject(db: IndexDatabase, key: string): void {
  db.run('DELETE FROM journal_object WHERE key = ? AND whole = 0', key);
}

/** The greatest key that is noted. */
export function lastObject(db: IndexDatabase): string | undefined {
  return db.get<{ key: string }>('SELECT key FROM journal_object ORDER BY key DESC LIMIT 1')?.key;
}

/** The greatest id of an entry. */
export function lastEntry(db: IndexDatabase): string | undefined {
  return db.get<{ id: string }>('SELECT id FROM entry ORDER BY id DESC LIMIT 1')?.id;
}
