/** Which backups the wanted snapshots need. */
import type { BackupId, Guid } from '../../words.ts';
import type { ChainFlags } from '../graph.ts';
import { compareText } from '../order.ts';
import { Chains } from './chains.ts';
import type { Wanted } from './wanted.ts';

/** What must not go now, whoever wants it. */
export interface InUseFacts {
  /** Backups that are being read. */
  readonly backups: ReadonlySet<BackupId>;
  /** Snapshots on which backups are being made, with the flags of these. */
  readonly bases: readonly { readonly guid: Guid; readonly flags: ChainFlags }[];
}

export interface NeedsQuestion {
  readonly chains: Chains;
  /** The chains that were whole first; the same ones where there is but one to each snapshot. */
  readonly firsts: Chains;
  readonly wanted: Wanted;
  /** Chains pass over some of the backups, which are damaged. */
  readonly isDamaged: boolean;
  readonly inUse: InUseFacts;
}

/** What is needed, by the numbers of the backups. */
export class Needs {
  readonly #chains: Chains;
  /** Backups with which the chains of wanted snapshots end. */
  readonly #kept: Uint8Array;
  /** How many wanted snapshots hang on each, and the newest of them. */
  readonly #counts: Int32Array;
  readonly #examples: Int32Array;
  /** Backups that stay only as long as they are in use. */
  readonly inUse: ReadonlySet<number>;

  constructor(
    chains: Chains,
    kept: Uint8Array,
    hanging: { readonly counts: Int32Array; readonly examples: Int32Array },
    inUse: ReadonlySet<number>,
  ) {
    this.#chains = chains;
    this.#kept = kept;
    this.#counts = hanging.counts;
    this.#examples = hanging.examples;
    this.inUse = inUse;
  }

  /** A wanted snapshot's chain ends with it. */
  isKept(number: number): boolean {
    return this.#kept[number] === 1;
  }

  /** Wanted snapshots hang on it. */
  isNeeded(number: number): boolean {
    return (this.#counts[number] ?? 0) > 0;
  }

  /** How many, and one of them in words. */
  by(number: number): { count: number; example: string } | null {
    const count = this.#counts[number] ?? 0;
    const edge = this.#chains.graph.edges[this.#examples[number] ?? -1];
    return count > 0 && edge ? { count, example: `${edge.dataset}@${edge.name}` } : null;
  }
}

/**
 * For each wanted snapshot the chain that a restore takes, and the one that was there first: who may store
 * backups cannot make what is stored go by storing the same snapshot once more. One that cannot be restored
 * keeps all backups to it; and where that is so because of damage, the chains that there would be without the
 * damage.
 */
export function needsOf({ chains, firsts, wanted, isDamaged, inUse }: NeedsQuestion): Needs {
  const { graph } = chains;
  const several = firsts !== chains;
  const [kept, first] = [new Uint8Array(graph.edges.length), new Uint8Array(graph.edges.length)];
  const lost: number[] = [];
  for (const snapshot of wanted.snapshots()) {
    const end = chains.end(snapshot);
    if (end < 0) {
      lost.push(...graph.entering(snapshot));
      continue;
    }
    kept[end] = 1;
    first[firsts.end(snapshot)] = 1;
  }
  const hanging = count(chains, kept);
  if (several) addTo(hanging, chains, count(firsts, first));
  for (const [number, isFirst] of first.entries()) if (isFirst === 1) kept[number] = 1;
  for (const number of lost) kept[number] = 1;
  if (lost.length > 0 && isDamaged) {
    addMended(new Chains(graph, () => true), lost, hanging);
    if (several) addMended(new Chains(graph, () => true, 'first'), lost, hanging);
  }
  return new Needs(chains, kept, hanging, inUseOf(chains, inUse));
}

interface Hanging {
  readonly counts: Int32Array;
  readonly examples: Int32Array;
}

/** What hangs on a backup comes before it: so one pass counts. */
function count(chains: Chains, kept: Uint8Array): Hanging {
  const { length } = chains.graph.edges;
  const counts = new Int32Array(length);
  const examples = new Int32Array(length).fill(-1);
  for (const number of chains.longestFirst()) {
    const before = chains.before(number);
    if (before < 0) continue;
    const mine = kept[number] === 1 ? 1 : 0;
    counts[before] = (counts[before] ?? 0) + (counts[number] ?? 0) + mine;
    if (mine) offer(chains, examples, before, number);
    offer(chains, examples, before, examples[number] ?? -1);
  }
  return { counts, examples };
}

/** Of two examples the newer one stays. */
function offer({ graph }: Chains, examples: Int32Array, at: number, offered: number): void {
  const standing = graph.edges[examples[at] ?? -1];
  const edge = graph.edges[offered];
  if (!edge || edge === standing) return;
  const later = standing
    ? edge.created - standing.created || compareText(edge.backup, standing.backup)
    : Number.POSITIVE_INFINITY;
  if (later > 0) examples[at] = offered;
}

/** @param mended the chains that there would be without damage; the same numbers. */
function addMended(mended: Chains, lost: readonly number[], hanging: Hanging): void {
  const ends = new Uint8Array(mended.graph.edges.length);
  for (const number of lost) ends[number] = 1;
  addTo(hanging, mended, count(mended, ends));
}

/** What hangs on a backup by several chains is counted once, if it is the same by all of them. */
function addTo(hanging: Hanging, chains: Chains, { counts, examples }: Hanging): void {
  for (const [number, more] of counts.entries()) {
    hanging.counts[number] = Math.max(hanging.counts[number] ?? 0, more);
    offer(chains, hanging.examples, number, examples[number] ?? -1);
  }
}

/** Backups that are read, backups that others are being made on, and what those hang on. */
function inUseOf(chains: Chains, { backups, bases }: InUseFacts): Set<number> {
  const { graph } = chains;
  const found = new Set<number>();
  const add = (end: number) => {
    for (let number = end; number >= 0 && !found.has(number); number = chains.before(number)) {
      found.add(number);
    }
  };
  if (backups.size > 0) {
    for (const [number, { backup }] of graph.edges.entries()) if (backups.has(backup)) add(number);
  }
  for (const { guid, flags } of bases) add(chains.endBefore(graph.snapshot(guid), flags));
  return found;
}
