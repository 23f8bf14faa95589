/** Lineages in the tables: connected sets of snapshots, joined as backups come and taken apart as they go. */
import { lineagesOf } from '../../chain/lineage.ts';
import { compareText } from '../../chain/order.ts';
import type { ReachEdge } from '../../chain/reach.ts';
import type { Guid } from '../../words.ts';
import type { KeptBackup } from './backup.ts';
import type { IndexDatabase } from './database.ts';

/**
 * The lineage that a new backup belongs to: that of its snapshots, joined into
 * one when they were in two, or a new one. Its id is the smallest backup id in it.
 *
 * @returns the row id.
 */
export function joinLineage(db: IndexDatabase, { backup, from, to }: KeptBackup): number {
  const here = lineageOf(db, to);
  const there = from === null ? undefined : lineageOf(db, from);
  const known = here && there && here.id !== there.id ? merge(db, here, there) : (here ?? there);
  if (!known) return db.run('INSERT INTO lineage (lineage, snapshots) VALUES (?, 0)', backup);
  if (backup < known.lineage) db.run('UPDATE lineage SET lineage = ? WHERE id = ?', backup, known.id);
  return known.id;
}

/**
 * Takes a lineage apart after backups in it are gone, by those that are left.
 *
 * @returns the row ids of what it has become: none, itself, or itself and new ones.
 */
export function splitLineage(db: IndexDatabase, lineage: number, edges: readonly ReachEdge[]): number[] {
  const lineages = lineagesOf(edges);
  const parts = [...Map.groupBy(edges, ({ to }) => lineages.get(to))].sort(
    ([, a], [, b]) => b.length - a.length,
  );
  const [largest, ...others] = parts;
  if (!largest) {
    db.run('DELETE FROM lineage WHERE id = ?', lineage);
    return [];
  }
  db.run('UPDATE lineage SET lineage = ? WHERE id = ?', largest[0] ?? null, lineage);
  return [lineage, ...others.map(([id, part]) => partOff(db, id ?? null, part))];
}

interface LineageRow {
  readonly id: number;
  readonly lineage: string;
  readonly snapshots: number;
}

/** All backups that name a snapshot are of one lineage. */
function lineageOf(db: IndexDatabase, guid: Guid): LineageRow | undefined {
  return db.get<LineageRow>(LINEAGE_BY.snapshot, guid) ?? db.get<LineageRow>(LINEAGE_BY.base, guid);
}

const LINEAGE_BY = {
  snapshot: `SELECT l.id, l.lineage, l.snapshots
    FROM backup b CROSS JOIN lineage l ON l.id = b.lineage WHERE b.snapshot = ? LIMIT 1`,
  base: `SELECT l.id, l.lineage, l.snapshots
    FROM backup b CROSS JOIN lineage l ON l.id = b.lineage WHERE b.base = ? LIMIT 1`,
};

/** The smaller one moves, so that no row moves more often than the logarithm of the number of rows. */
function merge(db: IndexDatabase, a: LineageRow, b: LineageRow): LineageRow {
  const [small, large] = a.snapshots < b.snapshots ? [a, b] : [b, a];
  db.run('UPDATE backup SET lineage = ? WHERE lineage = ?', large.id, small.id);
  db.run(
    `INSERT INTO tally (dataset, lineage, snapshots, backups, stored, oldest, newest)
     SELECT dataset, ?, snapshots, backups, stored, oldest, newest FROM tally WHERE lineage = ?
     ON CONFLICT DO UPDATE SET snapshots = snapshots + excluded.snapshots, backups = backups + excluded.backups,
       stored = min(stored + excluded.stored, ${Number.MAX_SAFE_INTEGER}),
       oldest = min(oldest, excluded.oldest), newest = max(newest, excluded.newest)`,
    large.id,
    small.id,
  );
  db.run('DELETE FROM tally WHERE lineage = ?', small.id);
  db.run('DELETE FROM lineage WHERE id = ?', small.id);
  const merged = {
    id: large.id,
    lineage: compareText(small.lineage, large.lineage) < 0 ? small.lineage : large.lineage,
    snapshots: small.snapshots + large.snapshots,
  };
  db.run(
    'UPDATE lineage SET lineage = ?, snapshots = ? WHERE id = ?',
    merged.lineage,
    merged.snapshots,
    merged.id,
  );
  return merged;
}

function partOff(db: IndexDatabase, id: string | null, part: readonly ReachEdge[]): number {
  const lineage = db.run('INSERT INTO lineage (lineage, snapshots) VALUES (?, 0)', id);
  for (const { backup } of part) db.run('UPDATE backup SET lineage = ? WHERE backup = ?', lineage, backup);
  return lineage;
}
