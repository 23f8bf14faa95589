/** The cheapest path of backups to a snapshot: Dijkstra's search, backwards over (snapshot, flags). */
import type { Guid } from '../words.ts';
import { mayFollow } from './flags.ts';
import type { BackupEdge } from './graph.ts';
import { Heap } from './heap.ts';
import { addBytes, compareText } from './order.ts';

/** The backups that lead to a snapshot, in the order of their ids; of one that is unknown, none. */
export type Entering<Edge extends BackupEdge> = (to: Guid) => readonly Edge[];

/** Backups by the snapshot that they lead to. */
export function enteringOf<Edge extends BackupEdge>(edges: Iterable<Edge>): Entering<Edge> {
  const byTo = new Map<Guid, Edge[]>();
  for (const edge of edges) {
    const entering = byTo.get(edge.to);
    if (entering) entering.push(edge);
    else byTo.set(edge.to, [edge]);
  }
  for (const entering of byTo.values()) entering.sort((a, b) => compareText(a.backup, b.backup));
  return (to) => byTo.get(to) ?? [];
}

/**
 * The cheapest path from one of `starts`, or from nothing when there are none.
 * A target is taken to hold a snapshot in any of the ways in which the repository
 * keeps it; of a snapshot that is only a base, nothing is known.
 *
 * @param keeping how the repository keeps snapshots, where a path may not take all of its backups.
 */
export function findPath<Edge extends BackupEdge>(
  entering: Entering<Edge>,
  wanted: Guid,
  starts: readonly Guid[],
  keeping: Entering<Edge> = entering,
): Edge[] | undefined {
  if (starts.length === 0) return cheapestPath({ wanted, entering, mayBegin: ({ from }) => from === null });
  const held = new Set(starts);
  if (held.has(wanted)) return [];
  const mayBegin = ({ from, flags }: Edge): boolean => {
    if (from === null || !held.has(from)) return false;
    const kept = keeping(from);
    return kept.length === 0 || kept.some((way) => mayFollow(way.flags, flags));
  };
  return cheapestPath({ wanted, entering, mayBegin });
}

/**
 * All that leads to a snapshot, itself included, whatever the flags: each with the snapshot after it.
 *
 * @param barred snapshots to stop at.
 */
export function walkBack(
  entering: Entering<BackupEdge>,
  wanted: Guid,
  barred: ReadonlySet<Guid> = new Set(),
): Map<Guid, Guid> {
  const next = new Map<Guid, Guid>([[wanted, wanted]]);
  for (const guid of next.keys()) {
    for (const { from } of entering(guid)) {
      if (from !== null && !next.has(from) && !barred.has(from)) next.set(from, guid);
    }
  }
  return next;
}

/** What is searched for. */
export interface PathSearch<Edge extends BackupEdge> {
  readonly wanted: Guid;
  readonly entering: Entering<Edge>;
  /** Whether a path may begin with this backup. */
  readonly mayBegin: (edge: Edge) => boolean;
  /** Whether a backup may come right before another one. */
  readonly mayJoin?: (before: Edge, next: Edge) => boolean;
}

/**
 * The path that costs the fewest stored bytes, then has the fewest steps, then
 * the smallest backup ids from its first step on. It asks for the backups
 * entering a snapshot only when it comes to it, so `entering` may read them
 * from a database; it ends on cycles, and reads each snapshot at most four times.
 *
 * @returns the backups in the order in which they are received, or `undefined`.
 */
export function cheapestPath<Edge extends BackupEdge>(search: PathSearch<Edge>): Edge[] | undefined {
  const { wanted, entering, mayBegin, mayJoin = joins } = search;
  const queue = new Heap<Leg<Edge>>(inOrder);
  const settled = new Set<string>();
  for (const edge of entering(wanted)) queue.push(legOf(edge, undefined));
  for (let leg = queue.pop(); leg; leg = queue.pop()) {
    const { edge } = leg;
    if (mayBegin(edge)) return stepsFrom(leg);
    if (edge.from === null || settled.has(stateOf(edge))) continue;
    settled.add(stateOf(edge));
    for (const before of entering(edge.from)) {
      if (mayJoin(before, edge)) queue.push(legOf(before, leg));
    }
  }
  return undefined;
}

/** A way from before `edge` to the wanted snapshot. */
interface Leg<Edge> {
  readonly edge: Edge;
  readonly next: Leg<Edge> | undefined;
  readonly cost: number;
  readonly steps: number;
}

function legOf<Edge extends BackupEdge>(edge: Edge, next: Leg<Edge> | undefined): Leg<Edge> {
  const cost = addBytes(edge.stored, next?.cost ?? 0);
  return { edge, next, cost, steps: (next?.steps ?? 0) + 1 };
}

/** Total, because two legs of one backup go on with different ones: their states differ in the flags. */
function inOrder<Edge extends BackupEdge>(a: Leg<Edge>, b: Leg<Edge>): number {
  return (
    a.cost - b.cost ||
    a.steps - b.steps ||
    compareText(a.edge.backup, b.edge.backup) ||
    compareText(a.next?.edge.backup ?? '', b.next?.edge.backup ?? '')
  );
}

/** What decides how a path may go on backwards from before this backup. */
function stateOf({ from, flags }: BackupEdge): string {
  return `${from} ${flags.raw} ${flags.large_blocks}`;
}

function joins(before: BackupEdge, next: BackupEdge): boolean {
  return mayFollow(before.flags, next.flags);
}

function stepsFrom<Edge>(leg: Leg<Edge>): Edge[] {
  const steps: Edge[] = [];
  for (let at: Leg<Edge> | undefined = leg; at; at = at.next) steps.push(at.edge);
  return steps;
}
