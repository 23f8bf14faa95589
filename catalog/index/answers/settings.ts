/** What was set at a moment. */
import type { Selection } from '../../chain/select.ts';
import { ZkeepError } from '../../errors.ts';
import type { SettingsAnswer } from '../../protocol/history.ts';
import type { Guid } from '../../words.ts';
import { BACKUP_COLUMNS, BACKUP_TABLES, type BackupRow, summaryOf } from '../tables/backup.ts';
import type { IndexDatabase } from '../tables/database.ts';
import { settingsOfBackup, unpackSettings } from '../tables/settings.ts';
import { chooseSnapshot } from './choose.ts';

/**
 * The settings of a dataset as they were at a snapshot; by time, or as the newest,
 * at the last snapshot until then of which they are known.
 *
 * @throws {ZkeepError} what `selectSnapshot` throws; `missing` (`settings.unknown`) when none are known.
 */
export function settingsAt(db: IndexDatabase, wanted: Selection): SettingsAnswer {
  const { guid, dataset, host, name, created } = chooseSnapshot(db, wanted);
  const isExact = wanted.name !== undefined || wanted.guids !== undefined;
  const found = isExact
    ? readOf(db, { dataset, host, guid })
    : readUntil(db, { dataset, host, created: wanted.at ?? created });
  if (!found) throw unknown(dataset, name);
  const { content, ...row } = found;
  const backup = summaryOf(row);
  return { backup, settings: settingsOfBackup(unpackSettings(content), backup) };
}

type Found = BackupRow & { readonly content: Buffer };

/** The last of several backups to a snapshot. */
function readOf(
  db: IndexDatabase,
  { dataset, host, guid }: { dataset: string; host: string; guid: Guid },
): Found | undefined {
  return db.get<Found>(
    `SELECT ${BACKUP_COLUMNS}, s.content FROM ${BACKUP_TABLES} CROSS JOIN settings s ON s.id = b.settings
     WHERE b.snapshot = ? AND d.dataset = ? AND d.host = ? AND b.settings > 0 ORDER BY b.backup DESC LIMIT 1`,
    guid,
    dataset,
    host,
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
