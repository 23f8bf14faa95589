/** At which backups of a dataset its settings changed. */

import type { Change, Scope, Setting } from '../../attributes/difference.ts';
import type { HistoryAnswer, HistoryPoint, HistoryQuery } from '../../protocol/history.ts';
import type { BackupId } from '../../words.ts';
import { requireRow } from '../tables/backup.ts';
import type { IndexDatabase } from '../tables/database.ts';
import { settingsOfBackup, unpackSettings } from '../tables/settings.ts';
import { chooseSnapshot } from './choose.ts';
import { type DatasetRow, datasetRows } from './lists.ts';
import { Conditions, type Key, keyAfter, limitOf, pageOf } from './page.ts';

/**
 * The backups at which a setting changed, host by host, the newest snapshot first.
 * The last one of a host is the first whose settings are known: there all that was
 * set is a change from nothing.
 *
 * @throws {ZkeepError} `missing` when nothing is kept of the dataset, `usage` when several hosts have one of its name.
 */
export function listHistory(db: IndexDatabase, query: HistoryQuery): HistoryAnswer {
  const { dataset, host } = query;
  const meant = { dataset, ...(host === undefined ? {} : { host }) };
  chooseSnapshot(db, meant);
  const limit = limitOf(query);
  const key = keyAfter(query, ['string', 'number', 'string']);
  const points: HistoryPoint[] = [];
  for (const row of datasetRows(db, meant, '>=', key && [dataset, key[0] ?? ''], -1)) {
    const after = key && row.host === key[0] ? key.slice(1) : undefined;
    points.push(...pointsOf(db, row, query, after, limit + 1 - points.length));
    if (points.length > limit) break;
  }
  const { items, next } = pageOf(points, limit, ({ host, created, backup }) => [host, created, backup]);
  return { points: items, next };
}

/** Where something changed, and what is asked of it. */
interface Place {
  readonly created: number;
  readonly backup: BackupId;
}

type Filter = Pick<HistoryQuery, 'property' | 'scope'>;

function pointsOf(
  db: IndexDatabase,
  row: DatasetRow,
  filter: Filter,
  after: Key | undefined,
  limit: number,
): HistoryPoint[] {
  const points = changedPlaces(db, row, filter, after, limit).map((place) =>
    pointAt(db, place, false, changesAt(db, row, place, filter)),
  );
  const first = points.length < limit ? firstPoint(db, row, filter, after) : undefined;
  return first ? [...points, first] : points;
}

function changedPlaces(
  db: IndexDatabase,
  { id }: DatasetRow,
  { property, scope }: Filter,
  after: Key | undefined,
  limit: number,
): Place[] {
  const conditions = new Conditions()
    .add('dataset = ?', id)
    .add('property = ?', property)
    .add('scope = ?', scope)
    .addAll('(created, backup) < (?, ?)', after);
  return db.all<Place>(
    `SELECT DISTINCT created, backup FROM change ${property === undefined ? '' : 'INDEXED BY change_of_property'}
     ${conditions.where} ORDER BY created DESC, backup DESC LIMIT ?`,
    ...conditions.values,
    limit,
  );
}

interface ChangeRow {
  readonly scope: Scope;
  readonly name: string;
  readonly property: string;
  readonly before: string | null;
  readonly after: string | null;
}

function changesAt(
  db: IndexDatabase,
  { id }: DatasetRow,
  { created, backup }: Place,
  { property, scope }: Filter,
): Change[] {
  const conditions = new Conditions()
    .add('dataset = ?', id)
    .add('created = ?', created)
    .add('backup = ?', backup)
    .add('scope = ?', scope)
    .add('property = ?', property);
  const sql = `SELECT scope, name, property, before, after FROM change ${conditions.where} ORDER BY scope, name, property`;
  return db.all<ChangeRow>(sql, ...conditions.values).map(({ before, after, ...what }) => ({
    ...what,
    before: before === null ? null : JSON.parse(before),
    after: after === null ? null : JSON.parse(after),
  }));
}

/** The first backup whose settings are known. */
function firstPoint(
  db: IndexDatabase,
  { id, dataset }: DatasetRow,
  filter: Filter,
  after: Key | undefined,
): HistoryPoint | undefined {
  const first = db.get<Place & { name: string; content: Buffer }>(
    `SELECT b.created, b.backup, b.name, s.content FROM backup b INDEXED BY backup_known
     CROSS JOIN settings s ON s.id = b.settings
     WHERE b.dataset = ? AND b.settings > 0 ORDER BY b.created, b.backup LIMIT 1`,
    id,
  );
  if (!first || (after && !isBefore(first, after))) return undefined;
  const settings = settingsOfBackup(unpackSettings(first.content), { dataset, name: first.name });
  const changes = settings.filter((setting) => fits(setting, filter)).map(fromNothing);
  return changes.length > 0 ? pointAt(db, first, true, changes) : undefined;
}

function isBefore({ created, backup }: Place, [at = 0, id = '']: Key): boolean {
  return created < Number(at) || (created === at && backup < String(id));
}

function fits({ property, scope }: Setting, filter: Filter): boolean {
  return (
    (filter.property === undefined || filter.property === property) &&
    (filter.scope === undefined || filter.scope === scope)
  );
}

function fromNothing(after: Setting): Change {
  const { scope, name, property } = after;
  return { scope, name, property, before: null, after };
}

function pointAt(
  db: IndexDatabase,
  { backup }: Place,
  first: boolean,
  changes: readonly Change[],
): HistoryPoint {
  const { host, dataset, to, name, created } = requireRow(db, backup);
  return { host, dataset, backup, guid: to, name, created, first, changes: [...changes] };
}
