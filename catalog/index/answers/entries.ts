/** Lists of what is kept: backups, and the snapshots that they lead to. */
import type { SnapshotNode } from '../../chain/graph.ts';
import type { BackupsAnswer, BackupsQuery, SnapshotsAnswer, SnapshotsQuery } from '../../protocol/pages.ts';
import type { BackupSummary } from '../../protocol/protocol.ts';
import { BACKUP_COLUMNS, BACKUP_TABLES, type BackupRow, summaryOf } from '../tables/backup.ts';
import type { IndexDatabase } from '../tables/database.ts';
import { datasetRows } from './lists.ts';
import { Conditions, type Key, keyAfter, limitOf, type Page, pageOf } from './page.ts';

/**
 * Backups. Of a dataset or host: dataset by dataset, the newest snapshot first;
 * of a lineage the newest snapshot first; otherwise the newest backup first.
 */
export function listBackups(db: IndexDatabase, request: BackupsQuery): BackupsAnswer {
  const { items, next } = listRows(db, request, 'every');
  return { backups: items.map(summaryOf), next };
}

/**
 * Snapshots that a backup leads to, in the order of {@link listBackups}. Asked by
 * dataset or host, a snapshot is listed once for each dataset that it was kept as,
 * with the labels it had there; otherwise once, with the labels of the newest backup.
 */
export function listSnapshots(db: IndexDatabase, request: SnapshotsQuery): SnapshotsAnswer {
  const { items, next } = listRows(db, request, 'newest');
  return { snapshots: items.map((row) => ({ ...nodeOf(row), drift: row.drift })), next };
}

/** The snapshot that a backup leads to. */
export function nodeOf({
  to,
  lineage,
  host,
  dataset,
  name,
  created,
}: BackupRow | BackupSummary): SnapshotNode {
  return { guid: to, lineage, host, dataset, name, created };
}

/** The condition that no newer backup than `b` leads to its snapshot, by any dataset or by its own. */
export const NEWEST = `NOT EXISTS (SELECT 1 FROM backup n INDEXED BY backup_by_snapshot
  WHERE n.snapshot = b.snapshot AND (n.committed, n.backup) > (b.committed, b.backup))`;
export const NEWEST_HERE = `NOT EXISTS (SELECT 1 FROM backup n INDEXED BY backup_by_snapshot
  WHERE n.snapshot = b.snapshot AND n.dataset = b.dataset AND (n.committed, n.backup) > (b.committed, b.backup))`;

/** Every backup, or of those to one snapshot only the newest. */
type Kind = 'every' | 'newest';

/** What a list is ordered by, and what tells its place. */
interface Order {
  readonly columns: readonly string[];
  readonly shape: readonly ('string' | 'number')[];
  readonly keyOf: (row: BackupRow) => Key;
}

const BY_BACKUP: Order = { columns: ['b.backup'], shape: ['string'], keyOf: ({ backup }) => [backup] };
const BY_TIME: Order = {
  columns: ['b.created', 'b.backup'],
  shape: ['number', 'string'],
  keyOf: ({ created, backup }) => [created, backup],
};

function listRows(db: IndexDatabase, request: BackupsQuery, kind: Kind): Page<BackupRow> {
  const { dataset, host, lineage, to, set } = request;
  const isOfDataset = dataset !== undefined || host !== undefined;
  const isSmall = to !== undefined || set !== undefined;
  if (isOfDataset && !isSmall && lineage === undefined) return walkDatasets(db, request, kind);
  const limit = limitOf(request);
  const order = isSmall || lineage === undefined ? BY_BACKUP : BY_TIME;
  const conditions = new Conditions()
    .add('b.snapshot = ?', to)
    .add('b.set_id = ?', set)
    .add('b.lineage = (SELECT id FROM lineage WHERE lineage = ?)', lineage)
    .add('d.dataset = ?', dataset)
    .add('d.host = ?', host);
  if (kind === 'newest') conditions.addAll(isOfDataset ? NEWEST_HERE : NEWEST, []);
  const rows = select(db, conditions, order, keyAfter(request, order.shape), limit + 1);
  return pageOf(rows, limit, order.keyOf);
}

/** One dataset after the other, because no index holds the snapshots of several in the order of time. */
function walkDatasets(db: IndexDatabase, request: BackupsQuery, kind: Kind): Page<BackupRow> {
  const limit = limitOf(request);
  const key = keyAfter(request, ['string', 'string', ...BY_TIME.shape]);
  const rows: BackupRow[] = [];
  // Every dataset has a row, the first one perhaps none after the key.
  for (const { id, dataset, host } of datasetRows(db, request, '>=', key?.slice(0, 2), limit + 2)) {
    const after = key && dataset === key[0] && host === key[1] ? key.slice(2) : undefined;
    const conditions = new Conditions().add('b.dataset = ?', id);
    if (kind === 'newest') conditions.addAll(NEWEST_HERE, []);
    rows.push(...select(db, conditions, BY_TIME, after, limit + 1 - rows.length));
    if (rows.length > limit) break;
  }
  return pageOf(rows, limit, (row) => [row.dataset, row.host, ...BY_TIME.keyOf(row)]);
}

function select(
  db: IndexDatabase,
  conditions: Conditions,
  { columns }: Order,
  after: Key | undefined,
  limit: number,
): BackupRow[] {
  conditions.addAll(`(${columns}) < (${columns.map(() => '?')})`, after);
  const order = columns.map((column) => `${column} DESC`);
  return db.all<BackupRow>(
    `SELECT ${BACKUP_COLUMNS} FROM ${BACKUP_TABLES} ${conditions.where} ORDER BY ${order} LIMIT ?`,
    ...conditions.values,
    limit,
  );
}
