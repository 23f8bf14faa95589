/** How far a road back reads ahead: what is ahead when a restore is cut has to be fetched again. Pure. */

/** Segments that are held at least: the one that is read, and the next. */
export const FEWEST_HELD = 2;
/** Of so many segments in a row, each was there and the one after it too: the reader is the slower one. */
const CALM = 4;

/**
 * One more segment each time that the reader has to wait, one less when it has not
 * had to for long. So a reader that is slower than the store (`zfs receive` mostly is)
 * has one segment ahead, and a store that answers late is asked for several at once.
 *
 * @example const pace = new ReadAhead(4); pace.wanted(false, false); pace.held // 3
 */
export class ReadAhead {
  readonly #most: number;
  #held: number;
  #calm = 0;

  /** @param most segments that may be held. */
  constructor(most: number) {
    this.#most = most;
    this.#held = Math.min(FEWEST_HELD, most);
  }

  /** Segments that are to be held from now on. */
  get held(): number {
    return this.#held;
  }

  /**
   * Told when the reader wants its next segment.
   *
   * @param isThere whether it is there, and `isNextThere` the one after it.
   */
  wanted(isThere: boolean, isNextThere: boolean): void {
    this.#calm = isThere && isNextThere ? this.#calm + 1 : 0;
    if (!isThere) this.#held = Math.min(this.#held + 1, this.#most);
    if (this.#calm < CALM) return;
    this.#calm = 0;
    this.#held = Math.max(this.#held - 1, Math.min(FEWEST_HELD, this.#most));
  }
}
