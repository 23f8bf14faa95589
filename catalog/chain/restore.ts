/** The restore plan: what must be received, in order, to stand at the wanted snapshot. */
import type { ZkeepError } from '../errors.ts';
import type { Guid } from '../words.ts';
import type { BackupEdge } from './graph.ts';
import { type NamedSnapshot, type NameSource, nameSource } from './names.ts';
import { addBytes } from './order.ts';
import { type Entering, enteringOf, findPath } from './path.ts';
import { whyNoPath } from './reason.ts';

/** The question to {@link planRestore}. */
export interface RestoreQuestion<Edge extends BackupEdge> {
  /** At least all backups that lead to the wanted snapshot: as a list, or by the snapshot that they lead to. */
  readonly edges: Iterable<Edge> | Entering<Edge>;
  readonly wanted: Guid;
  /** Snapshots of the target, the newest first; empty: a fresh target. */
  readonly have: readonly Guid[];
  /** The target may be rolled back to one of `have` that is not its newest, when there is no other way. */
  readonly rollback: boolean;
  /** What is known to be damaged: no path leads over it. Absent: nothing. */
  readonly isDamaged?: (edge: Edge) => boolean;
  /** Names for the words of a reason. Those that are restorable may be proposed as the start of a missing backup. */
  readonly nodes?: Iterable<NamedSnapshot> | NameSource;
}

/** The way to the wanted snapshot. */
export interface RestorePath<Edge extends BackupEdge> {
  /** The snapshot that the target must stand at before; `null`: nothing there yet. */
  readonly base: Guid | null;
  /** The target has snapshots newer than `base` that must go first. */
  readonly rollback: boolean;
  /** In the order in which they are received; empty when the target stands there already. */
  readonly steps: readonly Edge[];
  /** Raw and stored bytes of all steps. */
  readonly bytes: number;
  readonly stored: number;
}

/** A path, or why there is none. */
export type RestoreAnswer<Edge extends BackupEdge> =
  | { readonly possible: true; readonly path: RestorePath<Edge> }
  | { readonly possible: false; readonly reason: ZkeepError };

/**
 * Plans a restore: the path that fetches the fewest stored bytes, by the rules
 * in CHAIN.md. Never throws; a reason is `refused`, `missing` or `damaged`.
 *
 * @example planRestore({ edges, wanted, have: [], rollback: false })
 */
export function planRestore<Edge extends BackupEdge>(question: RestoreQuestion<Edge>): RestoreAnswer<Edge> {
  const { edges, wanted, have, rollback, isDamaged } = question;
  const entering = typeof edges === 'function' ? edges : enteringOf(edges);
  let isBroken = false;
  const whole = (to: Guid): readonly Edge[] => {
    const all = entering(to);
    if (!isDamaged || !all.some(isDamaged)) return all;
    isBroken = true;
    return all.filter((edge) => !isDamaged(edge));
  };
  const [newest] = have;
  const found = findPath(whole, wanted, have.slice(0, 1), entering);
  if (found) return { possible: true, path: pathOf(found, newest ?? null, false) };
  const rolled = have.length > 1 ? findPath(whole, wanted, have, entering) : undefined;
  if (rolled && rollback) return { possible: true, path: pathOf(rolled, wanted, true) };
  const { nodes = [] } = question;
  const names = 'until' in nodes ? nodes : nameSource(nodes);
  const impasse = { entering, whole, wanted, have, names, rolled };
  // Where no damage was met on the way, none is the reason.
  const broken = () => (isBroken && isDamaged ? brokenPath(impasse).filter(isDamaged) : []);
  return { possible: false, reason: whyNoPath(impasse, broken) };
}

/** The path that there would be if all were whole. */
function brokenPath<Edge extends BackupEdge>({
  entering,
  wanted,
  have,
}: {
  entering: Entering<Edge>;
  wanted: Guid;
  have: readonly Guid[];
}): Edge[] {
  return findPath(entering, wanted, have.slice(0, 1)) ?? findPath(entering, wanted, []) ?? [];
}

/** @param standing where the target stands when there is nothing to receive. */
function pathOf<Edge extends BackupEdge>(
  steps: Edge[],
  standing: Guid | null,
  rollback: boolean,
): RestorePath<Edge> {
  const [first] = steps;
  return {
    base: first ? first.from : standing,
    rollback,
    steps,
    bytes: steps.reduce((sum, { bytes }) => addBytes(sum, bytes), 0),
    stored: steps.reduce((sum, { stored }) => addBytes(sum, stored), 0),
  };
}
