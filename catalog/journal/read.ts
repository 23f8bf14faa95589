/** Reading an object of the journal that this or another zkeep wrote. */
import { Compile } from 'typebox/schema';
import { messageOf, ZkeepError } from '../errors.ts';
import { type Entry, EntrySchema, JOURNAL_FORMAT } from './entry.ts';

/** What an object of the journal says. */
export interface JournalReading {
  /** Those that are understood. */
  readonly entries: readonly Entry[];
  /** Why some or all are not: damaged, or a newer zkeep wrote them. */
  readonly error?: ZkeepError;
}

/**
 * Reads an object entry by entry: of what a newer zkeep wrote, all that this one understands.
 *
 * @param key for the words of an error.
 */
export function readJournalObject(text: Buffer, key: string): JournalReading {
  const object = parse(text);
  if (object instanceof Error)
    return { entries: [], error: notReadable(key, `is not JSON: ${object.message}`) };
  const { format, entries } = object;
  if (typeof format === 'number' && format > JOURNAL_FORMAT) {
    return { entries: [], error: newer(key, `has format ${format}`) };
  }
  if (format !== JOURNAL_FORMAT || !Array.isArray(entries)) {
    return { entries: [], error: notReadable(key, 'is no object of the journal') };
  }
  const understood = entries.filter(isEntry);
  const left = entries.length - understood.length;
  if (left === 0) return { entries: understood };
  return {
    entries: understood,
    error: newer(key, `has ${left} entries that this zkeep does not understand`),
  };
}

// Compiled when first needed, as every schema is.
let compiled: ReturnType<typeof Compile<typeof EntrySchema>> | undefined;

/** Whether others will be able to read it. */
export function isEntry(value: unknown): value is Entry {
  compiled ??= Compile(EntrySchema);
  return compiled.Check(value);
}

function parse(text: Buffer): { readonly format?: unknown; readonly entries?: unknown } | Error {
  try {
    const value: unknown = JSON.parse(text.toString('utf8'));
    return typeof value === 'object' && value !== null ? value : new Error('no object');
  } catch (thrown) {
    return new Error(messageOf(thrown));
  }
}

function notReadable(key: string, reason: string): ZkeepError {
  return new ZkeepError('damaged', 'journal.malformed', `${key} ${reason}`, {
    advice: 'it was not written by zkeep, or damaged since; it is left where it is',
    facts: { key },
  });
}

function newer(key: string, reason: string): ZkeepError {
  return new ZkeepError('refused', 'journal.newer', `${key} ${reason}`, {
    advice: 'a newer zkeep wrote it: update this one, which reads it again when it starts',
    facts: { key },
  });
}
