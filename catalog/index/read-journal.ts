/** Reading what the journal in the bucket says and the index lacks. */
import { ZkeepError } from '../errors.ts';
import type { Entry } from '../journal/entry.ts';
import { type JournalReading, readJournalObject } from '../journal/read.ts';
import { JOURNAL_PREFIX, readJournalKey } from '../repository/names.ts';
import type { ObjectStore } from '../repository/store/store.ts';
import type { CatalogIndex } from './catalog-index.ts';
import { inBatches, inOrder } from './in-order.ts';

/** Where the journal is read from. */
export type JournalSource = Pick<ObjectStore, 'list' | 'get'>;

/** An object of the journal of which not all could be taken in. */
export interface JournalProblem {
  readonly key: string;
  readonly error: ZkeepError;
}

/** What was done. */
export interface JournalReport {
  /** Objects read, and entries that were new. */
  readonly objects: number;
  readonly entries: number;
  readonly problems: readonly JournalProblem[];
}

export interface ReadJournalOptions {
  /** Only objects with names of about this time, milliseconds since 1970: a listing of little more than those. */
  readonly since?: { readonly from: number; readonly until: number } | undefined;
  /** Those that were not understood before, once more. */
  readonly again?: boolean;
  /** Told of entries that are in the index now and were not before. */
  readonly onEntries?: (entries: readonly Entry[]) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes of an object that nobody could have written; more are not read. */
export const MAX_JOURNAL_OBJECT = 64 * 1024 * 1024;
/** Names looked up, objects read, and objects taken in at once. */
const NAMES = 1000;
const CONCURRENCY = 8;
const BATCH = 8;

/**
 * Takes in the objects of the journal that the index does not know. One that cannot be read, or not wholly,
 * is told of and noted: it is read again when that is asked for (`again`), as by a zkeep that may understand more.
 *
 * @throws {ZkeepError} `unavailable`, `denied` and the like when the store does not answer. What was taken
 *   in until then stays.
 */
export async function readJournal(
  source: JournalSource,
  index: CatalogIndex,
  { since, again = false, onEntries, signal }: ReadJournalOptions = {},
): Promise<JournalReport> {
  const report = { objects: 0, entries: 0, problems: [] as JournalProblem[] };
  const take = async (keys: Iterable<string>) => {
    const found = inOrder(keys, (key) => readOne(source, key, signal), CONCURRENCY);
    for await (const batch of inBatches(found, BATCH)) {
      for (const { failure } of batch) if (failure !== undefined) throw failure;
      const read = batch.flatMap(({ key, reading }) => (reading ? [{ key, ...reading }] : []));
      const parts = read.map(({ key, error }) => ({ key, whole: error === undefined }));
      const fresh = index.apply(
        read.flatMap(({ entries }) => entries),
        parts,
      );
      report.objects += read.length;
      report.entries += fresh.length;
      report.problems.push(...read.flatMap(({ key, error }) => (error ? [{ key, error }] : [])));
      if (fresh.length > 0) onEntries?.(fresh);
      signal?.throwIfAborted();
    }
  };
  if (again) await take(index.journal.partly());
  for (const prefix of prefixesOf(since)) {
    for await (const names of inBatches(source.list(prefix, signal), NAMES)) {
      const keys = names.flatMap(({ key }) => (readJournalKey(key) ? [key] : []));
      await take(index.journal.unknown(keys));
    }
  }
  return report;
}

/** Listings in one look. */
const MOST_PREFIXES = 4;

/** The shortest listings that hold all names of a time: their beginning is the time in hex, the more digits the shorter. */
function prefixesOf(since: ReadJournalOptions['since']): string[] {
  if (!since) return [JOURNAL_PREFIX];
  for (let digits = 8; digits > 0; digits--) {
    const unit = 16 ** (12 - digits);
    const first = Math.floor(Math.max(0, since.from) / unit);
    const count = Math.floor(since.until / unit) - first + 1;
    if (count > MOST_PREFIXES) continue;
    return Array.from({ length: count }, (_, at) => {
      return `${JOURNAL_PREFIX}${(first + at).toString(16).padStart(digits, '0')}`;
    });
  }
  return [JOURNAL_PREFIX];
}

interface Read {
  readonly key: string;
  /** Absent: it is gone since it was listed. */
  readonly reading?: JournalReading;
  /** What ends the whole: the store does not answer. */
  readonly failure?: unknown;
}

/** Never rejects, so that readings ahead of the one awaited may fail in peace. */

async function readOne(source: JournalSource, key: string, signal: AbortSignal | undefined): Promise<Read> {
  try {
    const text = await source.get(key, { maxBytes: MAX_JOURNAL_OBJECT, ...(signal ? { signal } : {}) });
    return { key, reading: readJournalObject(text, key) };
  } catch (error) {
    if (!(error instanceof ZkeepError)) return { key, failure: error };
    if (error.kind === 'missing') return { key };
    // The store has the object, but not as it was: that it does not answer is another thing.
    if (error.kind === 'damaged' || error.kind === 'refused') return { key, reading: { entries: [], error } };
    return { key, failure: error };
  }
}
