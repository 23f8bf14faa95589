/** The chains of many backups at once, numbered, for questions over all of them. */
import type { BackupId, Guid } from '../../words.ts';
import { mayFollow } from '../flags.ts';
import type { ChainFlags } from '../graph.ts';
import { compareText } from '../order.ts';
import { type Reach, reachAll } from '../reach.ts';
import type { RetentionEdge } from './edge.ts';

/**
 * For each of some backups the cheapest chain from nothing that ends with it: the one that a restore takes.
 * Where there is none the backup is out of reach.
 */
export class Chains {
  readonly edges: readonly RetentionEdge[];
  readonly #numbers: ReadonlyMap<BackupId, number>;
  readonly #reaches: ReadonlyMap<BackupId, Reach>;
  readonly #entering: ReadonlyMap<Guid, readonly RetentionEdge[]>;
  /** Of each backup the number of the one before it in its chain, -1: none. */
  readonly #before: Int32Array;

  /**
   * @param isWhole which of them a chain may pass.
   */
  constructor(edges: readonly RetentionEdge[], isWhole: (edge: RetentionEdge) => boolean) {
    this.edges = edges;
    this.#numbers = new Map(edges.map(({ backup }, number) => [backup, number]));
    this.#reaches = reachAll(edges.filter(isWhole));
    this.#entering = Map.groupBy(edges, ({ to }) => to);
    this.#before = Int32Array.from(edges, ({ backup }) => {
      const before = this.#reaches.get(backup)?.before;
      return before ? (this.#numbers.get(before) ?? -1) : -1;
    });
  }

  numberOf(backup: BackupId): number | undefined {
    return this.#numbers.get(backup);
  }

  /** The number of the backup before the one of this number in its chain; -1: it is the first one, or out of reach. */
  before(number: number): number {
    return this.#before[number] ?? -1;
  }

  /** The numbers of all backups that lead to a snapshot. */
  entering(guid: Guid): number[] {
    return (this.#entering.get(guid) ?? []).flatMap(({ backup }) => this.#numbers.get(backup) ?? []);
  }

  /**
   * The number of the backup with which the cheapest chain to a snapshot ends; -1: none leads there.
   *
   * @param next what must be able to follow.
   */
  end(guid: Guid, next?: ChainFlags): number {
    let best: { readonly edge: RetentionEdge; readonly reach: Reach } | undefined;
    for (const edge of this.#entering.get(guid) ?? []) {
      const reach = this.#reaches.get(edge.backup);
      if (!reach || (next && !mayFollow(edge.flags, next))) continue;
      if (!best || inOrder({ edge, reach }, best) < 0) best = { edge, reach };
    }
    return best ? (this.#numbers.get(best.edge.backup) ?? -1) : -1;
  }

  /** How many backups a chain to this one has, itself included; 0: none leads there. */
  steps(number: number): number {
    const edge = this.edges[number];
    return (edge && this.#reaches.get(edge.backup)?.steps) ?? 0;
  }

  /** All numbers, those with the longest chains first: what hangs on a backup comes before it. */
  *longestFirst(): Generator<number> {
    const byLength: number[][] = [];
    for (let number = 0; number < this.edges.length; number++) {
      const steps = this.steps(number);
      const same = byLength[steps];
      if (same) same.push(number);
      else byLength[steps] = [number];
    }
    for (let steps = byLength.length - 1; steps >= 0; steps--) yield* byLength[steps] ?? [];
  }
}

type Ended = { readonly edge: RetentionEdge; readonly reach: Reach };

/** As the index orders the chains to a snapshot. */
function inOrder(a: Ended, b: Ended): number {
  return (
    a.reach.cost - b.reach.cost || a.reach.steps - b.reach.steps || compareText(a.edge.backup, b.edge.backup)
  );
}
