/** Which segments of a stored stream were fetched, over all tries, and what of it came more than once. Pure. */
import type { Segment } from '../../../catalog/repository/manifest.ts';
import { type Interval, withSent } from './coverage.ts';
import type { Noted } from './ledger.ts';

/**
 * Counts what is fetched.
 *
 * @example
 * const fetches = new Fetches();
 * fetches.recall(await ledgers.read(key)); // what earlier tries fetched
 * fetches.add(manifest.segments[0]);
 * fetches.again; // stored bytes that came once more
 */
export class Fetches {
  #intervals: Interval[] = [];
  #again = 0;

  /** Bytes of the stored stream whose segments were fetched. */
  get intervals(): readonly Interval[] {
    return this.#intervals;
  }

  /** Stored bytes of the segments that were fetched though they had been before. */
  get again(): number {
    return this.#again;
  }

  /** What was sent was fetched, in whole segments; an older zkeep noted no more than that. */
  recall(noted: Pick<Noted, 'sent' | 'fetched'> | undefined): void {
    for (const interval of [...(noted?.fetched ?? []), ...(noted?.sent ?? [])])
      this.#intervals = withSent(this.#intervals, interval);
  }

  /** A segment has come. */
  add({ offset, size, stored }: Pick<Segment, 'offset' | 'size' | 'stored'>): void {
    const end = offset + size;
    if (this.#intervals.some(([from, to]) => from < end && offset < to)) this.#again += stored;
    this.#intervals = withSent(this.#intervals, [offset, end]);
  }
}
