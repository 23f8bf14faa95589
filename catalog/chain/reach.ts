/**
 * From nothing to everywhere at once: for every backup the cheapest chain that
 * ends with it. Made so that a new backup costs only what it changes: the index
 * keeps the result and brings it up to date with each add.
 */
import type { BackupId, Guid } from '../words.ts';
import { mayFollow } from './flags.ts';
import type { BackupEdge } from './graph.ts';
import { Heap } from './heap.ts';
import { addBytes, compareText } from './order.ts';

/** What counts of a backup here. */
export type ReachEdge = Pick<BackupEdge, 'backup' | 'from' | 'to' | 'flags' | 'stored'>;

/** The cheapest chain from nothing that ends with a backup. */
export interface Reach {
  /** Stored bytes of all its backups. */
  readonly cost: number;
  readonly steps: number;
  /** The backup right before; `null`: the chain is this backup alone. */
  readonly before: BackupId | null;
}

/** A backup and the chain that stands for it; without one, no chain ends with it. */
export interface Reached {
  readonly edge: ReachEdge;
  readonly reach?: Reach | undefined;
}

/** What is there, the new backups among it. */
export interface ReachedGraph {
  /** The backups that lead to a snapshot. */
  readonly entering: (to: Guid) => Iterable<Reached>;
  /** The backups that start at a snapshot. */
  readonly leaving: (from: Guid) => Iterable<Reached>;
}

/**
 * What becomes reachable, or cheaper to reach, by new backups. Equal costs are
 * decided by fewer steps, then by the smaller id of the backup before, so that
 * the result does not depend on the order in which backups come.
 *
 * @returns the chains that are new or better than those standing, by the backup that they end with.
 * @example reachFrom(edges, graph) // of a graph without any chain yet: all of them
 */
export function reachFrom(edges: Iterable<ReachEdge>, graph: ReachedGraph): Map<BackupId, Reach> {
  const better = new Map<BackupId, Reach>();
  const queue = new Heap<Proposal>((a, b) => inOrder(a.reach, b.reach));

  const reachOf = ({ edge, reach }: Reached): Reach | undefined => better.get(edge.backup) ?? reach;
  const propose = (to: Reached, reach: Reach): void => {
    const standing = reachOf(to);
    if (standing && inOrder(standing, reach) <= 0) return;
    better.set(to.edge.backup, reach);
    queue.push({ edge: to.edge, reach });
  };

  for (const edge of edges) {
    if (edge.from === null) propose({ edge }, extend(undefined, edge));
    else {
      for (const before of graph.entering(edge.from)) {
        const reach = reachOf(before);
        if (reach && mayFollow(before.edge.flags, edge.flags))
          propose({ edge }, extend({ ...before, reach }, edge));
      }
    }
  }
  for (let best = queue.pop(); best; best = queue.pop()) {
    if (better.get(best.edge.backup) !== best.reach) continue;
    for (const next of graph.leaving(best.edge.to)) {
      if (mayFollow(best.edge.flags, next.edge.flags)) propose(next, extend(best, next.edge));
    }
  }
  return better;
}

/**
 * The same for backups of which no chain is known yet.
 *
 * @returns for each that a chain ends with, its chain.
 */
export function reachAll(edges: readonly ReachEdge[]): Map<BackupId, Reach> {
  const reached = edges.map((edge): Reached => ({ edge }));
  const byTo = Map.groupBy(reached, ({ edge }) => edge.to);
  const byFrom = Map.groupBy(reached, ({ edge }) => edge.from);
  const starts = edges.filter(({ from }) => from === null);
  return reachFrom(starts, {
    entering: (to) => byTo.get(to) ?? [],
    leaving: (from) => byFrom.get(from) ?? [],
  });
}

interface Proposal {
  readonly edge: ReachEdge;
  readonly reach: Reach;
}

function extend(before: Proposal | undefined, edge: ReachEdge): Reach {
  return {
    cost: addBytes(before?.reach.cost ?? 0, edge.stored),
    steps: (before?.reach.steps ?? 0) + 1,
    before: before?.edge.backup ?? null,
  };
}

function inOrder(a: Reach, b: Reach): number {
  return a.cost - b.cost || a.steps - b.steps || compareText(a.before ?? '', b.before ?? '');
}
