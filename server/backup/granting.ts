/** Grants for writing parts: each is written down before its grant leaves the service. */
import { hash } from 'node:crypto';
import { ZkeepError } from '../../catalog/errors.ts';
import type { Part } from '../../catalog/protocol/protocol.ts';
import { segmentKey } from '../../catalog/repository/names.ts';
import { LARGEST_SEGMENT } from '../../catalog/repository/segment/sizes.ts';
import type { Grant } from '../../catalog/repository/store/store.ts';
import { type BackupId, type Digest, parseDigest } from '../../catalog/words.ts';
import { isEncrypted, notOpen, type Surroundings } from './surroundings.ts';

/** Most segments of a stream: 60 TiB, and a manifest that can still be read whole. */
export const MAX_SEGMENTS = 1_000_000;
/** Most bytes of a stored segment: incompressible data, seek table and encryption add little. */
const MAX_STORED = LARGEST_SEGMENT + 4 * 1024 * 1024;

/**
 * Gives grants for writing these parts, in their order.
 *
 * @throws {ZkeepError} `refused` with code `grant.stored` when a part is in the
 *   store with another content, `usage` for parts that no stream has.
 */
export async function grantParts(
  surroundings: Surroundings,
  backup: BackupId,
  parts: readonly Part[],
): Promise<Grant[]> {
  checkParts(parts);
  const { granter, open } = surroundings;
  const grants: Grant[] = [];
  for (const { number, segment } of parts) {
    const again = await isKnown(surroundings, backup, { number, segment });
    const key = segmentKey(backup, number, isEncrypted(surroundings));
    grants.push(await granter.grantPut(key, segment.stored, segment.sha256, { again }));
  }
  // It may have been abandoned while the store was asked.
  if (!open.get(backup)) throw notOpen(backup);
  open.record(backup, parts, Math.max(...grants.map(({ expires }) => expires)));
  return grants;
}

function checkParts(parts: readonly Part[]): void {
  const numbers = new Set(parts.map(({ number }) => number));
  if (numbers.size < parts.length) throw misshapen('a part is asked for twice');
  for (const { number, segment } of parts) {
    if (number >= MAX_SEGMENTS)
      throw misshapen(`there is no part ${number}: a stream has at most ${MAX_SEGMENTS}`);
    if (segment.size === 0 || segment.stored === 0) throw misshapen(`part ${number} is empty`);
    if (segment.stored > MAX_STORED || segment.size > LARGEST_SEGMENT) {
      throw misshapen(`part ${number} is larger than a segment may be`);
    }
  }
}

/**
 * Whether this very content was granted before. Another one may be granted only
 * while none is stored; where the store itself cannot keep a second write from
 * replacing the first, not before the first grant has ended either: it could
 * replace a segment that is committed.
 */
async function isKnown(surroundings: Surroundings, backup: BackupId, part: Part): Promise<boolean> {
  const { open, repository, clock } = surroundings;
  const known = open.part(backup, part.number);
  if (!known) return false;
  if (known.segment.sha256 === part.segment.sha256) return true;
  const stored = await storedDigest(surroundings, backup, part.number);
  if (stored === part.segment.sha256) return true;
  if (stored) {
    throw new ZkeepError('refused', 'grant.stored', `segment ${part.number} is stored with another content`, {
      advice: 'send what was sent before, or abandon the backup and take it anew',
      facts: { backup, segment: part.number, sha256: stored },
    });
  }
  if (clock.now() < known.expires && !(await repository.store.probe()).conditionalPut) {
    throw new ZkeepError('busy', 'grant.alive', `segment ${part.number} is granted with another content`, {
      advice: 'this store knows no conditions: wait until that grant has ended, or take the backup anew',
      facts: { backup, segment: part.number, sha256: known.segment.sha256, expires: known.expires },
    });
  }
  return false;
}

/** What is stored under a part's key, by reading it: it may be any of the contents that were granted. */
async function storedDigest(
  surroundings: Surroundings,
  backup: BackupId,
  number: number,
): Promise<Digest | undefined> {
  const { store } = surroundings.repository;
  const key = segmentKey(backup, number, isEncrypted(surroundings));
  if (!(await store.stat(key))) return undefined;
  return parseDigest(hash('sha256', await store.get(key, { maxBytes: MAX_STORED })));
}

function misshapen(message: string): ZkeepError {
  return new ZkeepError('usage', 'grant.part', message, { advice: 'this is a defect in the agent' });
}
