/** From where an open backup goes on: made from what is durable, and from nothing else. */
import { isDeepStrictEqual } from 'node:util';
import type { ResumeOffer } from '../../catalog/protocol/protocol.ts';
import { segmentKey } from '../../catalog/repository/names.ts';
import type { BackupId } from '../../catalog/words.ts';
import type { Candidate } from '../state/candidates.ts';
import type { OpenBackupState } from '../state/open-backups.ts';
import { findAll } from './durable.ts';
import { isEncrypted, type Surroundings } from './surroundings.ts';

/** Looks what is durable, and says from where its new writer goes on. */
export async function offerResume(surroundings: Surroundings, given: OpenBackupState): Promise<ResumeOffer> {
  const granted = surroundings.candidates.of(given.backup);
  const { durable, sizes } = await findAll(surroundings, given.backup, granted);
  if (given.adopted !== null) await removeUnknown(surroundings, given.backup, durable, sizes);
  return offerOf(given, durable);
}

/**
 * Removes what a lost database granted and nobody knows any more: it cannot be
 * told what it holds, and it would stand in the way of what is sent anew.
 */
async function removeUnknown(
  surroundings: Surroundings,
  backup: BackupId,
  durable: readonly Candidate[],
  sizes: ReadonlyMap<string, number>,
): Promise<void> {
  const known = new Set(durable.map(({ number }) => segmentKey(backup, number, isEncrypted(surroundings))));
  for (const key of sizes.keys()) if (!known.has(key)) await surroundings.repository.store.delete(key);
}

/**
 * What is offered to the new writer of a backup.
 *
 * @param durable the parts that are in the store, by number; there may be gaps.
 */
export function offerOf(given: OpenBackupState, durable: readonly Candidate[]): ResumeOffer {
  const { backup, session, opened, request, attributes } = given;
  const parts = durable.slice(0, lengthOfPrefix(durable));
  const { at = 0 } = parts.at(-1)?.after ?? {};
  return {
    backup,
    session,
    opened: new Date(opened).toISOString(),
    request,
    segments: parts.length,
    bytes: at,
    stored: parts.reduce((sum, { segment }) => sum + segment.stored, 0),
    after: parts.at(-1)?.after ?? null,
    point: parts.findLast(({ point }) => point)?.point ?? null,
    attributes,
  };
}

/** How many of the parts follow one another from the first on, each going on where the one before ended. */
function lengthOfPrefix(parts: readonly Candidate[]): number {
  const broken = parts.findIndex(({ number, segment, after }, index) => {
    const before = parts[index - 1]?.after;
    const follows = index === 0 ? segment.state.at === 0 : isDeepStrictEqual(segment.state, before);
    return number !== index || !follows || after === undefined;
  });
  return broken === -1 ? parts.length : broken;
}
