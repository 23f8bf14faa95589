/** From words to one snapshot: reads the few candidates that can decide, and lets the chain's rules choose. */
import type { SnapshotNode } from '../../chain/graph.ts';
import {
  type Candidate,
  checkOneDataset,
  type Place,
  pickSnapshot,
  type Selection,
} from '../../chain/select.ts';
import type { BackupId } from '../../words.ts';
import { BACKUP_COLUMNS, BACKUP_TABLES, type BackupRow } from '../tables/backup.ts';
import type { IndexDatabase } from '../tables/database.ts';
import { NEWEST, NEWEST_HERE, nodeOf } from './entries.ts';
import { type DatasetRow, datasetRows } from './lists.ts';
import { Conditions } from './page.ts';

/**
 * The snapshot that is meant: the same as `selectSnapshot` over all snapshots.
 *
 * @throws what `selectSnapshot` throws.
 */
export function chooseSnapshot(db: IndexDatabase, wanted: Selection): SnapshotNode {
  const { kept: _, ...node } = pickSnapshot(candidatesFor(db, wanted), wanted);
  return node;
}

/** Most snapshots of one name that are told apart. */
const MOST_OF_NAME = 100;

function candidatesFor(db: IndexDatabase, wanted: Selection): Candidate[] {
  const { dataset, host, guids } = wanted;
  if (guids) return guids.flatMap((guid) => read(db, ofGuid(guid, wanted), 'b.backup', NO_LIMIT));
  const places = dataset === undefined ? [] : placesOf(db, wanted);
  checkOneDataset(places, wanted);
  const filter = { ...(dataset === undefined ? {} : { dataset }), ...(host === undefined ? {} : { host }) };
  return datasetRows(db, filter, '>=', undefined, NO_LIMIT).flatMap((row) => candidatesOf(db, row, wanted));
}

const NO_LIMIT = -1;

function placesOf(db: IndexDatabase, { dataset, host }: Selection): Place[] {
  const conditions = new Conditions().add('d.dataset = ?', dataset).add('d.host = ?', host);
  return db.all<Place>(
    `SELECT d.host, l.lineage FROM dataset d CROSS JOIN tally t ON t.dataset = d.id
     CROSS JOIN lineage l ON l.id = t.lineage ${conditions.where}`,
    ...conditions.values,
  );
}

/** Those that can be the answer, and those that the words of a refusal name: the oldest, and namesakes. */
function candidatesOf(db: IndexDatabase, { id }: DatasetRow, { at, name }: Selection): Candidate[] {
  const called = () =>
    new Conditions().add('b.dataset = ?', id).add('b.name = ?', name).addAll(NEWEST_HERE, []);
  // Of one second there may be several: the chain's rules say which of them is meant.
  const like = ([one]: Candidate[]) =>
    one ? read(db, called().add('b.created = ?', one.created), 'b.created', NO_LIMIT) : [];
  const decisive = like(read(db, called().add('b.created <= ?', at), 'b.created DESC', 1));
  const oldest = like(read(db, called(), 'b.created', 1));
  if (name === undefined) return [...decisive, ...oldest];
  const namesakes = at === undefined ? read(db, called(), 'b.created DESC', MOST_OF_NAME) : [];
  const any = read(db, new Conditions().add('b.dataset = ?', id).addAll(NEWEST_HERE, []), 'b.created', 1);
  return [...decisive, ...oldest, ...namesakes, ...any];
}

function ofGuid(guid: string, { dataset, host }: Selection): Conditions {
  const isOfDataset = dataset !== undefined || host !== undefined;
  return new Conditions()
    .add('b.snapshot = ?', guid)
    .add('d.dataset = ?', dataset)
    .add('d.host = ?', host)
    .addAll(isOfDataset ? NEWEST_HERE : NEWEST, []);
}

function read(db: IndexDatabase, conditions: Conditions, order: string, limit: number): Candidate[] {
  return db
    .all<BackupRow & { kept: BackupId }>(
      `SELECT ${BACKUP_COLUMNS}, (SELECT min(f.backup) FROM backup f WHERE f.snapshot = b.snapshot) AS kept
       FROM ${BACKUP_TABLES} ${conditions.where} ORDER BY ${order} LIMIT ?`,
      ...conditions.values,
      limit,
    )
    .map((row) => ({ ...nodeOf(row), kept: row.kept }));
}
