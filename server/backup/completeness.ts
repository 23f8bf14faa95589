/** Whether all of a backup is there: pure, over what was granted, what the store lists and what is to be committed. */
import { isDeepStrictEqual } from 'node:util';
import { type Facts, ZkeepError } from '../../catalog/errors.ts';
import type { CommitRequest, OpenRequest } from '../../catalog/protocol/protocol.ts';
import { segmentKey, segmentsOf } from '../../catalog/repository/names.ts';
import { RECORD_NAMES } from '../../catalog/stream/record.ts';
import type { BackupId } from '../../catalog/words.ts';
import type { Candidate } from '../state/candidates.ts';

/** What {@link checkComplete} compares. */
export interface CompletenessFacts {
  readonly backup: BackupId;
  /** The request that opened the backup. */
  readonly opened: OpenRequest;
  /** All contents that were granted, by number. */
  readonly granted: readonly Candidate[];
  /** Those of them that are in the store, by number: one for each part. */
  readonly durable: readonly Candidate[];
  readonly commit: CommitRequest;
  readonly encrypted: boolean;
  /** Sizes of the objects under the backup's segments, by key. */
  readonly stored: ReadonlyMap<string, number>;
}

/**
 * Passes when the parts are the whole stream, end to end, and every one lies in
 * the store with its size, and nothing else does.
 *
 * @throws {ZkeepError} `refused` with the first thing that does not fit.
 */
export function checkComplete(facts: CompletenessFacts): void {
  const { backup, opened, granted, durable, commit } = facts;
  if (!isDeepStrictEqual(commit.stream.begin, opened.begin)) {
    throw incomplete('begin', backup, 'the stream is not the one for which the backup was opened');
  }
  checkNumbers(backup, [...new Set(granted.map(({ number }) => number))], commit.segments);
  checkObjects(facts);
  checkOffsets(backup, durable, commit.stream.bytes);
  checkStates(backup, durable);
  checkEnd(backup, durable.at(-1), commit);
}

function checkNumbers(backup: BackupId, numbers: readonly number[], count: number): void {
  const gap = numbers.findIndex((number, index) => number !== index);
  const first = gap === -1 ? numbers.length : gap;
  if (first < count) {
    throw incomplete('missing', backup, `segment ${first} of ${count} was never granted`, { segment: first });
  }
  if (numbers.length > count) {
    const text = `segment ${count} was granted, but the stream is said to have ${count} segments`;
    throw incomplete('extra', backup, text, { segment: count });
  }
}

function checkOffsets(backup: BackupId, parts: readonly Candidate[], bytes: number): void {
  let end = 0;
  for (const { number, segment } of parts) {
    if (segment.offset !== end || segment.state.at !== end || segment.size === 0) {
      const text = `segment ${number} begins at byte ${segment.offset}, not at ${end}, or is empty`;
      throw incomplete('offset', backup, text, { segment: number });
    }
    end += segment.size;
  }
  if (end !== bytes) {
    throw incomplete('bytes', backup, `the segments hold ${end} bytes of a stream of ${bytes}`, {
      bytes: end,
    });
  }
}

/** Parts may come from several runs: each must go on where the one before has ended, checksums and all. */
function checkStates(backup: BackupId, parts: readonly Candidate[]): void {
  for (const [index, { number, segment }] of parts.entries()) {
    const before = parts[index - 1]?.after;
    if (!before || isDeepStrictEqual(before, segment.state)) continue;
    const text = `segment ${number} does not go on with the stream of the segment before it`;
    throw incomplete('state', backup, text, { segment: number });
  }
}

/** What the agent says of the whole stream must be what its last durable part says. */
function checkEnd(backup: BackupId, last: Candidate | undefined, { stream }: CommitRequest): void {
  const { after } = last ?? {};
  if (!after) return;
  const counts = RECORD_NAMES.map((name, type) => [name, after.counts[type] ?? 0] as const);
  const records = Object.fromEntries(counts.filter(([, count]) => count > 0));
  if (after.ended && after.sum === stream.checksum && isDeepStrictEqual(records, stream.records)) return;
  throw incomplete('end', backup, 'the last segment does not end the stream that is to be committed');
}

function checkObjects({ backup, granted, durable, encrypted, stored }: CompletenessFacts): void {
  const found = new Set(durable.map(({ number }) => number));
  const lacking = granted.find(({ number }) => !found.has(number));
  if (lacking) {
    const { number } = lacking;
    const size = stored.get(segmentKey(backup, number, encrypted));
    if (size === undefined) {
      throw incomplete('absent', backup, `segment ${number} is not in the store`, { segment: number });
    }
    const text = `segment ${number} is stored with a content of ${size} bytes that was not granted`;
    throw incomplete('content', backup, text, { segment: number, size });
  }
  if (stored.size > found.size) {
    const known = new Set([...found].map((number) => segmentKey(backup, number, encrypted)));
    const strange = [...stored.keys()].find((key) => !known.has(key)) ?? segmentsOf(backup);
    throw incomplete('strange', backup, `${strange} is in the store and belongs to no segment`, {
      key: strange,
    });
  }
}

function incomplete(what: string, backup: BackupId, message: string, facts: Facts = {}): ZkeepError {
  return new ZkeepError('refused', `commit.${what}`, message, {
    advice: 'send what is missing and commit again, or abandon the backup and take it anew',
    facts: { backup, ...facts },
  });
}
