/**
 * Work that is begun a little ahead of those who wait for it, in order: values
 * are asked for soon after the snapshots were taken, not after hours of sending.
 */

/** Pieces of work in a row, each to be waited for in its turn. */
export class Ahead<T> {
  readonly #works: readonly (() => Promise<T>)[];
  readonly #most: number;
  readonly #begun: Promise<T>[] = [];
  #last: Promise<unknown> = Promise.resolve();

  /** @param most so many results at most are kept for those who come. */
  constructor(works: readonly (() => Promise<T>)[], most: number) {
    this.#works = works;
    this.#most = most;
  }

  /** Waits for a piece; those after it are begun, one after the other. What one throws, only this throws. */
  async at(index: number): Promise<T> {
    const end = Math.min(this.#works.length, index + this.#most);
    while (this.#begun.length < end) this.#begin(this.#begun.length);
    const wanted = this.#begun[index];
    if (!wanted) throw new RangeError(`there is no piece of work ${index}`);
    // Asked for once, and let go of.
    this.#begun[index] = Promise.reject(new RangeError(`piece of work ${index} was taken`));
    this.#begun[index].catch(() => undefined);
    return await wanted;
  }

  #begin(index: number): void {
    const work = this.#works[index];
    if (!work) return;
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    this.#begun.push(result);
  }
}
