/** The copies of the index that are in the bucket. */
import { ZkeepError } from '../../errors.ts';
import { INDEX_PREFIX, indexCopyKey, readIndexCopyKey } from '../../repository/names.ts';
import type { ObjectStore } from '../../repository/store/store.ts';
import { momentOfUuid7 } from '../../words.ts';
import { type IndexCopy, parseIndexCopy } from './description.ts';

/** A description of a hundred thousand pieces. */
const MAX_DESCRIPTION = 32 * 1024 * 1024;
/** Pieces without a description belong to a copy that is being made, or never ended: this is long enough to end it. */
const UNFINISHED = 86_400_000;

/** A copy as the listing of the bucket tells it. */
export interface StoredCopy {
  readonly id: string;
  /** Its description is there: all of it is. */
  readonly isWhole: boolean;
  readonly keys: readonly string[];
}

/** All copies, the newest first. */
export async function storedCopies(
  store: Pick<ObjectStore, 'list'>,
  signal?: AbortSignal,
): Promise<StoredCopy[]> {
  const copies = new Map<string, { id: string; isWhole: boolean; keys: string[] }>();
  for await (const { key } of store.list(INDEX_PREFIX, signal)) {
    const name = readIndexCopyKey(key);
    if (!name) continue;
    const copy = copies.get(name.id) ?? { id: name.id, isWhole: false, keys: [] };
    copy.isWhole ||= name.isDescription;
    copy.keys.push(key);
    copies.set(name.id, copy);
  }
  return [...copies.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
}

/**
 * Reads the description of a copy.
 *
 * @throws {ZkeepError} `damaged` when it is none that this zkeep understands, and what the store throws.
 */
export async function readDescription(
  store: Pick<ObjectStore, 'get'>,
  id: string,
  signal?: AbortSignal,
): Promise<IndexCopy> {
  const key = indexCopyKey(id);
  const text = await store.get(key, { maxBytes: MAX_DESCRIPTION, ...(signal ? { signal } : {}) });
  let value: unknown;
  try {
    value = JSON.parse(text.toString('utf8'));
  } catch (cause) {
    throw new ZkeepError('damaged', 'json.malformed', `${key} is not JSON`, { cause, facts: { key } });
  }
  return parseIndexCopy(value);
}

/**
 * Removes all copies but the newest ones, and what is left of those that were never ended. A copy
 * loses its description first, so that nobody takes what is left for whole.
 *
 * @returns how many were removed.
 */
export async function dropOldCopies(
  store: Pick<ObjectStore, 'list' | 'delete'>,
  { keep, now, signal }: { readonly keep: number; readonly now: number; readonly signal?: AbortSignal },
): Promise<number> {
  const copies = await storedCopies(store, signal);
  const old = copies.filter(({ isWhole }) => isWhole).slice(keep);
  const unfinished = copies.filter(
    ({ id, isWhole }) => !isWhole && (momentOfUuid7(id) ?? now) < now - UNFINISHED,
  );
  for (const { id, keys } of [...old, ...unfinished]) {
    const description = indexCopyKey(id);
    for (const key of [description, ...keys.filter((one) => one !== description)])
      await store.delete(key, signal);
  }
  return old.length;
}
