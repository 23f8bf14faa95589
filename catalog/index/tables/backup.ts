/** A backup as the index keeps it: what its manifest says, without the segments. */
import type { BackupEdge } from '../../chain/graph.ts';
import { ZkeepError } from '../../errors.ts';
import type { BackupSummary } from '../../protocol/protocol.ts';
import { flagsOf, type Manifest, sourceId } from '../../repository/manifest.ts';
import type { BackupId, Guid, SourceId } from '../../words.ts';
import type { IndexDatabase } from './database.ts';

/** All that the index takes from a manifest. */
export interface KeptBackup extends Omit<BackupSummary, 'lineage' | 'drift'> {
  /** Name of the base, a snapshot or a bookmark; `null`: full, or unknown. */
  readonly base_name: string | null;
  /** What tells the dataset from all others of its host, under any name; `null`: not known. */
  readonly source: SourceId | null;
}

/**
 * What the index keeps of a manifest.
 *
 * @throws {ZkeepError} `damaged` (`index.number`) when a number in it is beyond what a number can count.
 */
export function backupOf(manifest: Manifest): KeptBackup {
  const { begin, bytes } = manifest.stream;
  const stored = manifest.segments.reduce((sum, segment) => sum + segment.stored, 0);
  if (!Number.isSafeInteger(stored)) throw tooLarge(manifest, 'stored bytes', stored);
  if (!Number.isSafeInteger(begin.created)) throw tooLarge(manifest, 'seconds of creation', begin.created);
  return {
    backup: manifest.backup,
    from: manifest.from?.guid ?? null,
    base_name: manifest.from?.name ?? null,
    to: manifest.to.guid,
    flags: flagsOf(manifest),
    bytes,
    stored,
    committed: manifest.committed,
    set: manifest.set,
    host: manifest.source.host,
    dataset: manifest.source.dataset,
    source: sourceId(manifest.source),
    name: manifest.to.name ?? begin.toName.slice(begin.toName.indexOf('@') + 1),
    created: begin.created,
    attributes: manifest.attributes,
    segments: manifest.segments.length,
    encrypted: manifest.encryption !== null,
  };
}

/**
 * The columns of a {@link BackupRow}, and the tables that they are in: `b`, `d` and `l`.
 * CROSS JOIN holds SQLite to this order: it begins with the backups that are meant.
 */
export const BACKUP_COLUMNS = `
  b.backup, b.base AS "from", b.base_name, b.snapshot AS "to", b.raw, b.large_blocks, b.bytes, b.stored,
  b.committed, b.set_id AS "set", d.host, d.dataset, b.name, b.created, b.attributes, b.segments, b.encrypted,
  l.lineage, b.source, b.drift`;
export const BACKUP_TABLES = `
  backup b CROSS JOIN dataset d ON d.id = b.dataset CROSS JOIN lineage l ON l.id = b.lineage`;

/** A row of {@link BACKUP_COLUMNS}. SQLite has no booleans. */
export interface BackupRow extends Omit<BackupSummary, 'flags' | 'encrypted'> {
  readonly base_name: string | null;
  readonly source: SourceId | null;
  readonly raw: number;
  readonly large_blocks: number;
  readonly encrypted: number;
}

/** The summary that a row holds. */
export function summaryOf(row: BackupRow): BackupSummary {
  const { base_name: _, source: __, raw, large_blocks, encrypted, ...rest } = row;
  return { ...rest, flags: { raw: raw === 1, large_blocks: large_blocks === 1 }, encrypted: encrypted === 1 };
}

/** The row of one backup. */
export function findRow(db: IndexDatabase, backup: BackupId): BackupRow | undefined {
  return db.get<BackupRow>(`SELECT ${BACKUP_COLUMNS} FROM ${BACKUP_TABLES} WHERE b.backup = ?`, backup);
}

/**
 * The row of a backup that must be there.
 *
 * @throws {ZkeepError} `damaged` (`index.lost`) when it is not.
 */
export function requireRow(db: IndexDatabase, backup: BackupId): BackupRow {
  const row = findRow(db, backup);
  if (row) return row;
  throw new ZkeepError('damaged', 'index.lost', `the index has lost backup ${backup}`, {
    advice: 'delete the index: it is built again from the bucket',
    facts: { backup },
  });
}

/** A backup as the planner sees it. */
export interface PlannedEdge extends BackupEdge {
  readonly damaged: boolean;
}

/** The backups that lead to a snapshot as the planner sees them, in the order of their ids. */
export function edgesTo(db: IndexDatabase, to: Guid): PlannedEdge[] {
  return db.all<EdgeRow>(EDGES_TO, to).map(({ raw, large_blocks, damaged, ...edge }) => ({
    ...edge,
    flags: { raw: raw === 1, large_blocks: large_blocks === 1 },
    damaged: damaged === 1,
  }));
}

const EDGES_TO = `
  SELECT backup, base AS "from", snapshot AS "to", raw, large_blocks, bytes, stored, committed, damaged
  FROM backup WHERE snapshot = ? ORDER BY backup`;

interface EdgeRow extends Omit<BackupEdge, 'flags'> {
  readonly raw: number;
  readonly large_blocks: number;
  readonly damaged: number;
}

/** The rows of the backups that lead to a snapshot, in the order of their ids. */
export function rowsTo(db: IndexDatabase, to: Guid): BackupRow[] {
  const sql = `SELECT ${BACKUP_COLUMNS} FROM ${BACKUP_TABLES} WHERE b.snapshot = ? ORDER BY b.backup`;
  return db.all<BackupRow>(sql, to);
}

/** Of these, those that are not known to be damaged. */
export function wholeRowsTo(db: IndexDatabase, to: Guid): BackupRow[] {
  const sql = `SELECT ${BACKUP_COLUMNS} FROM ${BACKUP_TABLES} WHERE b.snapshot = ? AND b.damaged = 0 ORDER BY b.backup`;
  return db.all<BackupRow>(sql, to);
}

function tooLarge({ backup }: Manifest, what: string, count: number): ZkeepError {
  return new ZkeepError('damaged', 'index.number', `the manifest of backup ${backup} says ${count} ${what}`, {
    advice: 'it was not written by zkeep, or damaged since',
    facts: { backup },
  });
}
