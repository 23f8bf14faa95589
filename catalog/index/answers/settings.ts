/** What was set at a moment. */
import type { Selection } from '../../chain/select.ts';
import { ZkeepError } from '../../errors.ts';
import type { SettingsAnswer } from '../../protocol/history.ts';
import { BACKUP_COLUMNS, BACKUP_TABLES, type BackupRow, summaryOf } from '../tables/backup.ts';
import type { IndexDatabase } from '../tables/database.ts';
import { settingsOfBackup, unpackSettings } from '../tables/settings.ts';
import { chooseSnapshot } from './choose.ts';
import { Conditions } from './page.ts';

/**
 * The settings of a dataset as they were at a snapshot; by time, or as the newest,
 * at the last snapshot until then of which they are known.
 *
 * @throws {ZkeepError} what `selectSnapshot` throws; `missing` (`settings.unknown`) when none are known.
 */
export function settingsAt(db: IndexDatabase, wanted: Selection): SettingsAnswer {
  const { guid, dataset, host, name, created } = chooseSnapshot(db, wanted);
  const here = () => new Conditions().add('d.dataset = ?', dataset).add('d.host = ?', host);
  const isExact = wanted.name !== undefined || wanted.guids !== undefined;
  const found =
    read(db, here().add('b.snapshot = ?', guid)) ??
    (isExact ? undefined : readUntil(db, { dataset, host, created }));
  if (!found) throw unknown(dataset, name);
  const { content, ...row } = found;
  const backup = summaryOf(row);
  return { backup, settings: settingsOfBackup(unpackSettings(content), backup) };
}

type Found = BackupRow & { readonly content: Buffer };

/** The last of several backups to a snapshot. */
function read(db: IndexDatabase, conditions: Conditions): Found | undefined {
  return db.get<Found>(
    `SELECT ${BACKUP_COLUMNS}, s.content FROM ${BACKUP_TABLES} CROSS JOIN settings s ON s.id = b.settings
     ${conditions.where} AND b.settings > 0 ORDER BY b.backup DESC LIMIT 1`,
    ...conditions.values,
  );
}

function readUntil(
  db: IndexDatabase,
  { dataset, host, created }: { dataset: string; host: string; created: number },
): Found | undefined {
  return db.get<Found>(
    `SELECT ${BACKUP_COLUMNS}, s.content FROM ${KNOWN} CROSS JOIN settings s ON s.id = b.settings
     WHERE b.dataset = (SELECT id FROM dataset WHERE dataset = ? AND host = ?)
     AND b.settings > 0 AND b.created <= ? ORDER BY b.created DESC, b.backup DESC LIMIT 1`,
    dataset,
    host,
    created,
  );
}

const KNOWN = BACKUP_TABLES.replace('backup b', 'backup b INDEXED BY backup_known');

function unknown(dataset: string, name: string): ZkeepError {
  return new ZkeepError(
    'missing',
    'settings.unknown',
    `of ${dataset}@${name} no attributes are kept that zkeep understands`,
    {
      advice: 'ask for a later moment; zkeep show --attributes prints what is kept',
      facts: { dataset, name },
    },
  );
}
