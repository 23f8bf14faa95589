/** Lineages: which snapshots hang together by backups. */
import type { BackupId, Guid, LineageId } from '../words.ts';
import type { BackupEdge } from './graph.ts';
import { compareText } from './order.ts';

/**
 * The lineage of every snapshot that a backup names: the connected set that it
 * is in, whose id is the smallest backup id in it.
 *
 * @example lineagesOf([{ backup, from: a, to: b }]) // Map { a => backup, b => backup }
 */
export function lineagesOf(
  edges: Iterable<Pick<BackupEdge, 'backup' | 'from' | 'to'>>,
): Map<Guid, LineageId> {
  const sets = new Map<Guid, Member>();
  for (const { backup, from, to } of edges) {
    let set = rootOf(memberOf(sets, to, backup));
    if (from !== null) set = join(set, rootOf(memberOf(sets, from, backup)));
    if (compareText(backup, set.smallest) < 0) set.smallest = backup;
  }
  return new Map([...sets].map(([guid, member]) => [guid, lineageOf(rootOf(member))]));
}

/** A snapshot in a union-find forest. */
interface Member {
  parent: Member | undefined;
  size: number;
  /** Smallest backup id below it; true of a root. */
  smallest: BackupId;
}

function memberOf(sets: Map<Guid, Member>, guid: Guid, backup: BackupId): Member {
  const member = sets.get(guid) ?? { parent: undefined, size: 1, smallest: backup };
  sets.set(guid, member);
  return member;
}

function rootOf(member: Member): Member {
  while (member.parent) {
    if (member.parent.parent) member.parent = member.parent.parent;
    member = member.parent;
  }
  return member;
}

function join(a: Member, b: Member): Member {
  if (a === b) return a;
  const [small, large] = a.size < b.size ? [a, b] : [b, a];
  small.parent = large;
  large.size += small.size;
  if (compareText(small.smallest, large.smallest) < 0) large.smallest = small.smallest;
  return large;
}

function lineageOf({ smallest }: Member): LineageId {
  const id: string = smallest;
  return id as LineageId;
}
