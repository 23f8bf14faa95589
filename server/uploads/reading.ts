/** Reading the notes on an open backup. */
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import { parseUploadNote, type UploadNote } from '../../catalog/protocol/upload-note.ts';
import type { ObjectStore } from '../../catalog/repository/store/store.ts';

/** A note of the most parts that it may hold; foreign bytes beyond are not read. */
const MAX_NOTE = 64 * 1024 * 1024;

/**
 * Reads one note.
 *
 * @throws {ZkeepError} `damaged`, or `refused` when a newer zkeep wrote it; what the store throws.
 */
export async function readNote(store: ObjectStore, key: string, signal?: AbortSignal): Promise<UploadNote> {
  const text = await store.get(key, { maxBytes: MAX_NOTE, ...(signal ? { signal } : {}) });
  let value: unknown;
  try {
    value = JSON.parse(text.toString('utf8'));
  } catch (cause) {
    throw new ZkeepError('damaged', 'json.malformed', `${key} is not JSON: ${messageOf(cause)}`, {
      advice: 'it was not written by zkeep, or damaged since',
      facts: { key },
      cause,
    });
  }
  return parseUploadNote(value);
}
