/** Whose snapshots are counted together: those of one dataset, also after it was renamed or has come to another host. */
import type { Guid } from '../../words.ts';
import { compareText } from '../order.ts';
import type { RetentionEdge } from './edge.ts';

/** The snapshots of one dataset on one host. */
export interface Place {
  readonly host: string;
  readonly dataset: string;
  /** All backups that were made there. */
  readonly edges: readonly RetentionEdge[];
}

/** Backups by the dataset and host that they name, in the order of these. */
export function placesOf(edges: Iterable<RetentionEdge>): Place[] {
  const byDataset = new Map<string, Map<string, RetentionEdge[]>>();
  for (const edge of edges) {
    const byHost = byDataset.get(edge.dataset) ?? new Map<string, RetentionEdge[]>();
    byDataset.set(edge.dataset, byHost);
    const here = byHost.get(edge.host);
    if (here) here.push(edge);
    else byHost.set(edge.host, [edge]);
  }
  const places: Place[] = [];
  for (const [dataset, byHost] of byDataset) {
    for (const [host, here] of byHost) places.push({ host, dataset, edges: here });
  }
  return places.sort((a, b) => compareText(a.dataset, b.dataset) || compareText(a.host, b.host));
}

/**
 * The place in which each goes on: an increment there hangs on the newest snapshot here, here there is
 * nothing newer, and there nothing older. Where it goes on in several places (two hosts that were both
 * restored from it) it goes on in none: each of these is a dataset of its own.
 */
export function successorsOf(places: readonly Place[]): Map<Place, Place> {
  const newest = new Map(places.map((place) => [place, newestOf(place)]));
  const endsAt = new Map<Guid, Place[]>();
  for (const [place, { to }] of newest) {
    const ending = endsAt.get(to);
    if (ending) ending.push(place);
    else endsAt.set(to, [place]);
  }
  const next = new Map<Place, Set<Place>>();
  for (const there of places) {
    for (const { from } of there.edges) {
      for (const here of (from !== null && endsAt.get(from)) || []) {
        if (here !== there) next.set(here, (next.get(here) ?? new Set()).add(there));
      }
    }
  }
  const successors = new Map<Place, Place>();
  for (const [here, found] of next) {
    const [there] = found;
    const end = newest.get(here)?.created ?? 0;
    if (found.size === 1 && there?.edges.every(({ created }) => created >= end)) successors.set(here, there);
  }
  return withoutCircles(successors);
}

/** Places that are counted together, each list in the order of the places. */
export function joined(places: readonly Place[], successors: ReadonlyMap<Place, Place>): Place[][] {
  const last = (place: Place): Place => {
    let at = place;
    for (let next = successors.get(at); next; next = successors.get(at)) at = next;
    return at;
  };
  return [...Map.groupBy(places, last).values()];
}

function newestOf({ edges }: Place): RetentionEdge {
  return edges.reduce((best, edge) => {
    const later = edge.created - best.created || compareText(edge.backup, best.backup);
    return later > 0 ? edge : best;
  });
}

/** Snapshots of one second may seem to go on in each other: these do in none. */
function withoutCircles(successors: Map<Place, Place>): Map<Place, Place> {
  const circling = new Set<Place>();
  for (const start of successors.keys()) {
    let at: Place | undefined = start;
    for (let steps = 0; at && steps < successors.size; steps++) at = successors.get(at);
    // After so many steps one is on a circle, if there is any ahead.
    for (let round = at; round && !circling.has(round); round = successors.get(round)) circling.add(round);
  }
  for (const place of circling) successors.delete(place);
  return successors;
}
