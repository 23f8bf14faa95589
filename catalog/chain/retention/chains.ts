/** The chains of many backups at once. */
import { mayFollow } from '../flags.ts';
import type { ChainFlags } from '../graph.ts';
import { Heap } from '../heap.ts';
import { addBytes, compareText } from '../order.ts';
import type { RetentionEdge } from './edge.ts';
import type { Numbered } from './numbered.ts';

/** A way to a backup that was found. */
interface Found {
  readonly number: number;
  readonly cost: number;
  readonly steps: number;
}

/**
 * Which of several chains is meant: the one of the fewest stored bytes, or the one that was whole before
 * the others were, snapshot by snapshot.
 */
export type Preference = 'cheapest' | 'first';

/**
 * For each backup the best chain from nothing that ends with it, in arrays: the cheapest one is the one
 * that a restore takes, as `reachAll` finds it. Where there is none the backup is out of reach.
 */
export class Chains {
  readonly graph: Numbered;
  /** Of each backup where it stands in the order of their ids; only where the first chains are meant. */
  readonly #ranks: Int32Array | undefined;
  /** Of the chain to each backup its stored bytes, or how late its last backup came. */
  readonly #cost: Float64Array;
  readonly #steps: Int32Array;
  readonly #before: Int32Array;
  /** Of each snapshot the backup with which the best chain to it ends. */
  readonly #ends: Int32Array;

  /**
   * @param isWhole which of the backups a chain may pass.
   */
  constructor(
    graph: Numbered,
    isWhole: (edge: RetentionEdge) => boolean,
    preference: Preference = 'cheapest',
  ) {
    this.graph = graph;
    this.#ranks = preference === 'first' ? ranksOf(graph) : undefined;
    this.#cost = new Float64Array(graph.edges.length).fill(Number.POSITIVE_INFINITY);
    this.#steps = new Int32Array(graph.edges.length);
    this.#before = new Int32Array(graph.edges.length).fill(-1);
    this.#search(Uint8Array.from(graph.edges, (edge) => Number(isWhole(edge))));
    this.#ends = new Int32Array(graph.size).fill(-1);
    for (const [number, snapshot] of graph.to.entries()) {
      const standing = this.#ends[snapshot] ?? -1;
      if (this.steps(number) > 0 && (standing < 0 || this.#inOrder(number, standing) < 0)) {
        this.#ends[snapshot] = number;
      }
    }
  }

  /** The backup before this one in its chain; -1: it is the first one, or out of reach. */
  before(number: number): number {
    return this.#before[number] ?? -1;
  }

  /** How many backups a chain to this one has, itself included; 0: none leads there. */
  steps(number: number): number {
    return this.#steps[number] ?? 0;
  }

  /** The backup with which the best chain to a snapshot ends; -1: none leads there. */
  end(snapshot: number): number {
    return this.#ends[snapshot] ?? -1;
  }

  /** The same of the chains that a backup of these flags may follow. */
  endBefore(snapshot: number, next: ChainFlags): number {
    let best = -1;
    for (const number of this.graph.entering(snapshot)) {
      if (this.steps(number) === 0 || !mayFollow(this.graph.edge(number).flags, next)) continue;
      if (best < 0 || this.#inOrder(number, best) < 0) best = number;
    }
    return best;
  }

  /** All backups, those with the longest chains first: what hangs on a backup comes before it. */
  *longestFirst(): Generator<number> {
    const byLength: number[][] = [];
    for (const [number, steps] of this.#steps.entries()) {
      const same = byLength[steps];
      if (same) same.push(number);
      else byLength[steps] = [number];
    }
    for (let steps = byLength.length - 1; steps >= 0; steps--) yield* byLength[steps] ?? [];
  }

  /** Dijkstra's search, from nothing. The first time that a backup comes up its chain is the best one. */
  #search(whole: Uint8Array): void {
    const { graph } = this;
    const rank = (number: number) => this.#ranks?.[number] ?? 0;
    const queue = new Heap<Found>(
      (a, b) => a.cost - b.cost || a.steps - b.steps || rank(a.number) - rank(b.number),
    );
    for (const [number, from] of graph.from.entries()) {
      if (from < 0 && whole[number] === 1) this.#propose(queue, number, -1);
    }
    for (let found = queue.pop(); found; found = queue.pop()) {
      const { number, cost, steps } = found;
      if (cost !== this.#cost[number] || steps !== this.#steps[number]) continue;
      const { flags } = graph.edge(number);
      for (const next of graph.leaving(graph.to[number] ?? -1)) {
        if (whole[next] === 1 && mayFollow(flags, graph.edge(next).flags)) this.#propose(queue, next, number);
      }
    }
  }

  #propose(queue: Heap<Found>, number: number, before: number): void {
    const so = before < 0 ? 0 : (this.#cost[before] ?? 0);
    const mine = this.#ranks?.[number];
    // Of the first chains the first proposal is the best one: what is proposed later is whole later.
    if (mine !== undefined && this.steps(number) > 0) return;
    const cost = mine === undefined ? addBytes(so, this.graph.edge(number).stored) : Math.max(so, mine);
    const steps = this.steps(before) + 1;
    const order = cost - (this.#cost[number] ?? 0) || steps - this.steps(number);
    if (order > 0 || (order === 0 && this.#idOf(before) >= this.#idOf(this.before(number)))) return;
    this.#cost[number] = cost;
    this.#steps[number] = steps;
    this.#before[number] = before;
    if (order < 0) queue.push({ number, cost, steps });
  }

  /** As the index orders the chains to a snapshot. */
  #inOrder(a: number, b: number): number {
    return (
      (this.#cost[a] ?? 0) - (this.#cost[b] ?? 0) ||
      this.steps(a) - this.steps(b) ||
      compareText(this.#idOf(a), this.#idOf(b))
    );
  }

  #idOf(number: number): string {
    return number < 0 ? '' : this.graph.edge(number).backup;
  }
}

function ranksOf({ edges }: Numbered): Int32Array {
  const ranks = new Int32Array(edges.length);
  const sorted = [...edges.entries()].sort(([, a], [, b]) => compareText(a.backup, b.backup));
  for (const [rank, [number]] of sorted.entries()) ranks[number] = rank;
  return ranks;
}
