/** Which backups are to be proven next. */

import type { ProofRow, ProofsQuery } from '../../protocol/events.ts';
import { DEFAULT_PAGE } from '../../protocol/pages.ts';
import type { BackupId } from '../../words.ts';
import { Conditions, limitOf } from '../answers/page.ts';
import type { IndexDatabase } from '../tables/database.ts';
import { proofOf } from './findings.ts';

/**
 * Backups by the time of the last look of this depth, the oldest first, and before them those at which
 * nobody has ever looked. A look that found damage is one, too: who goes on with the first ones comes to
 * all others before it comes to the damaged again.
 *
 * @param latest what was looked at later than that (milliseconds since 1970) comes behind them, whatever
 *   `before` says: a clock was ahead, and nobody knows when it was.
 */
export function listProofs(db: IndexDatabase, query: ProofsQuery, latest?: number): ProofRow[] {
  const limit = limitOf({ limit: query.limit ?? DEFAULT_PAGE });
  const { depth, before } = query;
  const never = read(db, query, new Conditions().addAll(`b.${depth} IS NULL`, []), limit);
  const left = limit - never.length;
  const since = before === undefined ? undefined : Date.parse(before);
  const seen = new Conditions().addAll(`b.${depth} IS NOT NULL`, []).add(`b.${depth} < ?`, since);
  const rest = left > 0 ? read(db, query, seen, left) : [];
  const room = left - rest.length;
  const later = new Conditions().add(`b.${depth} > ?`, latest);
  const ahead = latest !== undefined && room > 0 ? read(db, query, later, room) : [];
  return [...new Set([...never, ...rest, ...ahead])].map((backup) => proofOf(db, backup));
}

function read(
  db: IndexDatabase,
  { depth, dataset, host }: ProofsQuery,
  conditions: Conditions,
  limit: number,
): BackupId[] {
  const isOfDataset = dataset !== undefined || host !== undefined;
  const tables = isOfDataset
    ? 'dataset d CROSS JOIN backup b INDEXED BY backup_by_dataset ON b.dataset = d.id'
    : `backup b INDEXED BY backup_by_${depth}`;
  conditions.add('d.dataset = ?', dataset).add('d.host = ?', host);
  const sql = `SELECT b.backup FROM ${tables} ${conditions.where} ORDER BY b.${depth}, b.id LIMIT ?`;
  return db.all<{ backup: BackupId }>(sql, ...conditions.values, limit).map(({ backup }) => backup);
}
