/** Whether what a drill failed at says something of what is stored, or only of the moment. Decided here, purely. */
import { ZkeepError } from '../../catalog/errors.ts';

/**
 * Codes, beside all that is `damaged`, that tell of what is stored: an object of it is gone, it does not lead to
 * the snapshot, or ZFS does not take the streams as they follow each other.
 */
const OF_WHAT_IS_STORED = new Set([
  'store.missing',
  'age.header',
  'restore.proof',
  'drill.content',
  'zfs.not-the-base',
  'zfs.ended-early',
]);

/**
 * Whether it is evidence that the snapshot cannot be restored as it was. A service, store or pool that is away,
 * busy or full, a right that lacks, a process that was killed, a backup that was pruned meanwhile are not: there
 * the drill itself could not be done, and is to be tried again.
 *
 * @example if (!isEvidence(thrown)) throw thrown;
 */
export function isEvidence(thrown: unknown): boolean {
  if (!(thrown instanceof ZkeepError)) return false;
  const { kind, code, facts, message } = thrown;
  if (kind === 'damaged' || OF_WHAT_IS_STORED.has(code)) return true;
  const { command, exit } = facts;
  const isReceive = Array.isArray(command) && command[1] === 'receive';
  return code === 'zfs.failed' && isReceive && exit !== null && !OF_THE_HOST.test(message);
}

/** What `zfs receive` says of the pool or the host, and not of the stream. */
const OF_THE_HOST = /I\/O error|input\/output error|cannot allocate memory|out of memory|interrupted/i;
