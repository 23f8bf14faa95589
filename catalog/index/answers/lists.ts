/** Lists of what is kept: datasets and lineages. */
import type { DatasetsAnswer, DatasetsQuery, LineagesAnswer, LineagesQuery } from '../../protocol/pages.ts';
import type { Dataset, Lineage } from '../../protocol/protocol.ts';
import type { LineageId } from '../../words.ts';
import type { IndexDatabase } from '../tables/database.ts';
import { Conditions, keyAfter, limitOf, pageOf } from './page.ts';

/** Which datasets, or the lineages of which; absent: all. */
export interface DatasetFilter {
  readonly dataset?: string;
  readonly host?: string;
}

/** A dataset with its row id. */
export interface DatasetRow {
  readonly id: number;
  readonly dataset: string;
  readonly host: string;
}

/** Datasets by name and host. */
export function listDatasets(db: IndexDatabase, query: DatasetsQuery): DatasetsAnswer {
  const limit = limitOf(query);
  const rows = datasetRows(db, query, '>', keyAfter(query, ['string', 'string']), limit + 1);
  const { items, next } = pageOf(rows, limit, ({ dataset, host }) => [dataset, host]);
  return { datasets: items.map((row) => datasetOf(db, row)), next };
}

/** The rows of datasets by name and host, from a key on or after it. */
export function datasetRows(
  db: IndexDatabase,
  { dataset, host }: DatasetFilter,
  from: '>' | '>=',
  key: readonly (string | number)[] | undefined,
  limit: number,
): DatasetRow[] {
  const conditions = new Conditions()
    .add('dataset = ?', dataset)
    .add('host = ?', host)
    .addAll(`(dataset, host) ${from} (?, ?)`, key);
  const sql = `SELECT id, dataset, host FROM dataset ${conditions.where} ORDER BY dataset, host LIMIT ?`;
  return db.all<DatasetRow>(sql, ...conditions.values, limit);
}

/** Lineages, those that began last first. */
export function listLineages(db: IndexDatabase, query: LineagesQuery): LineagesAnswer {
  const limit = limitOf(query);
  const conditions = new Conditions().addAll('(l.lineage) < (?)', keyAfter(query, ['string']));
  const of = new Conditions().add('d.dataset = ?', query.dataset).add('d.host = ?', query.host);
  if (of.where) {
    conditions.addAll(
      `l.id IN (SELECT t.lineage FROM dataset d CROSS JOIN tally t ON t.dataset = d.id ${of.where})`,
      of.values,
    );
  }
  const sql = `SELECT l.id, l.lineage, l.snapshots FROM lineage l ${conditions.where} ORDER BY l.lineage DESC LIMIT ?`;
  const rows = db.all<LineageRow>(sql, ...conditions.values, limit + 1);
  const { items, next } = pageOf(rows, limit, ({ lineage }) => [lineage]);
  return { lineages: items.map((row) => lineageOf(db, row)), next };
}

/** One lineage. */
export function findLineage(db: IndexDatabase, id: LineageId): Lineage | undefined {
  const row = db.get<LineageRow>('SELECT id, lineage, snapshots FROM lineage WHERE lineage = ?', id);
  return row && lineageOf(db, row);
}

interface LineageRow {
  readonly id: number;
  readonly lineage: LineageId;
  readonly snapshots: number;
}

interface Tally {
  readonly snapshots: number;
  readonly backups: number;
  readonly stored: number;
  readonly oldest: number;
  readonly newest: number;
}

function datasetOf(db: IndexDatabase, { id, dataset, host }: DatasetRow): Dataset {
  const tallies = db.all<Tally & { lineage: LineageId }>(
    `SELECT l.lineage, t.snapshots, t.backups, t.stored, t.oldest, t.newest
     FROM tally t CROSS JOIN lineage l ON l.id = t.lineage WHERE t.dataset = ? ORDER BY t.newest DESC, l.lineage DESC`,
    id,
  );
  const { backups: _, ...sum } = sumOf(tallies);
  return { host, dataset, lineages: tallies.map(({ lineage }) => lineage), ...sum };
}

function lineageOf(db: IndexDatabase, { id, lineage, snapshots }: LineageRow): Lineage {
  const tallies = db.all<Tally & { host: string; dataset: string }>(
    `SELECT d.host, d.dataset, t.snapshots, t.backups, t.stored, t.oldest, t.newest
     FROM tally t CROSS JOIN dataset d ON d.id = t.dataset WHERE t.lineage = ? ORDER BY d.dataset, d.host`,
    id,
  );
  const datasets = tallies.map(({ host, dataset }) => ({ host, dataset }));
  return { lineage, datasets, ...sumOf(tallies), snapshots };
}

/** Snapshots of one dataset are in one lineage each, so they add up; of one lineage they may have several datasets. */
function sumOf(tallies: readonly Tally[]): Tally {
  const each = (key: keyof Tally) => tallies.map((tally) => tally[key]);
  const sum = (key: keyof Tally) => each(key).reduce((a, b) => Math.min(a + b, Number.MAX_SAFE_INTEGER), 0);
  return {
    snapshots: sum('snapshots'),
    backups: sum('backups'),
    stored: sum('stored'),
    oldest: Math.min(...each('oldest')),
    newest: Math.max(...each('newest')),
  };
}
