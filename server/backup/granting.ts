/** Grants for writing parts: each is written down before its grant leaves the service. */
import { ZkeepError } from '../../catalog/errors.ts';
import type { Part, StoredPart } from '../../catalog/protocol/protocol.ts';
import { segmentKey } from '../../catalog/repository/names.ts';
import { LARGEST_SEGMENT } from '../../catalog/repository/segment/sizes.ts';
import type { Grant } from '../../catalog/repository/store/store.ts';
import type { BackupId } from '../../catalog/words.ts';
import type { OpenBackupState } from '../state/open-backups.ts';
import { findPart, isSameRaw } from './durable.ts';
import { isEncrypted, LATE_WRITES, type Surroundings, UNKNOWN_WRITES } from './surroundings.ts';

/** Most segments of a stream: 60 TiB, and a manifest that can still be read whole. */
export const MAX_SEGMENTS = 1_000_000;
/** Most bytes of a stored segment: incompressible data, seek table and encryption add little. */
const MAX_STORED = LARGEST_SEGMENT + 4 * 1024 * 1024;
/** Most contents of one part that may still be written: more tries than that in one life of a grant are a defect. */
const MAX_CONTENTS = 64;

/** What is answered for parts, in their order. */
export interface Granted {
  readonly answers: (Grant | StoredPart)[];
  /** Some of them were granted with another content before. */
  readonly contested: boolean;
}

/**
 * Gives grants for writing these parts, in their order; for one whose raw bytes
 * are in the store already, it says so instead. A part that is asked for the
 * first time costs no look at the store.
 *
 * @param check gives the open backup, or throws when the one who asks may not write it any more.
 * @throws {ZkeepError} `refused` with code `grant.stored` when a part is in the
 *   store with other raw bytes, `usage` for parts that no stream has.
 */
export async function grantParts(
  surroundings: Surroundings,
  backup: BackupId,
  parts: readonly Part[],
  check: () => OpenBackupState,
): Promise<Granted> {
  checkParts(parts);
  const { candidates, clock } = surroundings;
  const answers: (Grant | StoredPart)[] = [];
  const granted: Part[] = [];
  let expires = 0;
  for (const part of parts) {
    const answer = await answerPart(surroundings, backup, part);
    answers.push(answer);
    if ('stored' in answer) continue;
    granted.push(part);
    expires = Math.max(expires, answer.expires);
  }
  // It may have been abandoned, or resumed by another one, while the store was asked.
  const { adopted } = check();
  const unknown = adopted !== null && clock.now() < adopted + UNKNOWN_WRITES;
  candidates.record(backup, granted, expires, { unknown });
  const contested = granted.some(({ number }) => candidates.ofPart(backup, number).length > 1);
  return { answers, contested };
}

function checkParts(parts: readonly Part[]): void {
  const numbers = new Set(parts.map(({ number }) => number));
  if (numbers.size < parts.length) throw misshapen('a part is asked for twice');
  for (const { number, segment, after, point } of parts) {
    if (number >= MAX_SEGMENTS)
      throw misshapen(`there is no part ${number}: a stream has at most ${MAX_SEGMENTS}`);
    if (segment.size === 0 || segment.stored === 0) throw misshapen(`part ${number} is empty`);
    if (segment.state.at !== segment.offset || after.at !== segment.offset + segment.size) {
      throw misshapen(`part ${number} does not lie between its two states`);
    }
    if (point && point.state.at >= after.at) throw misshapen(`the point of part ${number} lies behind it`);
    if (segment.stored > MAX_STORED || segment.size > LARGEST_SEGMENT) {
      throw misshapen(`part ${number} is larger than a segment may be`);
    }
  }
}

async function answerPart(
  surroundings: Surroundings,
  backup: BackupId,
  part: Part,
): Promise<Grant | StoredPart> {
  const { number, segment } = part;
  const known = surroundings.candidates.ofPart(backup, number);
  const found = await findPart(surroundings, backup, known);
  if (found.kind === 'candidate' && isSameRaw(found.candidate, part)) return { stored: true };
  if (found.kind !== 'nothing') throw storedOtherwise(backup, number);
  const again = known.some(({ segment: { sha256 } }) => sha256 === segment.sha256);
  if (known.length > 0) makeRoom(surroundings, backup, part);
  const key = segmentKey(backup, number, isEncrypted(surroundings));
  return await surroundings.granter.grantPut(key, segment.stored, segment.sha256, { again });
}

/** Sees that a part that is not stored is not granted with ever more contents. */
function makeRoom({ candidates, clock }: Surroundings, backup: BackupId, { number, segment }: Part): void {
  const now = clock.now();
  candidates.forgetLapsed(backup, number, now - LATE_WRITES);
  const others = candidates
    .ofPart(backup, number)
    .filter(({ segment: { sha256 } }) => sha256 !== segment.sha256);
  if (others.length < MAX_CONTENTS) return;
  const text = `segment ${number} is granted with ${others.length} other contents`;
  throw new ZkeepError('busy', 'grant.contents', text, {
    advice: 'wait until these grants have ended; this is a defect in the agent',
    facts: { backup, segment: number },
  });
}

function storedOtherwise(backup: BackupId, number: number): ZkeepError {
  return new ZkeepError('refused', 'grant.stored', `segment ${number} is stored with another content`, {
    advice: 'send what was sent before, or abandon the backup and take it anew',
    facts: { backup, segment: number },
  });
}

function misshapen(message: string): ZkeepError {
  return new ZkeepError('usage', 'grant.part', message, { advice: 'this is a defect in the agent' });
}
