/** All backups as retention sees them. */
import type { RetentionEdge } from '../../chain/retention/edge.ts';
import type { LineageId } from '../../words.ts';
import { BACKUP_COLUMNS, BACKUP_TABLES, type BackupRow } from '../tables/backup.ts';
import type { IndexDatabase } from '../tables/database.ts';
import { Conditions } from './page.ts';

/** A backup as retention sees it, and whether it is damaged: then no chain leads over it. */
export interface KeptEdge extends RetentionEdge {
  readonly damaged: boolean;
}

/** Which backups; absent: all. */
export interface EdgesScope {
  readonly dataset?: string | undefined;
  readonly host?: string | undefined;
  readonly lineage?: LineageId | undefined;
}

/** The backups of a dataset, host or lineage, or all, in no order. Nothing may be written until the last one came. */
export function* edgesOf(db: IndexDatabase, { dataset, host, lineage }: EdgesScope): Generator<KeptEdge> {
  const conditions = new Conditions()
    .add('b.lineage = (SELECT id FROM lineage WHERE lineage = ?)', lineage)
    .add('d.dataset = ?', dataset)
    .add('d.host = ?', host);
  const isOfDataset = lineage === undefined && (dataset !== undefined || host !== undefined);
  const tables = isOfDataset ? BY_DATASET : BACKUP_TABLES;
  const sql = `SELECT ${BACKUP_COLUMNS}, b.damaged FROM ${tables} ${conditions.where}`;
  for (const row of db.each<BackupRow & { damaged: number }>(sql, ...conditions.values)) yield edgeOf(row);
}

const BY_DATASET = `dataset d CROSS JOIN backup b INDEXED BY backup_by_dataset ON b.dataset = d.id
  CROSS JOIN lineage l ON l.id = b.lineage`;

function edgeOf(row: BackupRow & { readonly damaged: number }): KeptEdge {
  const { backup, from, to, bytes, stored, committed, host, dataset, source, name, created, lineage } = row;
  return {
    backup,
    from,
    to,
    flags: { raw: row.raw === 1, large_blocks: row.large_blocks === 1 },
    bytes,
    stored,
    committed,
    host,
    dataset,
    source,
    name,
    created,
    lineage,
    damaged: row.damaged === 1,
  };
}
