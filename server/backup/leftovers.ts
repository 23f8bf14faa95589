/** Removes the segments of abandoned backups: at once, and again when no grant for them can be alive. */
import type { Clock } from '../../catalog/clock.ts';
import { messageOf } from '../../catalog/errors.ts';
import { manifestKey, segmentsOf } from '../../catalog/repository/names.ts';
import type { ObjectStore } from '../../catalog/repository/store/store.ts';
import type { AbandonedBackup } from './open-backups.ts';
import type { Surroundings } from './surroundings.ts';

/** A write that began in the last moment of its grant, and clocks that differ (milliseconds). */
const MARGIN = 30 * 60_000;
/** Objects removed at once. */
const AT_ONCE = 8;

/** Sweeps one after the other; what fails is tried again by a later sweep, a restart at the latest. */
export class Leftovers {
  readonly #surroundings: Surroundings;
  #running: Promise<void> = Promise.resolve();
  readonly #stopping = new AbortController();

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** Resolves when everything that is abandoned now was tried; failures are logged. */
  sweep(): Promise<void> {
    this.#running = this.#running.then(() => this.#sweepAll());
    return this.#running;
  }

  /** Ends a sweep after the object that it is at. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #sweepAll(): Promise<void> {
    const { open, log } = this.#surroundings;
    for (const abandoned of open.abandoned()) {
      if (this.#stopping.signal.aborted) return;
      try {
        await this.#sweepOne(abandoned);
      } catch (thrown) {
        if (this.#stopping.signal.aborted) return;
        log.warn({ err: thrown, backup: abandoned.backup }, `could not sweep: ${messageOf(thrown)}`);
      }
    }
  }

  async #sweepOne(abandoned: AbandonedBackup): Promise<void> {
    const { repository, open, clock, log } = this.#surroundings;
    const { backup, to } = abandoned;
    const over = isOver(abandoned, clock);
    // Abandoned ones have no manifest; should one be there all the same, it is a backup and stays.
    if (await repository.store.stat(manifestKey(to, backup), this.#stopping.signal)) {
      log.error({ backup }, 'an abandoned backup has a manifest: its segments are kept');
      open.forgetAbandoned(backup);
      return;
    }
    await removeAll(repository.store, segmentsOf(backup), this.#stopping.signal);
    if (over) open.forgetAbandoned(backup);
  }
}

function isOver({ expires }: AbandonedBackup, clock: Clock): boolean {
  return expires === 0 || clock.now() > expires + MARGIN;
}

async function removeAll(store: ObjectStore, prefix: string, signal: AbortSignal): Promise<void> {
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
