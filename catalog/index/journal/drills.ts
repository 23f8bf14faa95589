/** The evidence of drills. */
import type { Drill } from '../../journal/entry.ts';
import type { DrillRow, DrillsAnswer, DrillsQuery } from '../../protocol/events.ts';
import type { LineageId } from '../../words.ts';
import { Conditions, keyAfter, limitOf, pageOf } from '../answers/page.ts';
import type { IndexDatabase, Value } from '../tables/database.ts';

/** Drills, the newest first. */
export function listDrills(db: IndexDatabase, query: DrillsQuery): DrillsAnswer {
  const limit = limitOf(query);
  const { dataset, host, lineage } = query;
  const conditions = new Conditions()
    .add('r.dataset = ?', dataset)
    .add('r.host = ?', host)
    .addAll('r.id < ?', keyAfter(query, ['string']));
  const rows =
    lineage === undefined
      ? read(db, `drill r ${conditions.where} ORDER BY r.id DESC LIMIT ?`, ...conditions.values, limit + 1)
      : read(
          db,
          `(${OF_LINEAGE}) o CROSS JOIN drill r ON r.id = o.id ${conditions.where} ORDER BY r.id DESC LIMIT ?`,
          ...ofLineage(lineage),
          ...conditions.values,
          limit + 1,
        );
  const { items, next } = pageOf(rows, limit, ({ id }) => [id]);
  return { drills: items.map(drillOf), next };
}

/**
 * A lineage is called by its smallest backup, so its name changes when that is removed. A drill is of the
 * lineage that has its snapshot, or the backup by which its lineage was called; when neither is there
 * any more, of those of the datasets of its name.
 */
const OF_LINEAGE = `
  SELECT r.id FROM lineage l CROSS JOIN backup b INDEXED BY backup_by_lineage ON b.lineage = l.id
    CROSS JOIN drill r INDEXED BY drill_of_snapshot ON r.guid = b.snapshot WHERE l.lineage = ?
  UNION
  SELECT r.id FROM lineage l CROSS JOIN backup b INDEXED BY backup_by_lineage ON b.lineage = l.id
    CROSS JOIN drill r INDEXED BY drill_of_lineage ON r.lineage = b.backup WHERE l.lineage = ?
  UNION
  SELECT r.id FROM lineage l CROSS JOIN tally t ON t.lineage = l.id CROSS JOIN dataset s ON s.id = t.dataset
    CROSS JOIN drill r INDEXED BY drill_of_dataset ON r.dataset = s.dataset
    WHERE l.lineage = ? AND NOT EXISTS (SELECT 1 FROM backup b WHERE b.snapshot = r.guid)
      AND NOT EXISTS (SELECT 1 FROM backup b WHERE b.backup = r.lineage)`;

interface Row {
  readonly id: string;
  readonly at: string;
  readonly who: string | null;
  readonly document: string;
}

function read(db: IndexDatabase, from: string, ...values: Value[]): Row[] {
  return db.all<Row>(`SELECT r.id, r.at, r.who, r.document FROM ${from}`, ...values);
}

function ofLineage(lineage: LineageId): LineageId[] {
  return [lineage, lineage, lineage];
}

function drillOf({ at, who, document }: Row): DrillRow {
  return { ...(JSON.parse(document) as Drill), at, by: who };
}
