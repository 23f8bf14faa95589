/** What was read of attribute manifests, given to the backups that they are of; and forgotten with the last of them. */
import type { Digest } from '../../words.ts';
import type { IndexDatabase } from './database.ts';
import { remakeDrift } from './drift.ts';
import { type KeptSettings, packSettings, type ReadAttributes } from './settings.ts';

/** The row of manifests that were read, and of which nothing could be made. */
const NOTHING = 0;

/** Gives the backups that lack them their settings, within the transaction of the caller. */
export function learnSettings(db: IndexDatabase, { attributes, settings }: ReadAttributes): void {
  const lacking = db.all<{ id: number }>(
    'SELECT id FROM backup INDEXED BY backup_unread WHERE attributes = ? AND settings IS NULL',
    attributes,
  );
  if (lacking.length === 0) return;
  const row = settings === null ? NOTHING : rowOf(db, settings);
  for (const { id } of lacking) db.run('UPDATE backup SET settings = ? WHERE id = ?', row, id);
  if (row !== NOTHING) for (const { id } of lacking) remakeDrift(db, id);
}

/** Drops those of these settings that are without a backup. */
export function dropUnused(db: IndexDatabase, rows: Iterable<number>): void {
  for (const row of new Set(rows)) {
    if (row === NOTHING) continue;
    const used = 'SELECT 1 FROM backup INDEXED BY backup_by_settings WHERE settings = ? AND settings > 0';
    if (!db.get(used, row)) db.run('DELETE FROM settings WHERE id = ?', row);
  }
}

/** Which of the attribute manifests that nobody has read. */
export interface UnreadQuery {
  readonly limit: number;
  readonly after: string;
  /** Only those of backups of datasets called so. */
  readonly dataset: string | undefined;
}

/** Digests of attribute manifests that nobody has read, each once, in their order. */
export function unreadAttributes(db: IndexDatabase, { limit, after, dataset }: UnreadQuery): Digest[] {
  const rows =
    dataset === undefined
      ? db.all<{ attributes: Digest }>(UNREAD, after, limit)
      : db.all<{ attributes: Digest }>(UNREAD_OF_DATASET, dataset, after, limit);
  return rows.map(({ attributes }) => attributes);
}

const UNREAD = `SELECT DISTINCT attributes FROM backup INDEXED BY backup_unread
  WHERE attributes IS NOT NULL AND settings IS NULL AND attributes > ? ORDER BY attributes LIMIT ?`;
const UNREAD_OF_DATASET = `SELECT DISTINCT b.attributes
  FROM dataset d CROSS JOIN backup b INDEXED BY backup_by_dataset ON b.dataset = d.id
  WHERE d.dataset = ? AND b.attributes IS NOT NULL AND b.settings IS NULL AND b.attributes > ?
  ORDER BY b.attributes LIMIT ?`;

function rowOf(db: IndexDatabase, settings: KeptSettings): number {
  const { digest } = settings;
  const known = db.get<{ id: number }>('SELECT id FROM settings WHERE digest = ?', digest);
  if (known) return known.id;
  return db.run('INSERT INTO settings (digest, content) VALUES (?, ?)', digest, packSettings(settings));
}
