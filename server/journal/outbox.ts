/**
 * Entries that are to be written to the journal, in `service.db`: what a command said while no service ran
 * or beside one, and what the bucket did not take yet. The running service writes them, and takes them out.
 */
import type { Entry } from '../../catalog/journal/entry.ts';
import type { State } from '../state/state.ts';

/** Most entries that wait: without a bucket for days, what comes then is lost, and that is logged. */
const MOST = 100_000;

/** The table `outbox`. */
export class Outbox {
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
  }

  /** Adds entries; gives how many found no room. */
  add(entries: readonly Entry[]): number {
    const { count } = this.#state
      .prepare<[], { count: number }>('SELECT count(*) AS count FROM outbox')
      .get() ?? {
      count: 0,
    };
    const taken = entries.slice(0, Math.max(0, MOST - count));
    const insert = this.#state.prepare('INSERT OR IGNORE INTO outbox (id, entry) VALUES (?, ?)');
    this.#state
      .transaction(() => {
        for (const entry of taken) insert.run(entry.id, JSON.stringify(entry));
      })
      .immediate();
    return entries.length - taken.length;
  }

  /** The greatest id of those that wait. */
  last(): string | undefined {
    const sql = 'SELECT id FROM outbox ORDER BY id DESC LIMIT 1';
    return this.#state.prepare<[], { id: string }>(sql).get()?.id;
  }

  /** The first ones. */
  first(limit: number): Entry[] {
    return this.#state
      .prepare<[number], { entry: string }>('SELECT entry FROM outbox ORDER BY id LIMIT ?')
      .all(limit)
      .map(({ entry }) => JSON.parse(entry) as Entry);
  }

  /** Takes out what is in the bucket. */
  remove(entries: readonly Entry[]): void {
    const remove = this.#state.prepare('DELETE FROM outbox WHERE id = ?');
    this.#state
      .transaction(() => {
        for (const { id } of entries) remove.run(id);
      })
      .immediate();
  }
}
