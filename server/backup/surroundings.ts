/** What all acts on backups work with, and the failures that they share. */
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { CatalogIndex } from '../../catalog/index/catalog-index.ts';
import type { Repository } from '../../catalog/repository/repository.ts';
import type { Granter, ObjectStore } from '../../catalog/repository/store/store.ts';
import type { BackupId } from '../../catalog/words.ts';
import type { Marks } from '../jobs/prune/marks.ts';
import type { Journal } from '../journal/journal.ts';
import type { Candidates } from '../state/candidates.ts';
import type { OpenBackupState, OpenBackups } from '../state/open-backups.ts';

/** A write that began in the last moment of its grant, and clocks that differ (milliseconds). */
export const LATE_WRITES = 30 * 60_000;

/** So long after a database was lost may a write arrive that only it knew of: a grant's life and a late write. */
export const UNKNOWN_WRITES = 60 * 60_000;

export interface Surroundings {
  readonly repository: Repository;
  readonly index: CatalogIndex;
  readonly granter: Granter;
  readonly open: OpenBackups;
  readonly candidates: Candidates;
  readonly journal: Pick<Journal, 'note'>;
  readonly marks: Pick<Marks, 'isLeaving'>;
  readonly clock: Clock;
  readonly log: FastifyBaseLogger;
  /** Most backups open at once. */
  readonly limit: number;
}

/** Whether the repository's segments are encrypted. */
export function isEncrypted({ repository }: Surroundings): boolean {
  return repository.marker.recipients.length > 0;
}

const conditional = new WeakMap<ObjectStore, Promise<boolean>>();

/** Whether the store itself keeps a second write of a key from replacing the first; asked once. */
export async function keepsFirst({ repository: { store } }: Surroundings): Promise<boolean> {
  const asked = conditional.get(store) ?? store.probe().then(({ conditionalPut }) => conditionalPut);
  conditional.set(store, asked);
  asked.catch(() => conditional.delete(store));
  return await asked;
}

export function notOpen(backup: BackupId): ZkeepError {
  return new ZkeepError('missing', 'backup.not-open', `backup ${backup} is not open`, {
    advice: 'it was abandoned, or taken over by another agent after a silence: take the backup anew',
    facts: { backup },
  });
}

export function alreadyCommitted(backup: BackupId): ZkeepError {
  return new ZkeepError('refused', 'backup.committed', `backup ${backup} is committed`, {
    advice: 'what is stored stays: no agent can change or remove it',
    facts: { backup },
  });
}

export function othersBackup(backup: BackupId): ZkeepError {
  return new ZkeepError('denied', 'backup.other', `backup ${backup} was opened with another token`, {
    advice: 'use the token with which it was opened; an operator may abandon it',
    facts: { backup },
  });
}

export function takenOver({ backup, writer }: OpenBackupState): ZkeepError {
  const text = `process ${writer.process} on ${writer.host} has taken over backup ${backup}`;
  return new ZkeepError('busy', 'backup.taken-over', text, {
    advice: 'this one was thought dead and must end: what it has stored is gone on with there',
    facts: { backup, host: writer.host, process: writer.process },
  });
}
