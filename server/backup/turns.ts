/** One at a time for each key: what waits and checks, then acts, must not be overtaken in between. */

/**
 * Turns by key, first come first served; keys without waiters take no memory.
 *
 * @example await turns.take(backup, async () => { … })
 */
export class Turns<Key> {
  readonly #last = new Map<Key, Promise<unknown>>();

  /** Does `work` once all earlier work of this key has ended, well or not. */
  async take<T>(key: Key, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#last.get(key) === mine) this.#last.delete(key);
    }
  }
}
