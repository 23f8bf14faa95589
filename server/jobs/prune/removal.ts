/** Removing backups: index, manifest, journal, segments; in an order in which every stop is a good one. */
import type { FastifyBaseLogger } from 'fastify';
import { inSteps, type PlannedRow } from '../../../catalog/chain/retention/plan.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import { manifestKey, segmentsOf, uploadsOf } from '../../../catalog/repository/names.ts';
import type { Repository } from '../../../catalog/repository/repository.ts';
import { removeAll } from '../../backup/leftovers.ts';
import type { Journal } from '../../journal/journal.ts';

export interface RemovalTools {
  readonly repository: Repository;
  readonly index: CatalogIndex;
  readonly journal: Journal;
  readonly log: FastifyBaseLogger;
}

/** Manifests removed at once, and backups whose segments are. */
const AT_ONCE = 8;

/** What was done. */
export interface Removed {
  readonly removed: number;
  /** Stored bytes. */
  readonly freed: number;
}

/** Removes what was planned, for one run of the job. */
export class Removal {
  readonly #tools: RemovalTools;
  readonly #by: string | null;

  constructor(tools: RemovalTools, by: string | null) {
    this.#tools = tools;
    this.#by = by;
  }

  /**
   * Removes the first of these, in their order: what others hang on after them.
   *
   * @param most how many at most.
   * @param isFree whether the plan still holds; when it does not, nothing is done.
   * @throws what the store throws. What it left is gone on with by the next run, and by the sweep.
   */
  async remove(
    doomed: readonly PlannedRow[],
    most: number,
    isFree: () => boolean,
    signal: AbortSignal,
  ): Promise<Removed> {
    const { index } = this.#tools;
    const load = inSteps(doomed).flat().slice(0, most);
    const marked = new Set(index.marks().map(({ backup }) => backup));
    if (signal.aborted || !isFree() || !load.every(({ backup }) => marked.has(backup))) return NOTHING;
    // The index first: from here on nobody bases a backup on them, or plans a restore from them.
    index.remove(load.map(({ backup }) => backup));
    const gone: PlannedRow[] = [];
    try {
      for (const step of inSteps(load)) {
        if (signal.aborted) break;
        await this.#removeManifests(step, gone, signal);
      }
    } finally {
      await this.#takeBack(load.filter((row) => !gone.includes(row)));
      await this.#tell(gone);
    }
    await this.#removeSegments(gone, signal);
    return { removed: gone.length, freed: gone.reduce((sum, { stored }) => sum + stored, 0) };
  }

  async #removeManifests(
    step: readonly PlannedRow[],
    gone: PlannedRow[],
    signal: AbortSignal,
  ): Promise<void> {
    const { store } = this.#tools.repository;
    for (let at = 0; at < step.length && !signal.aborted; at += AT_ONCE) {
      const ends = await Promise.allSettled(
        step.slice(at, at + AT_ONCE).map(async (row) => {
          await store.delete(manifestKey(row.to, row.backup));
          gone.push(row);
        }),
      );
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
    }
  }

  /** What is still in the bucket comes back into the index; what cannot be read now comes with the next refresh. */
  async #takeBack(rows: readonly PlannedRow[]): Promise<void> {
    const { repository, index, log } = this.#tools;
    for (const { to, backup } of rows.toReversed()) {
      try {
        // A deletion that failed may have happened all the same.
        index.add(await repository.manifest(to, backup));
      } catch (thrown) {
        // Its deletion had failed only in its answer: the sweep removes its segments.
        if (thrown instanceof ZkeepError && thrown.kind === 'missing') continue;
        log.warn(
          { err: thrown, backup },
          'a backup that was to be removed is not in the index until its refresh',
        );
        return;
      }
    }
  }

  /** @throws never: what the bucket does not take now is written when it does. */
  async #tell(gone: readonly PlannedRow[]): Promise<void> {
    if (gone.length === 0) return;
    const { journal, log } = this.#tools;
    const backups = gone.map(({ backup, from, to, host, dataset, name, stored }) => {
      return { backup, from, to, host, dataset, name, stored };
    });
    const fact = { kind: 'backups.removed' as const, backups };
    try {
      await journal.record(this.#by, fact);
    } catch (thrown) {
      log.warn({ err: thrown }, 'what was removed is journalled later');
      journal.note(this.#by, fact);
    }
  }

  async #removeSegments(gone: readonly PlannedRow[], signal: AbortSignal): Promise<void> {
    const { store } = this.#tools.repository;
    for (let at = 0; at < gone.length && !signal.aborted; at += AT_ONCE) {
      await Promise.all(
        gone.slice(at, at + AT_ONCE).map(async ({ backup }) => {
          await removeAll(store, segmentsOf(backup), signal);
          await removeAll(store, uploadsOf(backup), signal);
        }),
      );
    }
  }
}

const NOTHING: Removed = { removed: 0, freed: 0 };
