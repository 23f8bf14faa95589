/**
 * From nothing to every snapshot at once: the cheapest chain for each kind of
 * flags that a chain may end with. Made so that a new backup costs only what it
 * changes: the index keeps the result and brings it up to date with each add.
 */
import type { BackupId, Guid } from '../words.ts';
import { mayFollow } from './flags.ts';
import type { BackupEdge, ChainFlags } from './graph.ts';
import { Heap } from './heap.ts';
import { addBytes, compareText } from './order.ts';

/** The cheapest chain from nothing to a snapshot, of all whose last backup has these flags. */
export interface Reach {
  readonly guid: Guid;
  readonly flags: ChainFlags;
  /** Stored bytes of all its backups. */
  readonly cost: number;
  readonly steps: number;
  /** Its last backup. */
  readonly backup: BackupId;
  /** The flags of the backup before it; `null`: it is the first. */
  readonly before: ChainFlags | null;
}

/** What is there already, as {@link reachFrom} looks it up. */
export interface Reached {
  /** The backups that start at a snapshot, the new ones among them. */
  readonly leaving: (from: Guid) => Iterable<BackupEdge>;
  /** The cheapest chains to a snapshot, as they were without the new backups. */
  readonly standing: (guid: Guid) => Iterable<Reach>;
}

/**
 * What becomes reachable, or cheaper to reach, by new backups. Equal costs are
 * decided by fewer steps, then by the smaller id of the last backup, so that the
 * result does not depend on the order in which backups come.
 *
 * @returns the chains that are new or better than those standing, the cheapest first.
 * @example reachFrom(edges, { leaving, standing: () => [] }) // all of a lineage
 */
export function reachFrom(edges: Iterable<BackupEdge>, { leaving, standing }: Reached): Reach[] {
  const known = new Map<Guid, Map<string, Reach>>();
  const queue = new Heap<Reach>(inOrder);
  const better: Reach[] = [];

  const chainsTo = (guid: Guid): Map<string, Reach> => {
    const found = known.get(guid) ?? new Map([...standing(guid)].map((reach) => [keyOf(reach.flags), reach]));
    known.set(guid, found);
    return found;
  };
  const propose = (reach: Reach): void => {
    const chains = chainsTo(reach.guid);
    const standing = chains.get(keyOf(reach.flags));
    if (standing && inOrder(standing, reach) <= 0) return;
    chains.set(keyOf(reach.flags), reach);
    queue.push(reach);
  };

  for (const edge of edges) {
    if (edge.from === null) propose(extend(undefined, edge));
    else for (const reach of chainsTo(edge.from).values()) proposeNext(reach, edge, propose);
  }
  for (let reach = queue.pop(); reach; reach = queue.pop()) {
    if (chainsTo(reach.guid).get(keyOf(reach.flags)) !== reach) continue;
    better.push(reach);
    for (const edge of leaving(reach.guid)) proposeNext(reach, edge, propose);
  }
  return better;
}

function proposeNext(reach: Reach, edge: BackupEdge, propose: (reach: Reach) => void): void {
  if (mayFollow(reach.flags, edge.flags)) propose(extend(reach, edge));
}

function extend(reach: Reach | undefined, { to, flags, stored, backup }: BackupEdge): Reach {
  return {
    guid: to,
    flags,
    cost: addBytes(reach?.cost ?? 0, stored),
    steps: (reach?.steps ?? 0) + 1,
    backup,
    before: reach?.flags ?? null,
  };
}

/** Total over the chains to one snapshot: of one last backup they differ in what stands before it. */
function inOrder(a: Reach, b: Reach): number {
  return (
    a.cost - b.cost ||
    a.steps - b.steps ||
    compareText(a.backup, b.backup) ||
    compareText(keyOf(a.before), keyOf(b.before))
  );
}

function keyOf(flags: ChainFlags | null): string {
  return flags ? `${flags.raw} ${flags.large_blocks}` : '';
}
