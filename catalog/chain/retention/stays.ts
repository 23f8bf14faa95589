/** Under which names a dataset was backed up on a host, as its GUIDs tell, and which of them it has now. */

/** The backups of a dataset that were made under one name. */
export interface Stay<Place> {
  readonly place: Place;
  /** Creation of the newest of their snapshots, seconds since 1970. */
  readonly newest: number;
  /** The greatest of their ids. */
  readonly last: string;
}

/**
 * Where a dataset is now: where its last backup was stored, if nothing newer came from elsewhere. `undefined`:
 * something did, for a clock was wrong.
 *
 * @example placeNow([{ place: 'old', newest: 1, last: '0a' }, { place: 'new', newest: 2, last: '0b' }]) // 'new'
 */
export function placeNow<Place>(stays: readonly Stay<Place>[]): Place | undefined {
  const [first, ...others] = stays;
  if (!first) return undefined;
  const now = others.reduce((last, stay) => (stay.last > last.last ? stay : last), first);
  return stays.every(({ newest }) => newest <= now.newest) ? now.place : undefined;
}
