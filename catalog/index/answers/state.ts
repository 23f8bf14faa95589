/** How every dataset stands, by what the index knows: read in a few passes, for tens of thousands of them. */
import type { Drill } from '../../journal/entry.ts';
import type { Guid, LineageId, SourceId } from '../../words.ts';
import type { IndexDatabase } from '../tables/database.ts';
import { type DatasetRow, datasetRows } from './lists.ts';
import { renamedTo, type Where } from './names.ts';

/** Which datasets; absent: all. */
export interface StateScope {
  readonly dataset?: string | undefined;
  readonly host?: string | undefined;
}

/** A dataset on a host. Moments are milliseconds since 1970, those of snapshots seconds. */
export interface DatasetState {
  readonly host: string;
  readonly dataset: string;
  /** That of its newest snapshot. */
  readonly lineage: LineageId;
  readonly snapshots: number;
  readonly stored: number;
  /** The newest snapshot that a whole chain leads to, with that chain's backups and their stored bytes. */
  readonly newest: NewestState | null;
  /** The oldest look at one of its backups, by depth; `null`: at one of them nobody has looked. */
  readonly light: number | null;
  readonly deep: number | null;
  readonly damaged: number;
  /** Snapshots that no whole chain leads to. */
  readonly lost: number;
  /**
   * Where it goes on: under the name that it has now, or where its snapshots go on, on the host that its pool
   * came to or where it was restored; and nothing newer came from here.
   */
  readonly continued: { readonly host: string; readonly dataset: string } | null;
  /** The last drill of one of its snapshots. */
  readonly drill: (Drill & { readonly at: string }) | null;
}

export interface NewestState {
  readonly guid: Guid;
  readonly name: string;
  readonly created: number;
  readonly steps: number;
  readonly chain: number;
}

/** Drills that are looked at, the newest first: who drills more often than that drills often enough. */
const MOST_DRILLS = 20_000;

/** Datasets of one part: some milliseconds, and longer only where one has very many backups. */
const AT_ONCE = 100;

/** The datasets by name and host, in parts between which others may have their turn, and write. */
export function* datasetStates(db: IndexDatabase, scope: StateScope): Generator<DatasetState[]> {
  const filter = {
    ...(scope.dataset === undefined ? {} : { dataset: scope.dataset }),
    ...(scope.host === undefined ? {} : { host: scope.host }),
  };
  const drills = lastDrills(db);
  for (let after: readonly string[] | undefined; ; ) {
    const rows = datasetRows(db, filter, '>', after, AT_ONCE);
    const last = rows.at(-1);
    if (!last) return;
    yield rows.map((row) => stateOf(db, row, drills.get(row.id)));
    after = [last.dataset, last.host];
  }
}

function stateOf(
  db: IndexDatabase,
  { id, host, dataset }: DatasetRow,
  drill: DrillDocument | undefined,
): DatasetState {
  const count = db.get<CountRow>(COUNT, id) ?? NOTHING;
  const last = db.get<LastRow>(NEWEST, id);
  return {
    host,
    dataset,
    lineage: last?.lineage ?? ('' as LineageId),
    snapshots: count.snapshots,
    stored: count.stored,
    newest: db.get<NewestState>(NEWEST_RESTORABLE, id) ?? null,
    light: count.seen === count.backups ? count.light : null,
    deep: count.read === count.backups ? count.deep : null,
    damaged: count.damaged,
    lost: count.snapshots - count.restorable,
    continued: (last && (renamedTo(db, id, last.source) ?? db.get<Where>(CONTINUED, last.guid, id))) ?? null,
    drill: drill ? { ...(JSON.parse(drill.document) as Drill), at: drill.at } : null,
  };
}

const COUNT = `SELECT count(DISTINCT b.snapshot) AS snapshots,
    CAST(min(total(b.stored), ${Number.MAX_SAFE_INTEGER}) AS INTEGER) AS stored,
    min(b.light) AS light, min(b.deep) AS deep,
    count(b.light) AS seen, count(b.deep) AS read, count(*) AS backups, total(b.damaged) AS damaged,
    count(DISTINCT CASE WHEN b.chain_cost IS NOT NULL THEN b.snapshot END) AS restorable
  FROM backup b INDEXED BY backup_by_dataset WHERE b.dataset = ?`;

interface CountRow {
  readonly snapshots: number;
  readonly stored: number;
  readonly light: number | null;
  readonly deep: number | null;
  /** Backups that somebody has looked at, and read whole. */
  readonly seen: number;
  readonly read: number;
  readonly backups: number;
  readonly damaged: number;
  readonly restorable: number;
}

const NOTHING: CountRow = {
  snapshots: 0,
  stored: 0,
  light: null,
  deep: null,
  seen: 0,
  read: 0,
  backups: 0,
  damaged: 0,
  restorable: 0,
};

interface LastRow {
  readonly guid: Guid;
  readonly lineage: LineageId;
  readonly source: SourceId | null;
}

const NEWEST = `SELECT b.snapshot AS guid, l.lineage, b.source
  FROM backup b INDEXED BY backup_by_dataset CROSS JOIN lineage l ON l.id = b.lineage
  WHERE b.dataset = ? ORDER BY b.created DESC, b.backup DESC LIMIT 1`;

/** Of several snapshots of one second that which was stored last, and of several backups to it that of the cheapest chain. */
const NEWEST_RESTORABLE = `SELECT c.snapshot AS guid, c.name, c.created, c.chain_steps AS steps, c.chain_cost AS chain
  FROM (SELECT snapshot FROM backup INDEXED BY backup_by_dataset
    WHERE dataset = ? AND chain_cost IS NOT NULL ORDER BY created DESC, backup DESC LIMIT 1) n
  CROSS JOIN backup c INDEXED BY backup_by_snapshot ON c.snapshot = n.snapshot
  WHERE c.chain_cost IS NOT NULL ORDER BY c.chain_cost, c.chain_steps, c.backup LIMIT 1`;

const CONTINUED = `SELECT d.host, d.dataset
  FROM backup b INDEXED BY backup_by_base CROSS JOIN dataset d ON d.id = b.dataset
  WHERE b.base = ? AND b.dataset <> ? ORDER BY b.backup DESC LIMIT 1`;

/** A drill as it was said; read only where it is needed. */
interface DrillDocument {
  readonly at: string;
  readonly document: string;
}

/** The last drill by the rows of the datasets that have its snapshot. */
function lastDrills(db: IndexDatabase): Map<number, DrillDocument> {
  const rows = db.all<DrillDocument & { readonly dataset: number }>(
    `SELECT DISTINCT b.dataset, r.at, r.document
     FROM (SELECT id, at, guid, document FROM drill ORDER BY id DESC LIMIT ?) r
     CROSS JOIN backup b INDEXED BY backup_by_snapshot ON b.snapshot = r.guid ORDER BY r.id`,
    MOST_DRILLS,
  );
  return new Map(rows.map((row) => [row.dataset, row]));
}
