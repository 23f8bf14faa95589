/** Open backups written down in the bucket, beside their segments, so that no service's own database is needed to go on. */
import { hash } from 'node:crypto';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import { MAX_NOTED, type UploadNote } from '../../catalog/protocol/upload-note.ts';
import { noteKey, readNoteKey, UPLOADS_PREFIX, uploadsOf } from '../../catalog/repository/names.ts';
import type { ObjectStore } from '../../catalog/repository/store/store.ts';
import { type BackupId, newUuid7, parseDigest } from '../../catalog/words.ts';
import { removeAll } from '../backup/leftovers.ts';
import type { Surroundings } from '../backup/surroundings.ts';
import { readNote } from './reading.ts';

/** Least time between two notes on one backup, milliseconds. */
export const NOTE_EVERY = 5_000;
/** It grows with the time since it was begun or resumed: a day is some thousand notes, and a lost one half a percent. */
const SHARE_OF_AGE = 1 / 200;

/** When a backup is noted; moments are {@link performance}'s. */
interface Pace {
  readonly since: number;
  /** No note before. */
  next: number;
  timer: NodeJS.Timeout | undefined;
}

export interface NotesOptions {
  /** What this service's database is called in the notes. */
  readonly service: string;
  /** Least time between two notes on one backup, milliseconds. */
  readonly every: number;
}

/**
 * Writes notes in the background, one at a time. A note that cannot be written
 * keeps no backup from going on: it is tried again, after a restart too.
 */
export class Notes {
  readonly #surroundings: Surroundings;
  readonly #options: NotesOptions;
  readonly #stopping = new AbortController();
  readonly #paces = new Map<BackupId, Pace>();
  #running: Promise<void> = Promise.resolve();
  #sweeping: Promise<void> = Promise.resolve();

  constructor(surroundings: Surroundings, options: NotesOptions) {
    this.#surroundings = surroundings;
    this.#options = options;
  }

  /** Has what is new of an open backup written down soon; waits for nothing. */
  touch(backup: BackupId): void {
    const pace = this.#paceOf(backup);
    if (this.#stopping.signal.aborted || pace.timer) return;
    const wait = Math.max(0, pace.next - performance.now());
    pace.timer = setTimeout(() => {
      pace.timer = undefined;
      this.#enqueue(backup, () => this.#write(backup));
    }, wait).unref();
  }

  /** Writes down at once what is new of an open backup. */
  async write(backup: BackupId): Promise<void> {
    const written = this.#running.then(() => this.#write(backup));
    this.#running = written.catch(() => this.touch(backup));
    await written;
  }

  /** Its pace begins anew, because its writer does; or it is not open any more. */
  forget(backup: BackupId): void {
    clearTimeout(this.#paces.get(backup)?.timer);
    this.#paces.delete(backup);
  }

  /** Removes all notes on a backup that is not open any more; what fails is done at the next start. */
  remove(backup: BackupId): void {
    this.forget(backup);
    this.#enqueue(backup, () =>
      removeAll(this.#surroundings.repository.store, uploadsOf(backup), this.#stopping.signal),
    );
  }

  /** Begins to write what a former run did not, and to remove its notes on backups that are not open any more. */
  sweep(): void {
    const { open } = this.#surroundings;
    for (const { backup } of open.all()) this.touch(backup);
    this.#sweeping = this.#removeOrphans();
  }

  /** Ends after the object that it is at. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const { timer } of this.#paces.values()) clearTimeout(timer);
    await this.#sweeping;
    await this.#running;
  }

  async #removeOrphans(): Promise<void> {
    try {
      for (const backup of await this.#orphans()) this.remove(backup);
    } catch (thrown) {
      if (this.#stopping.signal.aborted) return;
      this.#surroundings.log.warn({ err: thrown }, 'cannot look for notes to remove');
    }
  }

  #enqueue(backup: BackupId, work: () => Promise<void>): void {
    this.#running = this.#running.then(async () => {
      if (this.#stopping.signal.aborted) return;
      try {
        await work();
      } catch (thrown) {
        if (this.#stopping.signal.aborted) return;
        const { log } = this.#surroundings;
        log.warn({ err: thrown, backup }, `the notes on an open backup: ${messageOf(thrown)}`);
        if (this.#surroundings.open.get(backup)) this.touch(backup);
      }
    });
  }

  #paceOf(backup: BackupId): Pace {
    const known = this.#paces.get(backup);
    if (known) return known;
    const pace: Pace = { since: performance.now(), next: 0, timer: undefined };
    this.#paces.set(backup, pace);
    return pace;
  }

  async #write(backup: BackupId): Promise<void> {
    const { open, candidates, repository, clock } = this.#surroundings;
    const opened = open.get(backup);
    if (!opened) return this.forget(backup);
    const pace = this.#paceOf(backup);
    const now = performance.now();
    pace.next = now + Math.max(this.#options.every, (now - pace.since) * SHARE_OF_AGE);
    for (let more = true; more; ) {
      const { token, writer, request, attributes } = opened;
      const parts = candidates.toNote(backup, MAX_NOTED);
      if (parts.length === 0 && !open.hasAttributesToNote(backup)) return;
      const note: UploadNote = {
        format: 1,
        backup,
        service: this.#options.service,
        token,
        opened: new Date(opened.opened).toISOString(),
        writer,
        request,
        attributes,
        parts,
      };
      const key = noteKey(backup, newUuid7(clock.now()));
      await put(repository.store, key, `${JSON.stringify(note)}\n`, this.#stopping.signal);
      candidates.noteNoted(backup, parts);
      open.noteNotedAttributes(backup, attributes);
      more = parts.length === MAX_NOTED;
    }
  }

  /** Backups that are not open any more, of which there are notes that this service may remove. */
  async #orphans(): Promise<BackupId[]> {
    const { open, index, repository } = this.#surroundings;
    const { signal } = this.#stopping;
    const newest = new Map<BackupId, string>();
    for await (const { key } of repository.store.list(UPLOADS_PREFIX, signal)) {
      const backup = readNoteKey(key);
      // What is abandoned keeps its notes until its segments are removed.
      if (backup && !open.get(backup) && !open.isAbandoned(backup)) newest.set(backup, key);
    }
    const orphans: BackupId[] = [];
    for (const [backup, key] of newest) {
      // Another service may follow the same bucket; what is committed needs nobody's notes any more.
      if (index.backup(backup) || (await this.#isMine(key))) orphans.push(backup);
    }
    return orphans;
  }

  async #isMine(key: string): Promise<boolean> {
    const { repository, log } = this.#surroundings;
    try {
      const { service } = await readNote(repository.store, key, this.#stopping.signal);
      return service === this.#options.service;
    } catch (thrown) {
      if (!(thrown instanceof ZkeepError) || thrown.kind === 'unavailable') throw thrown;
      log.warn({ err: thrown, key }, 'a note on a backup that is not open cannot be read, and is left');
      return false;
    }
  }
}

async function put(store: ObjectStore, key: string, text: string, signal: AbortSignal): Promise<void> {
  const body = Buffer.from(text);
  await store.put(key, body, { sha256: parseDigest(hash('sha256', body)), ifAbsent: true, signal });
}
