/** Whose backups count together, in few lines of its own: what the planner of the service is compared with. */
import type { Manifest } from '../../../catalog/repository/manifest.ts';

/** A backup in the bucket, and when its snapshot was made. */
export interface Kept {
  readonly manifest: Manifest;
  readonly created: number;
}

/** The backups of all names and hosts that a dataset has had; without those of the oldest, and so on to the newest alone. */
export function lastPlaces(backups: readonly Kept[]): Kept[][] {
  const inOrder = placesOf(backups).toSorted((one, other) => newestOf(one).created - newestOf(other).created);
  return inOrder.map((_, at) => inOrder.slice(at).flat());
}

/**
 * As CHAIN.md says it: a name on a host goes on under the one that the dataset has now, by its own GUIDs, when
 * nothing of another one there is older than the newest snapshot of this one. Or else where what is sent from
 * there hangs on that snapshot, nothing there is older, and it goes on nowhere else.
 */
export function together(backups: readonly Kept[]): Kept[][] {
  const places = placesOf(backups);
  const next = (here: Kept[]): Kept[] | undefined => nameNow(places, here) ?? hangingOn(places, here);
  const last = (here: Kept[]): Kept[] => {
    const there = next(here);
    return there ? last(there) : here;
  };
  return [...Map.groupBy(places, last).values()].map((groups) => groups.flat());
}

function nameNow(places: readonly Kept[][], here: Kept[]): Kept[] | undefined {
  const newest = newestOf(here);
  const isOfIt = (one: Kept) => idOf(one) !== undefined && idOf(one) === idOf(newest);
  const its = places.flat().filter(isOfIt);
  const stored = its.toSorted((one, other) => (one.manifest.backup < other.manifest.backup ? -1 : 1)).at(-1);
  const there = places.find((place) => stored && place.includes(stored));
  if (!there || there === here || !there.some((one) => isOfIt(one) && one.created >= newestOf(its).created)) {
    return undefined;
  }
  return there.every((one) => isOfIt(one) || one.created >= newest.created) ? there : undefined;
}

function hangingOn(places: readonly Kept[][], here: Kept[]): Kept[] | undefined {
  const { manifest, created } = newestOf(here);
  const hangs = (one: Kept) => one.manifest.from?.guid === manifest.to.guid;
  const [there, ...others] = places.filter((place) => place !== here && place.some(hangs));
  return others.length === 0 && there?.every((one) => one.created >= created) ? there : undefined;
}

function idOf({ manifest: { source } }: Kept): string | undefined {
  const { host, pool_guid: pool, dataset_guid: dataset } = source;
  return pool && dataset ? `${pool} ${dataset} ${host}` : undefined;
}

function placesOf(backups: readonly Kept[]): Kept[][] {
  const place = ({ manifest: { source } }: Kept) => `${source.host}:${source.dataset}`;
  return [...Map.groupBy(backups, place).values()];
}

function newestOf(place: readonly Kept[]): Kept {
  return place.reduce((newest, one) => (one.created > newest.created ? one : newest));
}
