/** Which datasets had several names, as their own GUIDs tell. */
import { placeNow, type Stay } from '../../chain/retention/stays.ts';
import type { SourceId } from '../../words.ts';
import type { IndexDatabase } from '../tables/database.ts';

/** A dataset name on a host. */
export interface Where {
  readonly host: string;
  readonly dataset: string;
}

/**
 * The name that a dataset has now; `undefined`: the one that is given, or not known.
 *
 * @param place row id of the one that is given.
 */
export function renamedTo(db: IndexDatabase, place: number, source: SourceId | null): Where | undefined {
  if (source === null || !hadOthers(db, place, source)) return undefined;
  const now = placeNow(db.all<Stay<number>>(STAYS, source));
  return now === undefined || now === place ? undefined : db.get<Where>(PLACE, now);
}

/** Two looks, and nothing more for most. */
function hadOthers(db: IndexDatabase, place: number, source: SourceId): boolean {
  return db.get(BEFORE, source, place) !== undefined || db.get(BEHIND, source, place) !== undefined;
}

const BEFORE = 'SELECT 1 FROM backup INDEXED BY backup_by_source WHERE source = ? AND dataset < ? LIMIT 1';
const BEHIND = 'SELECT 1 FROM backup INDEXED BY backup_by_source WHERE source = ? AND dataset > ? LIMIT 1';
const STAYS = `SELECT dataset AS place, max(created) AS newest, max(backup) AS last
  FROM backup INDEXED BY backup_by_source WHERE source = ? GROUP BY dataset`;
const PLACE = 'SELECT host, dataset FROM dataset WHERE id = ?';

/** All names of each dataset that had several: one pass over an index. */
export function renamedDatasets(db: IndexDatabase): Where[][] {
  const rows = db.all<Where & { readonly source: SourceId }>(RENAMED);
  return [...Map.groupBy(rows, ({ source }) => source).values()].map((places) =>
    places.map(({ host, dataset }) => ({ host, dataset })),
  );
}

const RENAMED = `SELECT DISTINCT r.source, d.host, d.dataset
  FROM (SELECT source FROM backup INDEXED BY backup_by_source WHERE source IS NOT NULL
    GROUP BY source HAVING min(dataset) < max(dataset)) r
  CROSS JOIN backup b INDEXED BY backup_by_source ON b.source = r.source
  CROSS JOIN dataset d ON d.id = b.dataset`;
