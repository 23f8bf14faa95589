/** Removing backups: their rows, and all that was derived from them. */
import type { BackupId } from '../../words.ts';
import { edgesOfLineage, remakeChains } from './chains.ts';
import type { IndexDatabase } from './database.ts';
import { type DriftPlace, dropDrift, remakeAfter } from './drift.ts';
import { dropUnused } from './learn.ts';
import { splitLineage } from './lineages.ts';

/**
 * Removes backups, within the transaction of the caller. What is derived is made
 * anew for each lineage that lost one, so it is better to remove many at once.
 *
 * @returns how many were there.
 */
export function removeBackups(db: IndexDatabase, backups: Iterable<BackupId>): number {
  const doomed = [...new Set(backups)].flatMap((backup) => db.get<Doomed>(FIND, backup) ?? []);
  const lineages = new Set(doomed.map(({ lineage }) => lineage));
  for (const lineage of lineages) {
    db.run('DELETE FROM tally WHERE lineage = ?', lineage);
  }
  for (const row of doomed) {
    dropDrift(db, row);
    db.run('DELETE FROM backup WHERE id = ?', row.id);
  }
  for (const row of doomed) if (row.settings) remakeAfter(db, row);
  dropUnused(
    db,
    doomed.flatMap(({ settings }) => settings ?? []),
  );
  for (const lineage of lineages) remake(db, lineage);
  for (const dataset of new Set(doomed.map((row) => row.dataset))) {
    db.run(
      'DELETE FROM dataset WHERE id = ? AND id NOT IN (SELECT dataset FROM tally WHERE dataset = ?)',
      dataset,
      dataset,
    );
  }
  return doomed.length;
}

interface Doomed extends DriftPlace {
  readonly id: number;
  readonly lineage: number;
  readonly settings: number | null;
}

const FIND = 'SELECT id, lineage, dataset, created, backup, settings FROM backup WHERE backup = ?';

function remake(db: IndexDatabase, lineage: number): void {
  const edges = edgesOfLineage(db, lineage);
  for (const part of splitLineage(db, lineage, edges)) countLineage(db, part);
  remakeChains(db, edges);
}

function countLineage(db: IndexDatabase, lineage: number): void {
  db.run(
    `UPDATE lineage SET snapshots = (SELECT count(DISTINCT snapshot) FROM backup WHERE lineage = ?) WHERE id = ?`,
    lineage,
    lineage,
  );
  db.run(
    `INSERT INTO tally (dataset, lineage, snapshots, backups, stored, oldest, newest)
     SELECT dataset, lineage, count(DISTINCT snapshot), count(*),
       CAST(min(total(stored), ${Number.MAX_SAFE_INTEGER}) AS INTEGER), min(created), max(created)
     FROM backup WHERE lineage = ? GROUP BY dataset`,
    lineage,
  );
}
