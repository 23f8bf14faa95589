/** Backups and snapshots as numbers, so that questions over a hundred thousand of them are answered at once. */
import type { Guid } from '../../words.ts';
import type { RetentionEdge } from './edge.ts';

/** Backups numbered from 0 in the order in which they are given, and the snapshots that they name. */
export class Numbered {
  readonly edges: readonly RetentionEdge[];
  /** Of each backup the snapshot that it leads to, and its base; -1: it is full. */
  readonly to: Int32Array;
  readonly from: Int32Array;
  readonly #snapshots = new Map<Guid, number>();
  /** Of each snapshot the last backup that leads to it or starts at it, of each backup the one before it there. */
  readonly #entering: Links;
  readonly #leaving: Links;

  constructor(edges: readonly RetentionEdge[]) {
    this.edges = edges;
    this.to = Int32Array.from(edges, ({ to }) => this.#number(to));
    this.from = Int32Array.from(edges, ({ from }) => (from === null ? -1 : this.#number(from)));
    this.#entering = new Links(this.to, this.#snapshots.size);
    this.#leaving = new Links(this.from, this.#snapshots.size);
  }

  /** How many snapshots there are. */
  get size(): number {
    return this.#snapshots.size;
  }

  /** Whether several backups lead to some snapshot: where none do, there is one chain to each at most. */
  get hasParallels(): boolean {
    return new Set(this.to).size < this.to.length;
  }

  /** The number of a snapshot; -1: no backup names it. */
  snapshot(guid: Guid): number {
    return this.#snapshots.get(guid) ?? -1;
  }

  /** The backups that lead to a snapshot. */
  entering(snapshot: number): Iterable<number> {
    return this.#entering.of(snapshot);
  }

  /** The backups that start at a snapshot. */
  leaving(snapshot: number): Iterable<number> {
    return this.#leaving.of(snapshot);
  }

  /** A backup of this number. */
  edge(number: number): RetentionEdge {
    const edge = this.edges[number];
    if (!edge) throw new RangeError(`there is no backup ${number}`);
    return edge;
  }

  #number(guid: Guid): number {
    const known = this.#snapshots.get(guid);
    if (known !== undefined) return known;
    this.#snapshots.set(guid, this.#snapshots.size);
    return this.#snapshots.size - 1;
  }
}

/** Lists of backups by snapshot, linked through two arrays. */
class Links {
  readonly #last: Int32Array;
  readonly #before: Int32Array;

  /** @param ends of each backup the snapshot in whose list it is; -1: in none. */
  constructor(ends: Int32Array, snapshots: number) {
    this.#last = new Int32Array(snapshots).fill(-1);
    this.#before = new Int32Array(ends.length).fill(-1);
    for (const [number, snapshot] of ends.entries()) {
      if (snapshot < 0) continue;
      this.#before[number] = this.#last[snapshot] ?? -1;
      this.#last[snapshot] = number;
    }
  }

  of(snapshot: number): number[] {
    const found: number[] = [];
    for (let at = this.#last[snapshot] ?? -1; at >= 0; at = this.#before[at] ?? -1) found.push(at);
    return found;
  }
}
