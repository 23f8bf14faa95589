/** Reading what the journal in the bucket says and the index lacks. */
import { ZkeepError } from '../errors.ts';
import type { Entry } from '../journal/entry.ts';
import { type JournalReading, readJournalObject } from '../journal/read.ts';
import { JOURNAL_PREFIX, journalKey, readJournalKey } from '../repository/names.ts';
import type { ObjectStore } from '../repository/store/store.ts';
import { newUuid7 } from '../words.ts';
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
  /** Only objects with names of this time or later, milliseconds since 1970, to whatever a clock may say. */
  readonly since?: number | undefined;
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
      for (const { key, reading, failure } of batch) {
        if (failure !== undefined) throw failure;
        if (!reading) index.journal.forget(key);
      }
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
  const after = since === undefined ? undefined : beginOf(since);
  for await (const names of inBatches(source.list(JOURNAL_PREFIX, signal, after), NAMES)) {
    const keys = names.flatMap(({ key }) => (readJournalKey(key) ? [key] : []));
    await take(index.journal.unknown(keys));
  }
  return report;
}

/** Names begin with their moment: what comes after this text is of that moment or later. */
function beginOf(moment: number): string {
  return journalKey(newUuid7(Math.max(0, Math.floor(moment)), new Uint8Array(10))).slice(0, MOMENT_ENDS);
}

/** Of a name with its prefix, where the moment in it ends. */
const MOMENT_ENDS = `${JOURNAL_PREFIX}00000000-0000`.length;

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
