/** Whose snapshots are counted together: those of one dataset, also after it was renamed or has come to another host. */
import type { SourceId } from '../../words.ts';
import { compareText } from '../order.ts';
import type { Numbered } from './numbered.ts';
import { placeNow, type Stay } from './stays.ts';

/** The snapshots of one dataset on one host. */
export interface Place {
  readonly host: string;
  readonly dataset: string;
  /** The numbers of the backups that were made there. */
  readonly backups: readonly number[];
}

/** Backups by the dataset and host that they name, in the order of these. */
export function placesOf({ edges }: Numbered): Place[] {
  const byDataset = new Map<string, Map<string, number[]>>();
  for (const [number, { dataset, host }] of edges.entries()) {
    const byHost = byDataset.get(dataset) ?? new Map<string, number[]>();
    if (byHost.size === 0) byDataset.set(dataset, byHost);
    const here = byHost.get(host);
    if (here) here.push(number);
    else byHost.set(host, [number]);
  }
  const places: Place[] = [];
  for (const [dataset, byHost] of byDataset) {
    for (const [host, backups] of byHost) places.push({ host, dataset, backups });
  }
  return places.sort((a, b) => compareText(a.dataset, b.dataset) || compareText(a.host, b.host));
}

/**
 * The place in which each goes on: under the name that the dataset has now, by its own GUIDs; or else where
 * an increment hangs on the newest snapshot here, here there is nothing newer, and there nothing older. Where
 * increments go on in several places (two hosts that were both restored from it) it goes on in none: each of
 * these is a dataset of its own.
 */
export function successorsOf(graph: Numbered, places: readonly Place[]): Map<Place, Place> {
  const ends = new Map(places.map((place) => [place, newestOf(graph, place)]));
  return withoutCircles(new Map([...byLinks(graph, places, ends), ...byNames(graph, places, ends)]));
}

/** The newest backup of each place. */
type Ends = ReadonlyMap<Place, number>;

function byLinks(graph: Numbered, places: readonly Place[], ends: Ends): Map<Place, Place> {
  const endsAt = new Map<number, Place[]>();
  for (const [place, end] of ends) {
    const ending = endsAt.get(graph.to[end] ?? -1);
    if (ending) ending.push(place);
    else endsAt.set(graph.to[end] ?? -1, [place]);
  }
  const next = new Map<Place, Set<Place>>();
  for (const there of places) {
    for (const number of there.backups) {
      const from = graph.from[number] ?? -1;
      for (const here of (from >= 0 && endsAt.get(from)) || []) {
        if (here !== there) next.set(here, (next.get(here) ?? new Set()).add(there));
      }
    }
  }
  const successors = new Map<Place, Place>();
  for (const [here, found] of next) {
    const [there] = found;
    const { created: end } = graph.edge(ends.get(here) ?? -1);
    const isAfter = (number: number) => graph.edge(number).created >= end;
    if (found.size === 1 && there?.backups.every(isAfter)) successors.set(here, there);
  }
  return successors;
}

/** Of datasets that had several names: the newest one, unless there is something older there that is not known to be of it. */
function byNames(graph: Numbered, places: readonly Place[], ends: Ends): Map<Place, Place> {
  const successors = new Map<Place, Place>();
  for (const [source, stays] of staysIn(graph, places)) {
    const there = placeNow(stays);
    if (!there) continue;
    for (const { place: here } of stays) {
      const end = graph.edge(ends.get(here) ?? -1);
      if (here === there || end.source !== source) continue;
      const isOfIt = (number: number) => {
        const edge = graph.edge(number);
        return edge.source === source || edge.created >= end.created;
      };
      if (there.backups.every(isOfIt)) successors.set(here, there);
    }
  }
  return successors;
}

/** Of datasets that were in several places, their backups there. */
function staysIn(graph: Numbered, places: readonly Place[]): Map<SourceId, Stay<Place>[]> {
  const found = new Map<SourceId, Stay<Place>[]>();
  for (const place of places) {
    for (const [source, stay] of staysAt(graph, place)) {
      const others = found.get(source);
      if (others) others.push(stay);
      else found.set(source, [stay]);
    }
  }
  for (const [source, stays] of found) if (stays.length === 1) found.delete(source);
  return found;
}

function staysAt(graph: Numbered, place: Place): Map<SourceId, Stay<Place>> {
  const stays = new Map<SourceId, GrowingStay>();
  let of: SourceId | null = null;
  let stay: GrowingStay | undefined;
  for (const number of place.backups) {
    const { source, created, backup } = graph.edge(number);
    if (source === null) continue;
    // Most that follow each other are of one dataset, which is seen sooner than looked up.
    if (source !== of) stay = stays.get(source);
    of = source;
    if (!stay) {
      stay = { place, newest: created, last: backup };
      stays.set(source, stay);
      continue;
    }
    if (created > stay.newest) stay.newest = created;
    if (backup > stay.last) stay.last = backup;
  }
  return stays;
}

/** While its backups are gone through. */
type GrowingStay = { -readonly [Key in keyof Stay<Place>]: Stay<Place>[Key] };

/** Places that are counted together, each list in the order of the places. */
export function joined(places: readonly Place[], successors: ReadonlyMap<Place, Place>): Place[][] {
  const last = (place: Place): Place => {
    let at = place;
    for (let next = successors.get(at); next; next = successors.get(at)) at = next;
    return at;
  };
  return [...Map.groupBy(places, last).values()];
}

function newestOf(graph: Numbered, { backups }: Place): number {
  return backups.reduce((best, number) => {
    const [edge, standing] = [graph.edge(number), graph.edge(best)];
    const later = edge.created - standing.created || compareText(edge.backup, standing.backup);
    return later > 0 ? number : best;
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
