/** Which contents of an open backup's parts are in the store. */
import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Part } from '../../catalog/protocol/protocol.ts';
import { segmentKey, segmentsOf } from '../../catalog/repository/names.ts';
import type { BackupId } from '../../catalog/words.ts';
import type { Candidate } from '../state/candidates.ts';
import { isEncrypted, keepsFirst, type Surroundings } from './surroundings.ts';

/** What lies under a part's key: one of its contents, something else, or nothing. */
export type Found =
  | { readonly kind: 'candidate'; readonly candidate: Candidate }
  | { readonly kind: 'strange' }
  | { readonly kind: 'nothing' };

/**
 * Looks what is stored of one part. What was found before is not looked for
 * again: what is stored stays, and a commit sees to it that it did.
 *
 * @param known all contents that were granted for it.
 */
export async function findPart(
  surroundings: Surroundings,
  backup: BackupId,
  known: readonly Candidate[],
): Promise<Found> {
  const [first] = known;
  if (!first) return { kind: 'nothing' };
  const before = known.find(({ durable }) => durable);
  if (before) return { kind: 'candidate', candidate: before };
  const key = segmentKey(backup, first.number, isEncrypted(surroundings));
  const facts = await surroundings.repository.store.stat(key);
  if (!facts) return { kind: 'nothing' };
  const candidate = await choose(surroundings, key, facts.size, known);
  if (!candidate) return { kind: 'strange' };
  surroundings.candidates.noteDurable(backup, [candidate]);
  return { kind: 'candidate', candidate };
}

/** What of a backup is in the store. */
export interface StoredParts {
  /** The contents that are there, by number, one for each part. */
  readonly durable: readonly Candidate[];
  /** Sizes of all objects under the backup's segments, by key. */
  readonly sizes: ReadonlyMap<string, number>;
}

/**
 * Looks what is stored of all parts, by a listing; only where several contents of
 * one size were granted for a part, it is read. Notes what it finds.
 *
 * @param known all contents that were granted, by number.
 */
export async function findAll(
  surroundings: Surroundings,
  backup: BackupId,
  known: readonly Candidate[],
): Promise<StoredParts> {
  const sizes = await listSizes(surroundings, backup);
  const durable: Candidate[] = [];
  for (const candidates of byNumber(known)) {
    const key = segmentKey(backup, candidates[0].number, isEncrypted(surroundings));
    const size = sizes.get(key);
    const candidate = size === undefined ? undefined : await choose(surroundings, key, size, candidates);
    if (candidate) durable.push(candidate);
  }
  const found = new Set(durable);
  surroundings.candidates.noteDurable(
    backup,
    durable.filter((candidate) => !candidate.durable),
    known.filter((candidate) => candidate.durable && !found.has(candidate)),
  );
  return { durable, sizes };
}

/** Whether two pieces of a stream are the same raw bytes at the same place, however they are stored. */
export function isSameRaw(
  one: Pick<Candidate, 'segment' | 'after'>,
  other: Pick<Part, 'segment' | 'after'>,
): boolean {
  // Both states hold the running checksum: between them lies the same piece of the same stream.
  return (
    one.segment.size === other.segment.size &&
    isDeepStrictEqual(one.segment.state, other.segment.state) &&
    isDeepStrictEqual(one.after, other.after)
  );
}

async function listSizes(
  { repository }: Surroundings,
  backup: BackupId,
): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { key, size } of repository.store.list(segmentsOf(backup))) sizes.set(key, size);
  return sizes;
}

/** Contents in the order of their parts, put together by part. */
export function byNumber(candidates: readonly Candidate[]): [Candidate, ...Candidate[]][] {
  const parts: [Candidate, ...Candidate[]][] = [];
  for (const candidate of candidates) {
    const last = parts.at(-1);
    if (last?.[0].number === candidate.number) last.push(candidate);
    else parts.push([candidate]);
  }
  return parts;
}

/**
 * Which of the contents an object holds. The store takes nothing but what was
 * granted, so where the size alone tells, nothing is read; nor where it was read
 * before, if the store lets nobody replace what it has.
 */
async function choose(
  surroundings: Surroundings,
  key: string,
  size: number,
  candidates: readonly Candidate[],
): Promise<Candidate | undefined> {
  const fitting = candidates.filter(({ segment }) => segment.stored === size);
  if (fitting.length === 0 || (fitting.length === 1 && fitting[0]?.sure)) return fitting[0];
  const before = fitting.find(({ durable }) => durable);
  if (before && (await keepsFirst(surroundings))) return before;
  const sha256 = hash('sha256', await surroundings.repository.store.get(key, { maxBytes: size }));
  return fitting.find(({ segment }) => segment.sha256 === sha256);
}
