/** Under which names a dataset was backed up, one after the other, as its own GUIDs tell. */
import { compareText } from '../order.ts';

/** The backups of a dataset that were made in one place: under one name, on one host. */
export interface Stay<Place> {
  readonly place: Place;
  /** Creation of the oldest and the newest of their snapshots, seconds since 1970. */
  readonly oldest: number;
  readonly newest: number;
  /** The smallest and the greatest of their ids. */
  readonly first: string;
  readonly last: string;
}

/**
 * Where the dataset went on, place by place. A dataset is in one place at a time: where what was made and
 * stored in one place is not all before what was made and stored in the next, two datasets bear the same
 * GUIDs (their pool is a copy of another one, block by block), or a clock was wrong. Then nothing is told.
 *
 * @param stays of one dataset, one for each place.
 * @example movesOf([{ place: 'a', oldest: 1, newest: 2, first: '1', last: '2' }, { place: 'b', ... }]) // a => b
 */
export function movesOf<Place>(stays: readonly Stay<Place>[]): Map<Place, Place> {
  const inOrder = stays.toSorted((a, b) => a.oldest - b.oldest || compareText(a.first, b.first));
  const moves = new Map<Place, Place>();
  for (const [at, there] of inOrder.entries()) {
    const here = inOrder[at - 1];
    if (!here) continue;
    if (here.newest > there.oldest || here.last >= there.first) return new Map();
    moves.set(here.place, there.place);
  }
  return moves;
}
