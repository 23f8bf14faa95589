/**
 * Drift: in how many settings a backup differs from the one before it of the same
 * dataset whose settings are known, and in which. Kept beside the backup, so that
 * a list need not compare and a history need not search.
 */

import { type Change, compareSettings, type Setting } from '../../attributes/difference.ts';
import type { IndexDatabase } from './database.ts';
import { settingsOfBackup, unpackSettings } from './settings.ts';

/** A place in the order of a dataset's backups: by creation of the snapshot, then by id. */
export interface DriftPlace {
  readonly dataset: number;
  readonly created: number;
  readonly backup: string;
}

/** Makes the drift of a backup anew, and that of the one after it. */
export function remakeDrift(db: IndexDatabase, id: number): void {
  const row = db.get<Known>(`SELECT ${COLUMNS} FROM ${TABLES} WHERE b.id = ? AND b.settings > 0`, id);
  if (!row) return;
  remake(db, row);
  remakeAfter(db, row);
}

/** Makes the drift of the backup after a place anew: what came before it is another one now. */
export function remakeAfter(db: IndexDatabase, { dataset, created, backup }: DriftPlace): void {
  const next = db.get<Known>(AFTER, dataset, created, backup);
  if (next) remake(db, next);
}

/** Forgets what was kept of the drift of a backup that goes. */
export function dropDrift(db: IndexDatabase, { dataset, created, backup }: DriftPlace): void {
  db.run('DELETE FROM change WHERE dataset = ? AND created = ? AND backup = ?', dataset, created, backup);
}

/** A backup whose settings are known. */
interface Known extends DriftPlace {
  readonly id: number;
  readonly settings: number;
  readonly called: string;
  readonly name: string;
}

const COLUMNS = 'b.id, b.dataset, b.created, b.backup, b.settings, d.dataset AS called, b.name';
const TABLES = 'backup b CROSS JOIN dataset d ON d.id = b.dataset';
const KNOWN = 'backup b INDEXED BY backup_known CROSS JOIN dataset d ON d.id = b.dataset';
const BEFORE = `SELECT ${COLUMNS} FROM ${KNOWN} WHERE b.dataset = ? AND b.settings > 0
  AND (b.created, b.backup) < (?, ?) ORDER BY b.created DESC, b.backup DESC LIMIT 1`;
const AFTER = `SELECT ${COLUMNS} FROM ${KNOWN} WHERE b.dataset = ? AND b.settings > 0
  AND (b.created, b.backup) > (?, ?) ORDER BY b.created, b.backup LIMIT 1`;

function remake(db: IndexDatabase, row: Known): void {
  const before = db.get<Known>(BEFORE, row.dataset, row.created, row.backup);
  const changes = before ? changesBetween(db, before, row) : undefined;
  dropDrift(db, row);
  for (const change of changes ?? []) keep(db, row, change);
  db.run('UPDATE backup SET drift = ? WHERE id = ?', changes?.length ?? null, row.id);
}

function changesBetween(db: IndexDatabase, before: Known, after: Known): Change[] {
  if (before.settings === after.settings) return [];
  return compareSettings(settingsIn(db, before), settingsIn(db, after));
}

function settingsIn(db: IndexDatabase, { settings, called, name }: Known): Setting[] {
  const row = db.get<{ content: Buffer }>('SELECT content FROM settings WHERE id = ?', settings);
  return row ? settingsOfBackup(unpackSettings(row.content), { dataset: called, name }) : [];
}

function keep(db: IndexDatabase, { dataset, created, backup }: Known, change: Change): void {
  const { scope, name, property, before, after } = change;
  db.run(
    `INSERT INTO change (dataset, created, backup, scope, name, property, before, after)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    dataset,
    created,
    backup,
    scope,
    name,
    property,
    before && JSON.stringify(before),
    after && JSON.stringify(after),
  );
}
