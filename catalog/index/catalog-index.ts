/**
 * The index: what the bucket's manifests say, in tables that answer at once.
 * It holds nothing that the bucket does not: see INDEX.md. Here is what opens and
 * changes it; what is asked of it is in `readable-index.ts`.
 */
import { ZkeepError } from '../errors.ts';
import type { Entry } from '../journal/entry.ts';
import type { BackupSummary } from '../protocol/protocol.ts';
import type { Manifest } from '../repository/manifest.ts';
import type { BackupId, Digest } from '../words.ts';
import { contentMark, dump } from './dump.ts';
import { Inventory } from './inventory.ts';
import { applyEntries } from './journal/apply.ts';
import {
  forgetObject,
  lastEntry,
  lastObject,
  noteObject,
  partlyRead,
  unknownObjects,
} from './journal/objects.ts';
import { ReadableIndex } from './readable-index.ts';
import { addBackup } from './tables/add.ts';
import { backupOf, type KeptBackup, requireRow, summaryOf } from './tables/backup.ts';
import { type DatabaseOptions, IndexDatabase } from './tables/database.ts';
import { learnSettings, unreadAttributes } from './tables/learn.ts';
import { removeBackups } from './tables/remove.ts';
import type { ReadAttributes } from './tables/settings.ts';

/** An object of the journal that was read. */
export interface JournalPart {
  readonly key: string;
  /** False: not all of it was understood; a zkeep that understands more reads it again. */
  readonly whole: boolean;
}

/**
 * An opened index. Its content depends on the set of backups in it alone, not on
 * the order in which they came and went.
 *
 * @example
 * const index = new CatalogIndex('/var/lib/zkeep/index.db');
 * index.add(manifest);
 * index.plan({ wanted: { dataset: 'tank/fs' }, have: [], rollback: false });
 */
export class CatalogIndex extends ReadableIndex {
  #inventory: Inventory | undefined;

  /**
   * Opens the file, or makes it.
   *
   * @param path `:memory:` for one that is gone when it is closed.
   * @throws {ZkeepError} `refused` when the file is a newer zkeep's (`index.newer`) or another program's.
   */
  constructor(path: string, options: DatabaseOptions = {}) {
    super(new IndexDatabase(path, options));
  }

  /**
   * Adds a backup; nothing happens when it is there.
   *
   * @param read what its attribute manifest says, if that was read; else {@link CatalogIndex.learn} can tell later.
   * @returns what {@link CatalogIndex.backup} answers from now on.
   * @throws {ZkeepError} `damaged` (`index.conflict`) when another backup has its id.
   */
  add(backup: Manifest | KeptBackup, read?: ReadAttributes): BackupSummary {
    const kept = 'format' in backup ? backupOf(backup) : backup;
    return this.db.transaction(() => {
      addBackup(this.db, kept);
      if (read) learnSettings(this.db, read);
      return summaryOf(requireRow(this.db, kept.backup));
    });
  }

  /**
   * Adds many in one transaction, which is a hundred times faster.
   *
   * @param onRefused told of those that are in conflict with what is there; without it, none is added then.
   * @returns how many were not there yet.
   */
  addAll(
    backups: Iterable<KeptBackup>,
    onRefused: (backup: KeptBackup, error: ZkeepError) => void = (_backup, error) => {
      throw error;
    },
  ): number {
    return this.db.transaction(() => {
      let added = 0;
      for (const backup of backups) {
        const outcome = attempt(() => addBackup(this.db, backup));
        if (outcome instanceof ZkeepError) onRefused(backup, outcome);
        else if (outcome) added += 1;
      }
      return added;
    });
  }

  /** Takes in what attribute manifests say, for the backups that have them and lack it. */
  learn(read: Iterable<ReadAttributes>): void {
    this.db.transaction(() => {
      for (const one of read) learnSettings(this.db, one);
    });
  }

  /**
   * Digests of attribute manifests whose content backups lack, each once, in their order.
   *
   * @param after the last one of the part before; absent: from the first.
   * @param dataset only those of backups of datasets called so.
   */
  unread(limit: number, after = '', dataset?: string): Digest[] {
    return unreadAttributes(this.db, { limit, after, dataset });
  }

  /**
   * Removes backups. What is derived is made anew for each lineage that lost one,
   * so it is better to remove many at once.
   *
   * @returns how many were there.
   */
  remove(backups: BackupId | Iterable<BackupId>): number {
    const doomed = typeof backups === 'string' ? [backups] : backups;
    return this.db.transaction(() => removeBackups(this.db, doomed));
  }

  /**
   * Empties the index.
   *
   * @throws {ZkeepError} `busy` (`index.refreshing`) while it is compared with the bucket.
   */
  clear(): void {
    this.#refuseTwice();
    this.db.clear();
  }

  /**
   * Takes in entries of the journal. Their order, and how often they come, makes no difference.
   *
   * @param objects the keys of the objects that they were in: read to the last entry, or not understood wholly.
   * @returns those that were not there yet, in their order.
   */
  apply(entries: readonly Entry[], objects: readonly JournalPart[] = []): Entry[] {
    return this.db.transaction(() => {
      for (const { key, whole } of objects) noteObject(this.db, key, whole);
      return applyEntries(this.db, entries);
    });
  }

  /** The greatest id of an entry that was taken in. */
  lastEntry(): string | undefined {
    return lastEntry(this.db);
  }

  /** Which objects of the journal were taken in: of some keys those that were not, the last one, and those to be read again, unless they are gone. */
  get journal() {
    return {
      unknown: (keys: readonly string[]) => unknownObjects(this.db, keys),
      last: () => lastObject(this.db),
      partly: () => partlyRead(this.db),
      forget: (key: string) => forgetObject(this.db, key),
    };
  }

  /**
   * Copies the index to a file while it is used.
   *
   * @throws {ZkeepError} `full`, `denied` and the like of the other file; the signal's reason.
   */
  async copyTo(path: string, signal?: AbortSignal): Promise<void> {
    await this.db.copyTo(path, () => signal?.throwIfAborted());
  }

  /** A text that is another one when the content is: by counts, so nearly always. Ends of jobs do not count. */
  contentMark(): string {
    return contentMark(this.db);
  }

  /** Every fact as a line of JSON, the same for the same set of backups. Nothing may be added meanwhile. */
  dump(): Generator<string> {
    return dump(this.db);
  }

  /**
   * Begins a comparison with a listing of the bucket.
   *
   * @throws {ZkeepError} `busy` (`index.refreshing`) when one is under way.
   */
  inventory(): Inventory {
    this.#refuseTwice();
    this.#inventory = new Inventory(this.db);
    return this.#inventory;
  }

  close(): void {
    this.db.close();
  }

  #refuseTwice(): void {
    if (!this.#inventory?.isOpen) return;
    throw new ZkeepError('busy', 'index.refreshing', 'the index is being brought up to date', {
      advice: 'wait until that is done',
    });
  }
}

function attempt<T>(work: () => T): T | ZkeepError {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof ZkeepError && thrown.code === 'index.conflict') return thrown;
    throw thrown;
  }
}
