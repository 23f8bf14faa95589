/** A new database takes over the open backups that the bucket tells of. */
import { randomUUID } from 'node:crypto';
import { ZkeepError } from '../../catalog/errors.ts';
import type { UploadNote } from '../../catalog/protocol/upload-note.ts';
import { readNoteKey, UPLOADS_PREFIX, uploadsOf } from '../../catalog/repository/names.ts';
import type { BackupId } from '../../catalog/words.ts';
import { type Surroundings, UNKNOWN_WRITES } from '../backup/surroundings.ts';
import { hasUploads, keepUploads } from '../state/kept.ts';
import type { State } from '../state/state.ts';
import { readNote } from './reading.ts';

/**
 * Opens what is written down in the bucket as open, once in the life of a
 * database: one that knows its repository knows its open backups as well, and
 * what it does not know was ended. Cut off in between, it is done again.
 *
 * @throws what the store throws; a note that cannot be read is logged and left.
 */
export async function adoptUploads(surroundings: Surroundings, state: State): Promise<void> {
  if (hasUploads(state)) return;
  const { repository, index, log } = surroundings;
  const found = new Set<BackupId>();
  for await (const { key } of repository.store.list(UPLOADS_PREFIX)) {
    const backup = readNoteKey(key);
    if (backup && !index.backup(backup)) found.add(backup);
  }
  const told = new Map<BackupId, ReadonlySet<string>>();
  // The newest first: of two for one dataset the other one was replaced, and only its notes were left.
  for (const backup of [...found].sort().reverse()) {
    const notes = await notesOn(surroundings, backup);
    told.set(backup, new Set(notes.map(({ service }) => service)));
    const parts = adopt(surroundings, backup, notes);
    if (parts !== undefined)
      log.info({ backup, parts }, 'an open backup was found in the bucket: it can be resumed');
    else if (endReplaced(surroundings, backup, notes, told))
      log.info({ backup }, 'of a backup that was replaced something was left in the bucket: it goes');
    else log.warn({ backup }, 'an open backup is told of that cannot be gone on with');
  }
  keepUploads(state);
}

/** Gives how many contents of parts were found; `undefined` when the backup cannot be opened. */
function adopt(
  { open, candidates }: Surroundings,
  backup: BackupId,
  notes: readonly UploadNote[],
): number | undefined {
  let parts = 0;
  for (const note of notes) {
    const { token, request, writer, attributes } = note;
    open.adopt({ backup, token, opened: Date.parse(note.opened), request });
    if (!open.get(backup)) return undefined;
    open.give(backup, writer, randomUUID());
    if (attributes) open.noteAttributes(backup, attributes);
    for (const { expires, ...part } of note.parts) candidates.record(backup, [part], expires);
    parts += note.parts.length;
  }
  return notes.length > 0 ? parts : undefined;
}

/**
 * Has the leftovers of a backup removed that was replaced by one that is open now. A service has one open of a
 * dataset, so it was: when the service that wrote on it last wrote on the newer one as well.
 */
function endReplaced(
  { open, clock }: Surroundings,
  backup: BackupId,
  notes: readonly UploadNote[],
  told: ReadonlyMap<BackupId, ReadonlySet<string>>,
): boolean {
  const last = notes.at(-1);
  if (!last) return false;
  const { request, service, token } = last;
  if (!open.rivals(request).some((rival) => told.get(rival.backup)?.has(service))) return false;
  const noted = notes.flatMap(({ parts }) => parts.map(({ expires }) => expires));
  const expires = Math.max(clock.now() + UNKNOWN_WRITES, ...noted);
  open.addAbandoned({ backup, to: request.to.guid, token, expires });
  return true;
}

/** What can be read of the notes on a backup, in the order in which they were written. */
async function notesOn(surroundings: Surroundings, backup: BackupId): Promise<UploadNote[]> {
  const notes: UploadNote[] = [];
  for await (const { key } of surroundings.repository.store.list(uploadsOf(backup))) {
    const note = await readable(surroundings, key);
    if (note?.backup === backup) notes.push(note);
  }
  return notes;
}

/** A note, unless it is none: a damaged one costs what it told, not the start of the service. */
async function readable({ repository, log }: Surroundings, key: string): Promise<UploadNote | undefined> {
  try {
    return await readNote(repository.store, key);
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError) || !['damaged', 'refused'].includes(thrown.kind)) throw thrown;
    log.error({ err: thrown, key }, 'a note on an open backup cannot be used');
    return undefined;
  }
}
