/** Removes the segments of abandoned backups: at once, and again when no grant for them can be alive. */
import { messageOf } from '../../catalog/errors.ts';
import { manifestKey, segmentsOf, uploadsOf } from '../../catalog/repository/names.ts';
import type { ObjectStore } from '../../catalog/repository/store/store.ts';
import type { BackupId } from '../../catalog/words.ts';
import type { AbandonedBackup } from '../state/open-backups.ts';
import { LATE_WRITES, type Surroundings } from './surroundings.ts';

/** Objects removed at once. */
const AT_ONCE = 8;

/** Sweeps one after the other; what fails is tried again by a later sweep, a restart at the latest. */
export class Leftovers {
  readonly #surroundings: Surroundings;
  readonly #stopping = new AbortController();
  /** Swept once by this run, and to be swept again when their grants are over. */
  readonly #swept = new Set<BackupId>();
  #running: Promise<void> = Promise.resolve();

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** Resolves when everything that is due was tried; failures are logged. */
  sweep(): Promise<void> {
    const { log } = this.#surroundings;
    this.#running = this.#running
      .then(() => this.#sweepDue())
      .catch((thrown: unknown) => log.error({ err: thrown }, 'cannot sweep'));
    return this.#running;
  }

  /** Ends a sweep after the objects that it is at. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #sweepDue(): Promise<void> {
    const { open, clock, log } = this.#surroundings;
    for (const abandoned of open.abandoned()) {
      if (this.#stopping.signal.aborted) return;
      const isOver = abandoned.expires === 0 || clock.now() > abandoned.expires + LATE_WRITES;
      if (this.#swept.has(abandoned.backup) && !isOver) continue;
      try {
        await this.#sweepOne(abandoned);
        this.#swept.add(abandoned.backup);
        if (isOver) this.#forget(abandoned.backup);
      } catch (thrown) {
        if (this.#stopping.signal.aborted) return;
        log.warn({ err: thrown, backup: abandoned.backup }, `could not sweep: ${messageOf(thrown)}`);
      }
    }
  }

  async #sweepOne({ backup, to }: AbandonedBackup): Promise<void> {
    const { repository, log } = this.#surroundings;
    const { signal } = this.#stopping;
    // Abandoned ones have no manifest; should one be there all the same, it is a backup and stays.
    if (await repository.store.stat(manifestKey(to, backup), signal)) {
      log.error({ backup }, 'an abandoned backup has a manifest: its segments are kept');
      this.#forget(backup);
    } else {
      await removeAll(repository.store, segmentsOf(backup), signal);
      // Last: as long as there are segments, the bucket tells to what they belong.
      await removeAll(repository.store, uploadsOf(backup), signal);
    }
  }

  #forget(backup: BackupId): void {
    this.#surroundings.open.forgetAbandoned(backup);
    this.#swept.delete(backup);
  }
}

/** Removes all objects whose keys begin so, in the order of their keys. */
export async function removeAll(store: ObjectStore, prefix: string, signal: AbortSignal): Promise<void> {
  let batch: string[] = [];
  const flush = async () => {
    await Promise.all(batch.map((key) => store.delete(key, signal)));
    batch = [];
  };
  for await (const { key } of store.list(prefix, signal)) {
    batch.push(key);
    if (batch.length === AT_ONCE) await flush();
  }
  await flush();
}
