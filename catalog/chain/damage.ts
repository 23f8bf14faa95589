/** What damage costs: which snapshots no whole chain leads to any more, and because of which backup. */
import type { BackupId, Guid } from '../words.ts';
import { mayFollow } from './flags.ts';
import { compareText } from './order.ts';
import { type ReachEdge, reachAll } from './reach.ts';

/** What one damaged backup costs. */
export interface DamageCost {
  /** Snapshots that could be restored if it were whole, in the order of their GUIDs; of several damaged ones in a row each has them. */
  readonly lost: readonly Guid[];
  /** Another chain, of whole backups, leads wherever it led: nothing is lost because of it. */
  readonly repaired: boolean;
}

/** What {@link costOfDamage} finds. */
export interface DamageCosts {
  /** Of a backup that is damaged and among the edges; found when it is asked for, and not kept. */
  readonly costOf: (backup: BackupId) => DamageCost | undefined;
  /** Snapshots that a chain of whole backups leads to. */
  readonly restorable: ReadonlySet<Guid>;
}

/**
 * What is lost by damaged backups, which no restore reads. A snapshot is lost because of the last
 * damaged backups on the ways to it: those after which nothing but the way itself is missing.
 * One that no chain led to anyhow is not lost by damage.
 *
 * @param edges all backups of at least one lineage, the damaged ones among them.
 * @example costOfDamage([full, increment], new Set([full.backup])).costOf(full.backup)?.lost
 */
export function costOfDamage(edges: readonly ReachEdge[], damaged: ReadonlySet<BackupId>): DamageCosts {
  const whole = edges.filter(({ backup }) => !damaged.has(backup));
  const chains = reachAll(whole);
  const reached = whole.filter(({ backup }) => chains.has(backup));
  const restorable = new Set(reached.map(({ to }) => to));
  const once = reachAll(edges);
  const led = new Set(edges.filter(({ backup }) => once.has(backup)).map(({ to }) => to));
  const graph: BrokenGraph = {
    entering: Map.groupBy(reached, ({ to }) => to),
    leaving: Map.groupBy(edges, ({ from }) => from),
  };
  const broken = new Map(
    edges.filter(({ backup }) => damaged.has(backup)).map((edge) => [edge.backup, edge]),
  );
  const costOf = (backup: BackupId): DamageCost | undefined => {
    const edge = broken.get(backup);
    if (!edge) return undefined;
    const lost = once.has(backup)
      ? [...behind(edge, graph)].filter((guid) => led.has(guid) && !restorable.has(guid)).sort(compareText)
      : [];
    return { lost, repaired: lost.length === 0 && restorable.has(edge.to) };
  };
  return { costOf, restorable };
}

interface BrokenGraph {
  /** Backups that chains of whole ones end with, by their snapshot. */
  readonly entering: ReadonlyMap<Guid, readonly ReachEdge[]>;
  readonly leaving: ReadonlyMap<Guid | null, readonly ReachEdge[]>;
}

/** The snapshots behind a backup as far as nothing whole leads in again. */
function behind(edge: ReachEdge, { entering, leaving }: BrokenGraph): Set<Guid> {
  const passed = new Set<ReachEdge>([edge]);
  for (const before of passed) {
    for (const next of leaving.get(before.to) ?? []) {
      if (passed.has(next) || !mayFollow(before.flags, next.flags)) continue;
      const ways = entering.get(before.to) ?? [];
      if (!ways.some(({ flags }) => mayFollow(flags, next.flags))) passed.add(next);
    }
  }
  return new Set([...passed].map(({ to }) => to));
}
