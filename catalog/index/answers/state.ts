/** How every dataset stands, by what the index knows: read in a few passes, for tens of thousands of them. */
import type { Drill } from '../../journal/entry.ts';
import type { Guid, LineageId } from '../../words.ts';
import type { IndexDatabase } from '../tables/database.ts';
import { Conditions } from './page.ts';

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
  /** Where its snapshots go on: it was renamed, or restored elsewhere, and nothing newer came from here. */
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

/** The datasets, by name and host. */
export function datasetStates(db: IndexDatabase, { dataset, host }: StateScope): DatasetState[] {
  const conditions = new Conditions().add('d.dataset = ?', dataset).add('d.host = ?', host);
  const rows = db.all<CountRow>(
    `SELECT d.id, d.host, d.dataset, count(DISTINCT b.snapshot) AS snapshots,
       CAST(min(total(b.stored), ${Number.MAX_SAFE_INTEGER}) AS INTEGER) AS stored,
       min(b.light) AS light, min(b.deep) AS deep,
       count(b.light) AS seen, count(b.deep) AS read, count(*) AS backups, sum(b.damaged) AS damaged,
       count(DISTINCT CASE WHEN b.chain_cost IS NOT NULL THEN b.snapshot END) AS restorable
     FROM dataset d CROSS JOIN backup b INDEXED BY backup_by_dataset ON b.dataset = d.id
     ${conditions.where} GROUP BY d.id ORDER BY d.dataset, d.host`,
    ...conditions.values,
  );
  const drills = lastDrills(db);
  return rows.map((row) => {
    const last = db.get<LastRow>(NEWEST, row.id);
    return {
      host: row.host,
      dataset: row.dataset,
      lineage: last?.lineage ?? ('' as LineageId),
      snapshots: row.snapshots,
      stored: row.stored,
      newest: db.get<NewestState>(NEWEST_RESTORABLE, row.id) ?? null,
      light: row.seen === row.backups ? row.light : null,
      deep: row.read === row.backups ? row.deep : null,
      damaged: row.damaged,
      lost: row.snapshots - row.restorable,
      continued: (last && db.get<Where>(CONTINUED, last.guid, row.id)) ?? null,
      drill: drills.get(row.id) ?? null,
    };
  });
}

interface CountRow {
  readonly id: number;
  readonly host: string;
  readonly dataset: string;
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

interface LastRow {
  readonly guid: Guid;
  readonly lineage: LineageId;
}

interface Where {
  readonly host: string;
  readonly dataset: string;
}

const NEWEST = `SELECT b.snapshot AS guid, l.lineage
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

/** The last drill by the rows of the datasets that have its snapshot. */
function lastDrills(db: IndexDatabase): Map<number, Drill & { readonly at: string }> {
  const rows = db.all<{ dataset: number; at: string; document: string }>(
    `SELECT DISTINCT b.dataset, r.at, r.document
     FROM (SELECT id, at, guid, document FROM drill ORDER BY id DESC LIMIT ?) r
     CROSS JOIN backup b INDEXED BY backup_by_snapshot ON b.snapshot = r.guid ORDER BY r.id`,
    MOST_DRILLS,
  );
  return new Map(
    rows.map(({ dataset, at, document }) => [dataset, { ...(JSON.parse(document) as Drill), at }]),
  );
}
