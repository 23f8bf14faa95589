/**
 * The cheapest chain from nothing that ends with each backup, kept in the tables
 * as its cost and the backup before, so that one look tells what can be restored
 * and how.
 */
import type { ChainFlags } from '../../chain/graph.ts';
import { type Reach, type ReachEdge, type Reached, reachAll, reachFrom } from '../../chain/reach.ts';
import type { BackupSummary } from '../../protocol/protocol.ts';
import type { BackupId, Guid } from '../../words.ts';
import { BACKUP_COLUMNS, BACKUP_TABLES, type BackupRow, type KeptBackup, summaryOf } from './backup.ts';
import type { IndexDatabase } from './database.ts';

/** Brings the chains up to date with a backup that was just added, and is not damaged. */
export function extendChains(db: IndexDatabase, backup: KeptBackup): void {
  const entering = (to: Guid) => read(db, 'snapshot = ? AND damaged = 0', to).map(reachedOf);
  const leaving = (from: Guid) => read(db, 'base = ? AND damaged = 0', from).map(reachedOf);
  for (const [id, reach] of reachFrom([backup], { entering, leaving })) keep(db, id, reach);
}

/** Makes the chains of a whole lineage anew, as if those of its backups that are damaged were not there. */
export function remakeChains(db: IndexDatabase, edges: readonly LineageEdge[]): void {
  const chains = reachAll(edges.filter(({ damaged }) => !damaged));
  for (const { backup } of edges) keep(db, backup, chains.get(backup));
}

/** A backup of a lineage. */
export interface LineageEdge extends ReachEdge {
  readonly damaged: boolean;
}

/** The backups of a lineage, by its row id. */
export function edgesOfLineage(db: IndexDatabase, lineage: number): LineageEdge[] {
  return read(db, 'lineage = ?', lineage).map((row) => ({ ...edgeOf(row), damaged: row.damaged === 1 }));
}

/** The flags of the chains that lead from nothing to a snapshot, the cheapest first. */
export function waysTo(db: IndexDatabase, guid: Guid): ChainFlags[] {
  const ways = db.all<FlagRow>(
    `SELECT raw, large_blocks FROM backup WHERE snapshot = ? AND ${CHEAPEST_FIRST}`,
    guid,
  );
  const kinds = new Map(ways.map((row) => [row.raw * 2 + row.large_blocks, flagsOf(row)]));
  return [...kinds.values()];
}

/** The backups of the cheapest chain from nothing to a snapshot, in no order; none when there is no chain. */
export function cheapestChain(db: IndexDatabase, guid: Guid): BackupSummary[] {
  return db.all<BackupRow>(CHEAPEST_CHAIN, guid).map(summaryOf);
}

const CHEAPEST_FIRST = 'chain_cost IS NOT NULL ORDER BY chain_cost, chain_steps, backup';

const CHEAPEST_CHAIN = `
  WITH RECURSIVE chain (backup, before) AS (
    SELECT * FROM (
      SELECT backup, chain_before FROM backup WHERE snapshot = ? AND ${CHEAPEST_FIRST} LIMIT 1)
    UNION ALL
    SELECT b.backup, b.chain_before FROM chain CROSS JOIN backup b ON b.backup = chain.before
  )
  SELECT ${BACKUP_COLUMNS} FROM chain CROSS JOIN ${BACKUP_TABLES} WHERE b.backup = chain.backup`;

interface FlagRow {
  readonly raw: number;
  readonly large_blocks: number;
}

interface EdgeRow extends Omit<ReachEdge, 'flags'>, FlagRow {
  readonly chain_cost: number | null;
  readonly chain_steps: number | null;
  readonly chain_before: BackupId | null;
  readonly damaged: number;
}

function read(
  db: IndexDatabase,
  where: 'snapshot = ? AND damaged = 0' | 'base = ? AND damaged = 0' | 'lineage = ?',
  value: string | number,
): EdgeRow[] {
  return db.all<EdgeRow>(
    `SELECT backup, base AS "from", snapshot AS "to", raw, large_blocks, stored, chain_cost, chain_steps, chain_before,
       damaged
     FROM backup WHERE ${where}`,
    value,
  );
}

function edgeOf(row: EdgeRow): ReachEdge {
  const { backup, from, to, stored } = row;
  return { backup, from, to, stored, flags: flagsOf(row) };
}

function reachedOf(row: EdgeRow): Reached {
  const { chain_cost: cost, chain_steps: steps, chain_before: before } = row;
  return { edge: edgeOf(row), reach: cost === null || steps === null ? undefined : { cost, steps, before } };
}

function flagsOf({ raw, large_blocks }: FlagRow): ChainFlags {
  return { raw: raw === 1, large_blocks: large_blocks === 1 };
}

function keep(db: IndexDatabase, backup: BackupId, reach: Reach | undefined): void {
  db.run(
    'UPDATE backup SET chain_cost = ?, chain_steps = ?, chain_before = ? WHERE backup = ?',
    reach?.cost ?? null,
    reach?.steps ?? null,
    reach?.before ?? null,
    backup,
  );
}
