/** What the bucket lists, beside what the index holds: kept in SQLite's temporary file, for a million names are many. */
import type { BackupId, Guid } from '../words.ts';
import type { IndexDatabase } from './tables/database.ts';

/** A manifest as a listing of the bucket names it. */
export interface ManifestName {
  readonly key: string;
  readonly to: Guid;
  readonly backup: BackupId;
}

/** A backup that the index has and the listing does not name. */
export interface UnlistedBackup {
  readonly backup: BackupId;
  readonly to: Guid;
}

/** Rows looked at in one step: a few milliseconds. */
const STEP = 5000;

/** One comparison of bucket and index. While it goes on, backups may be added: they are left alone. */
export class Inventory {
  readonly #db: IndexDatabase;
  /** What is in the index beyond this row id came after the listing began. */
  readonly #horizon: number;
  #isOpen = true;

  constructor(db: IndexDatabase) {
    this.#db = db;
    db.run(
      `CREATE TEMP TABLE IF NOT EXISTS listed (
         backup TEXT NOT NULL, snapshot TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (backup, snapshot)
       ) STRICT, WITHOUT ROWID`,
    );
    db.run('DELETE FROM listed');
    this.#horizon = db.get<{ id: number | null }>('SELECT max(id) AS id FROM backup')?.id ?? 0;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Notes what the listing names. */
  note(names: readonly ManifestName[]): void {
    this.#db.transaction(() => {
      for (const { key, to, backup } of names) {
        const sql = 'INSERT INTO listed (backup, snapshot, key) VALUES (?, ?, ?) ON CONFLICT DO NOTHING';
        this.#db.run(sql, backup, to, key);
      }
    });
  }

  /** Backups in the index that the listing did not name, some at a time. */
  *gone(): Generator<UnlistedBackup[]> {
    for (let from = 0; from < this.#horizon; from += STEP) {
      yield this.#db.all<UnlistedBackup>(
        `SELECT b.backup, b.snapshot AS "to" FROM backup b WHERE b.id > ? AND b.id <= ?
         AND NOT EXISTS (SELECT 1 FROM listed l WHERE l.backup = b.backup AND l.snapshot = b.snapshot)`,
        from,
        Math.min(from + STEP, this.#horizon),
      );
    }
  }

  /** Whether the journal says that a backup was removed. */
  wasRemoved(backup: BackupId): boolean {
    return this.#db.get('SELECT 1 FROM gone WHERE backup = ?', backup) !== undefined;
  }

  /** What the listing names and the index lacks, in the order in which the backups were made: a base before what hangs on it. */
  *lacking(): Generator<ManifestName> {
    let last: { backup: string; to: string } = { backup: '', to: '' };
    for (;;) {
      const rows = this.#db.all<ManifestName & { known: number }>(
        `SELECT l.key, l.backup, l.snapshot AS "to",
           EXISTS (SELECT 1 FROM backup b WHERE b.backup = l.backup AND b.snapshot = l.snapshot) AS known
         FROM listed l WHERE (l.backup, l.snapshot) > (?, ?) ORDER BY l.backup, l.snapshot LIMIT ?`,
        last.backup,
        last.to,
        STEP,
      );
      for (const { known, ...name } of rows) if (known === 0) yield name;
      const end = rows.at(-1);
      if (!end) return;
      last = end;
    }
  }

  /** Ends it, and frees the temporary table. */
  close(): void {
    this.#isOpen = false;
    this.#db.run('DELETE FROM listed');
  }
}
