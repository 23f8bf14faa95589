/** Adding a backup: its row, and all that is derived from it. */
import { isDeepStrictEqual } from 'node:util';
import { ZkeepError } from '../../errors.ts';
import { takeFindings } from '../journal/findings.ts';
import { type BackupRow, findRow, type KeptBackup, summaryOf } from './backup.ts';
import { extendChains } from './chains.ts';
import type { IndexDatabase } from './database.ts';
import { joinLineage } from './lineages.ts';

/**
 * Adds one backup, within the transaction of the caller. It writes nothing when it throws.
 *
 * @returns false when it was there already.
 * @throws {ZkeepError} `damaged` (`index.conflict`) when another backup has its id.
 */
export function addBackup(db: IndexDatabase, backup: KeptBackup): boolean {
  const known = findRow(db, backup.backup);
  if (known) {
    refuseOther(known, backup);
    return false;
  }
  const dataset = datasetOf(db, backup);
  const lineage = joinLineage(db, backup);
  const siblings = db.all<{ dataset: number }>('SELECT dataset FROM backup WHERE snapshot = ?', backup.to);
  insert(db, backup, dataset, lineage);
  const isNew = siblings.length === 0;
  const isNewHere = !siblings.some((sibling) => sibling.dataset === dataset);
  if (isNew) db.run('UPDATE lineage SET snapshots = snapshots + 1 WHERE id = ?', lineage);
  count(db, backup, { dataset, lineage, snapshots: isNewHere ? 1 : 0 });
  const { damaged } = takeFindings(db, backup.backup);
  if (!damaged) extendChains(db, backup);
  return true;
}

function refuseOther(known: BackupRow, backup: KeptBackup): void {
  const { lineage: _lineage, drift: _drift, ...same } = summaryOf(known);
  // A zkeep that did not know of it took the manifest in without it.
  const source = known.source ?? backup.source;
  if (isDeepStrictEqual({ ...same, base_name: known.base_name, source }, { ...backup })) return;
  throw new ZkeepError(
    'damaged',
    'index.conflict',
    `two manifests say that they are backup ${backup.backup}`,
    {
      advice:
        'somebody copied or changed a manifest in the bucket; remove the wrong one, then rebuild the index',
      facts: { backup: backup.backup, to: [known.to, backup.to] },
    },
  );
}

function datasetOf(db: IndexDatabase, { dataset, host }: KeptBackup): number {
  const known = db.get<{ id: number }>(
    'SELECT id FROM dataset WHERE dataset = ? AND host = ?',
    dataset,
    host,
  );
  return known?.id ?? db.run('INSERT INTO dataset (dataset, host) VALUES (?, ?)', dataset, host);
}

function insert(db: IndexDatabase, backup: KeptBackup, dataset: number, lineage: number): void {
  db.run(
    `INSERT INTO backup (backup, base, base_name, snapshot, raw, large_blocks, bytes, stored, committed, set_id,
       dataset, source, name, created, attributes, segments, encrypted, lineage)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    backup.backup,
    backup.from,
    backup.base_name,
    backup.to,
    Number(backup.flags.raw),
    Number(backup.flags.large_blocks),
    backup.bytes,
    backup.stored,
    backup.committed,
    backup.set,
    dataset,
    backup.source,
    backup.name,
    backup.created,
    backup.attributes,
    backup.segments,
    Number(backup.encrypted),
    lineage,
  );
}

function count(
  db: IndexDatabase,
  { stored, created }: KeptBackup,
  { dataset, lineage, snapshots }: { dataset: number; lineage: number; snapshots: number },
): void {
  db.run(
    `INSERT INTO tally (dataset, lineage, snapshots, backups, stored, oldest, newest) VALUES (?, ?, ?, 1, ?, ?, ?)
     ON CONFLICT DO UPDATE SET snapshots = snapshots + excluded.snapshots, backups = backups + 1,
       stored = min(stored + excluded.stored, ${Number.MAX_SAFE_INTEGER}), oldest = min(oldest, excluded.oldest), newest = max(newest, excluded.newest)`,
    dataset,
    lineage,
    snapshots,
    stored,
    created,
    created,
  );
}
