/** The restore plan from the tables, and the names for its reasons. */
import type { BackupEdge } from '../../chain/graph.ts';
import type { NamedSnapshot, NameSource } from '../../chain/names.ts';
import { planRestore } from '../../chain/restore.ts';
import type { PlanRequest, RestorePlan } from '../../protocol/protocol.ts';
import type { Guid, LineageId } from '../../words.ts';
import {
  BACKUP_COLUMNS,
  BACKUP_TABLES,
  type BackupRow,
  edgesTo,
  requireRow,
  summaryOf,
} from '../tables/backup.ts';
import { cheapestChain, waysTo } from '../tables/chains.ts';
import type { IndexDatabase } from '../tables/database.ts';
import { chooseSnapshot } from './choose.ts';
import { NEWEST, NEWEST_HERE, nodeOf } from './entries.ts';
import { datasetRows } from './lists.ts';

/**
 * Plans a restore.
 *
 * @throws {ZkeepError} `usage` or `missing` when it is not clear which snapshot is wanted, else the reason
 *   why no path leads there.
 */
export function planIn(db: IndexDatabase, { wanted, have, rollback }: PlanRequest): RestorePlan {
  const node = chooseSnapshot(db, wanted);
  const nodes = namesIn(db);
  const question = { wanted: node.guid, have, rollback, nodes, isDamaged };
  // For a fresh target the cheapest chain is kept, and the planner need not search for it.
  const chain = have.length === 0 ? cheapestChain(db, node.guid) : [];
  const edges = chain.length > 0 ? chain : readOnce((to) => edgesTo(db, to));
  const answer = planRestore<Planned>({ ...question, edges });
  if (!answer.possible) throw answer.reason;
  const known = new Map(chain.map((step) => [step.backup, step]));
  const steps = answer.path.steps.map(({ backup }) => known.get(backup) ?? summaryOf(requireRow(db, backup)));
  return { wanted: node, ...answer.path, steps };
}

/** Of what is on a kept chain, nothing is damaged. */
type Planned = BackupEdge & { readonly damaged?: boolean };

function isDamaged({ damaged = false }: Planned): boolean {
  return damaged;
}

function readOnce<Row>(read: (guid: Guid) => Row[]): (guid: Guid) => Row[] {
  const known = new Map<Guid, Row[]>();
  return (guid) => {
    const rows = known.get(guid) ?? read(guid);
    known.set(guid, rows);
    return rows;
  };
}

function namesIn(db: IndexDatabase): NameSource {
  return {
    get: (guid) => keptName(db, guid) ?? baseName(db, guid),
    until: (dataset, moment) => restorableUntil(db, dataset, moment),
  };
}

function keptName(db: IndexDatabase, guid: Guid): NamedSnapshot | undefined {
  const sql = `SELECT ${BACKUP_COLUMNS} FROM ${BACKUP_TABLES} WHERE b.snapshot = ? AND ${NEWEST}`;
  const row = db.get<BackupRow>(sql, guid);
  return row && { ...nodeOf(row), restorable: waysTo(db, guid).length > 0 };
}

/** Of a snapshot that is only a base, what the last backup from it called it. */
function baseName(db: IndexDatabase, guid: Guid): NamedSnapshot | undefined {
  return db.get<{ guid: Guid; dataset: string; name: string | null; lineage: LineageId }>(
    `SELECT b.base AS guid, d.dataset, b.base_name AS name, l.lineage
     FROM ${BACKUP_TABLES} WHERE b.base = ? ORDER BY b.backup DESC LIMIT 1`,
    guid,
  );
}

/** Of each host the newest is enough. */
function restorableUntil(db: IndexDatabase, dataset: string, moment: number): NamedSnapshot[] {
  const sql = `SELECT ${BACKUP_COLUMNS} FROM ${BACKUP_TABLES} WHERE b.dataset = ? AND b.created <= ?
    AND EXISTS (SELECT 1 FROM backup c WHERE c.snapshot = b.snapshot AND c.chain_cost IS NOT NULL) AND ${NEWEST_HERE}
    ORDER BY b.created DESC, b.backup DESC LIMIT 1`;
  return datasetRows(db, { dataset }, '>=', undefined, -1)
    .flatMap(({ id }) => db.get<BackupRow>(sql, id, moment) ?? [])
    .sort((a, b) => b.created - a.created)
    .map((row) => ({ ...nodeOf(row), restorable: true }));
}
