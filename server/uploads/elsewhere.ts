/** The backups that other services of the bucket have open: the notes tell of them. */
import { ZkeepError } from '../../catalog/errors.ts';
import type { UploadNote } from '../../catalog/protocol/upload-note.ts';
import { readNoteKey, UPLOADS_PREFIX } from '../../catalog/repository/names.ts';
import type { BackupId } from '../../catalog/words.ts';
import type { Surroundings } from '../backup/surroundings.ts';
import { readNote } from './reading.ts';

/** What is open elsewhere. */
export interface OpenElsewhere {
  readonly notes: readonly UploadNote[];
  /** Backups of which no note can be read: nobody knows on what they are made. */
  readonly unread: readonly BackupId[];
}

/**
 * Reads of each backup that is neither open here nor committed the newest note.
 *
 * @param service what this service is called in the notes: those that it wrote are of what was ended.
 * @throws what the store throws.
 */
export async function openElsewhere(
  { repository, index, open, log }: Pick<Surroundings, 'repository' | 'index' | 'open' | 'log'>,
  service: string,
  signal: AbortSignal,
): Promise<OpenElsewhere> {
  const newest = new Map<BackupId, string>();
  for await (const { key } of repository.store.list(UPLOADS_PREFIX, signal)) {
    const backup = readNoteKey(key);
    if (backup && !open.get(backup)) newest.set(backup, key);
  }
  const notes: UploadNote[] = [];
  const unread: BackupId[] = [];
  for (const [backup, key] of newest) {
    if (index.backup(backup)) continue;
    try {
      const note = await readNote(repository.store, key, signal);
      if (note.service !== service) notes.push(note);
    } catch (thrown) {
      if (!(thrown instanceof ZkeepError)) throw thrown;
      // It was ended or committed just now, and its notes removed.
      if (thrown.kind === 'missing') continue;
      if (thrown.kind !== 'damaged' && thrown.kind !== 'refused') throw thrown;
      log.warn({ err: thrown, key }, 'a note on an open backup cannot be read');
      unread.push(backup);
    }
  }
  return { notes, unread };
}
