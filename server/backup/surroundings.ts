/** What all acts on backups work with, and the failures that they share. */
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { CatalogIndex } from '../../catalog/index/catalog-index.ts';
import type { Repository } from '../../catalog/repository/repository.ts';
import type { Granter } from '../../catalog/repository/store/store.ts';
import type { BackupId } from '../../catalog/words.ts';
import type { OpenBackups } from '../state/open-backups.ts';

export interface Surroundings {
  readonly repository: Repository;
  readonly index: CatalogIndex;
  readonly granter: Granter;
  readonly open: OpenBackups;
  readonly clock: Clock;
  readonly log: FastifyBaseLogger;
  /** Most backups open at once. */
  readonly limit: number;
}

/** Whether the repository's segments are encrypted. */
export function isEncrypted({ repository }: Surroundings): boolean {
  return repository.marker.recipients.length > 0;
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
