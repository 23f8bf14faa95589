/** What holds by the journal: policies, pins, and marks for removal. */
import type { Policy } from '../../chain/retention/policy.ts';
import type { Pin } from '../../journal/entry.ts';
import type { PinRow } from '../../protocol/keeping.ts';
import type { BackupId, Guid } from '../../words.ts';
import { NEWEST } from '../answers/entries.ts';
import { BACKUP_COLUMNS, BACKUP_TABLES, type BackupRow } from '../tables/backup.ts';
import type { IndexDatabase } from '../tables/database.ts';

/** A backup that is marked for removal. */
export interface MarkRow {
  readonly backup: BackupId;
  /** Since when, milliseconds since 1970. */
  readonly at: number;
  readonly reason: string;
}

/** The policies that hold, by name. */
export function listPolicies(db: IndexDatabase): Policy[] {
  const sql = 'SELECT document FROM policy WHERE document IS NOT NULL ORDER BY name';
  return db.all<{ document: string }>(sql).map(({ document }) => JSON.parse(document) as Policy);
}

/** The pins that hold at a moment (milliseconds since 1970), those set first first. */
export function listPins(db: IndexDatabase, now: number): PinRow[] {
  const sql =
    'SELECT at, who, document FROM pin INDEXED BY pin_holding WHERE document IS NOT NULL ORDER BY pin';
  return db.all<KeptPin>(sql).flatMap(({ at, who, document }) => {
    const pin = JSON.parse(document) as Pin;
    if (pin.until !== null && Date.parse(pin.until) <= now) return [];
    const { host = null, dataset = null, name = null } = labelsOf(db, pin.guid) ?? {};
    return [{ ...pin, host, dataset, name, at, by: who }];
  });
}

/** The snapshot that a pin keeps, or kept; `undefined` when there never was such a pin, or it was removed. */
export function pinnedBy(db: IndexDatabase, pin: string): Guid | undefined {
  const row = db.get<{ document: string | null }>('SELECT document FROM pin WHERE pin = ?', pin);
  return row?.document ? (JSON.parse(row.document) as Pin).guid : undefined;
}

/** The marks that hold, of backups that are there, by backup. */
export function listMarks(db: IndexDatabase): MarkRow[] {
  const sql = `SELECT m.backup, m.at, m.reason FROM mark m INDEXED BY mark_holding
    CROSS JOIN backup b ON b.backup = m.backup WHERE m.reason IS NOT NULL ORDER BY m.backup`;
  const rows = db.all<{ backup: BackupId; at: string; reason: string }>(sql);
  return rows.map((row) => ({ ...row, at: Date.parse(row.at) }));
}

interface KeptPin {
  readonly at: string;
  readonly who: string | null;
  readonly document: string;
}

function labelsOf(db: IndexDatabase, guid: Guid): BackupRow | undefined {
  const sql = `SELECT ${BACKUP_COLUMNS} FROM ${BACKUP_TABLES} WHERE b.snapshot = ? AND ${NEWEST}`;
  return db.get<BackupRow>(sql, guid);
}
