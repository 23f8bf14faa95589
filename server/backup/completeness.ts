/** Whether all of a backup is there: pure, over what was granted, what the store lists and what is to be committed. */
import { isDeepStrictEqual } from 'node:util';
import { type Facts, ZkeepError } from '../../catalog/errors.ts';
import type { CommitRequest, OpenRequest } from '../../catalog/protocol/protocol.ts';
import { segmentKey, segmentsOf } from '../../catalog/repository/names.ts';
import type { BackupId } from '../../catalog/words.ts';
import type { GrantedPart } from '../state/open-backups.ts';

/** What {@link checkComplete} compares. */
export interface CompletenessFacts {
  readonly backup: BackupId;
  /** The request that opened the backup. */
  readonly opened: OpenRequest;
  /** All parts that were granted, by number. */
  readonly parts: readonly GrantedPart[];
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
  const { backup, opened, parts, commit } = facts;
  if (!isDeepStrictEqual(commit.stream.begin, opened.begin)) {
    throw incomplete('begin', backup, 'the stream is not the one for which the backup was opened');
  }
  checkNumbers(backup, parts, commit.segments);
  checkOffsets(backup, parts, commit.stream.bytes);
  checkObjects(facts);
}

function checkNumbers(backup: BackupId, parts: readonly GrantedPart[], count: number): void {
  const gap = parts.findIndex(({ number }, index) => number !== index);
  const first = gap === -1 ? parts.length : gap;
  if (first < count) {
    throw incomplete('missing', backup, `segment ${first} of ${count} was never granted`, { segment: first });
  }
  if (parts.length > count) {
    const text = `segment ${count} was granted, but the stream is said to have ${count} segments`;
    throw incomplete('extra', backup, text, { segment: count });
  }
}

function checkOffsets(backup: BackupId, parts: readonly GrantedPart[], bytes: number): void {
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

function checkObjects({ backup, parts, encrypted, stored }: CompletenessFacts): void {
  for (const { number, segment } of parts) {
    const size = stored.get(segmentKey(backup, number, encrypted));
    if (size === undefined) {
      throw incomplete('absent', backup, `segment ${number} is not in the store`, { segment: number });
    }
    if (size !== segment.stored) {
      const text = `segment ${number} has ${size} bytes in the store, not ${segment.stored}`;
      throw incomplete('size', backup, text, { segment: number, size });
    }
  }
  if (stored.size > parts.length) {
    const known = new Set(parts.map(({ number }) => segmentKey(backup, number, encrypted)));
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
