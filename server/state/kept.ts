/** The few things that the service keeps for good in `service.db`, each under its name. */
import { randomBytes, randomUUID } from 'node:crypto';
import { ZkeepError } from '../../catalog/errors.ts';
import type { State } from './state.ts';

/** The key that signs grants, 32 bytes, made at first use. */
export function grantKey(state: State): Buffer {
  return keep(state, 'grant key', randomBytes(32));
}

/**
 * Ties the service to the repository that it met first: one that is suddenly
 * another, or empty because a file system is not mounted, must not be taken for it.
 *
 * @throws {ZkeepError} `refused` with code `repository.other`.
 */
export function keepRepository(state: State, id: string, location: string): void {
  const known = keep(state, 'repository', Buffer.from(id)).toString();
  if (known === id) return;
  throw new ZkeepError(
    'refused',
    'repository.other',
    `${location} is not the repository that this service knows`,
    {
      advice: 'check the store in the configuration; for another repository use another data folder',
      facts: { location, id, known },
    },
  );
}

/** The id of the repository that the service knows, `undefined` before its first start. */
export function knownRepository(state: State): string | undefined {
  return kept(state, 'repository')?.toString();
}

/** What this database is called in the bucket, made at first use. */
export function serviceId(state: State): string {
  return keep(state, 'service', Buffer.from(randomUUID())).toString();
}

/** Whether the open backups in the bucket were taken over, or need not be. */
export function hasUploads(state: State): boolean {
  return kept(state, 'uploads') !== undefined;
}

/** Notes that they were. */
export function keepUploads(state: State): void {
  keep(state, 'uploads', Buffer.from([1]));
}

function keep(state: State, name: string, value: Buffer): Buffer {
  state.prepare('INSERT OR IGNORE INTO kept VALUES (?, ?)').run(name, value);
  return kept(state, name) ?? value;
}

function kept(state: State, name: string): Buffer | undefined {
  return state.prepare<[string], { value: Buffer }>('SELECT value FROM kept WHERE name = ?').get(name)?.value;
}
