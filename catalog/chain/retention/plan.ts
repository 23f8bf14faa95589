/** What becomes of each backup: the plan that prune acts on, and that the simulator shows. */
import { hash } from 'node:crypto';
import type { BackupId, Digest, Guid } from '../../words.ts';
import { addBytes, compareText } from '../order.ts';
import { Chains } from './chains.ts';
import type { RetentionEdge } from './edge.ts';
import { type InUseFacts, type Needs, needsOf } from './needs.ts';
import { Numbered } from './numbered.ts';
import type { Periods } from './periods.ts';
import { joined, type Place, placesOf, successorsOf } from './places.ts';
import type { Policy } from './policy.ts';
import { type Because, ReadyPolicy } from './rules.ts';
import { type PinnedSnapshot, Wanted, wantBy, wantPinned } from './wanted.ts';

/** The question to {@link planRetention}. */
export interface RetentionQuestion {
  /** All backups of the lineages and datasets that are asked about, in any order. */
  readonly edges: Iterable<RetentionEdge>;
  readonly policies: readonly Policy[];
  readonly pins: readonly PinnedSnapshot[];
  /** Backups that are marked, since when (milliseconds since 1970). */
  readonly marks: readonly { readonly backup: BackupId; readonly at: number }[];
  /** Backups that no chain may pass. */
  readonly damaged: ReadonlySet<BackupId>;
  readonly inUse: InUseFacts;
  /** Milliseconds since 1970, and how long what is marked stays. */
  readonly now: number;
  readonly grace: number;
  /** Only these may be removed now: what they hang on stays as long as others do. Absent: all. */
  readonly mayGo?: (edge: RetentionEdge) => boolean;
}

export type Fate = 'kept' | 'needed' | 'in-use' | 'marked' | 'mark' | 'unmark' | 'remove';

/** What becomes of one backup (the shape of `PruneRow` in the protocol). */
export interface RetentionRow {
  readonly backup: BackupId;
  readonly host: string;
  readonly dataset: string;
  readonly name: string;
  readonly from: Guid | null;
  readonly to: Guid;
  readonly created: number;
  readonly stored: number;
  readonly fate: Fate;
  readonly because: Because[];
  readonly needed_by: { readonly count: number; readonly example: string } | null;
  readonly until: string | null;
}

/** A row, and how many backups the chain to it has; 0: it is out of reach. */
export interface PlannedRow extends RetentionRow {
  readonly steps: number;
}

/**
 * Plans, by the rules in CHAIN.md. The plan depends on what is asked, not on its order.
 *
 * @returns a row for each backup: dataset by dataset, host by host, the newest snapshot first.
 * @throws {RangeError} when a policy's zone is none.
 * @example planRetention({ edges, policies, pins: [], marks: [], damaged: new Set(), inUse, now, grace })
 */
export function planRetention(question: RetentionQuestion): PlannedRow[] {
  const { marks, now, grace, damaged } = question;
  const graph = new Numbered([...question.edges]);
  const places = placesOf(graph);
  const isWhole = ({ backup }: RetentionEdge) => !damaged.has(backup);
  const chains = new Chains(graph, isWhole);
  const firsts = graph.hasParallels ? new Chains(graph, isWhole, 'first') : chains;
  const { wanted, needs } = decide(question, places, { chains, firsts });
  const marked = new Map(marks.map(({ backup, at }) => [backup, at + grace]));
  const until = graph.edges.map(({ backup }) => marked.get(backup));
  const latest = now + AHEAD + grace;
  const fates = until.map((ends, number) => {
    const fate = fateOf(needs, number, { ends, now, latest });
    return fate === 'remove' && question.mayGo?.(graph.edge(number)) === false ? 'marked' : fate;
  });
  for (const [number, fate] of fates.entries()) if (fate === 'mark') until[number] = undefined;
  waitForOthers(chains, fates, until);
  return rowsOf(places, chains, { wanted, needs, fates, until });
}

/**
 * The order in which backups go, so that after each step what is still there can be restored as before:
 * those in one part may go at once.
 */
export function inSteps<Row extends Pick<PlannedRow, 'steps'>>(rows: Iterable<Row>): Row[][] {
  const parts = [...Map.groupBy(rows, ({ steps }) => steps)];
  const rank = (steps: number) => (steps === 0 ? Number.POSITIVE_INFINITY : steps);
  return parts.sort(([a], [b]) => (a === b ? 0 : rank(b) - rank(a))).map(([, part]) => part);
}

/** Counts and stored bytes by fate. */
export function totalsOf(rows: Iterable<RetentionRow>): Record<string, { backups: number; stored: number }> {
  const totals: Record<string, { backups: number; stored: number }> = {};
  for (const { fate, stored } of rows) {
    totals[fate] ??= { backups: 0, stored: 0 };
    totals[fate].backups += 1;
    totals[fate].stored = addBytes(totals[fate].stored, stored);
  }
  return totals;
}

/** Digest of what will be done: of the backups that are marked, unmarked and removed. */
export function digestOf(rows: Iterable<RetentionRow>): Digest {
  const acts: string[] = [];
  for (const { fate, backup } of rows) {
    if (fate === 'mark' || fate === 'unmark' || fate === 'remove') acts.push(`${backup} ${fate}\n`);
  }
  return hash('sha256', acts.sort().join('')) as Digest;
}

/** Most rounds of {@link decide}: each sees something stay or go that the one before did not. */
const MOST_ROUNDS = 20;

/**
 * Decides what is wanted and needed. When backups go, datasets may come to be counted together that
 * were not before: then it is decided again, with what is left, until that is what stays. So a plan
 * that was acted on leaves nothing to do.
 */
function decide(
  question: RetentionQuestion,
  places: readonly Place[],
  { chains, firsts }: { readonly chains: Chains; readonly firsts: Chains },
): { wanted: Wanted; needs: Needs } {
  const { now, inUse, pins } = question;
  const zones = new Map<string, Periods>();
  const policies = question.policies
    .toSorted((a, b) => compareText(a.name, b.name))
    .map((policy) => new ReadyPolicy(policy, zones));
  const isDamaged = question.damaged.size > 0;
  let left = new Uint8Array(chains.graph.edges.length).fill(1);
  for (let round = 1; ; round++) {
    const there = placesWith(places, left);
    const wanted = new Wanted();
    for (const together of joined(there, successorsOf(chains.graph, there))) {
      wantBy(policies, together, chains, now, wanted);
    }
    wantPinned(pins, chains, now, wanted);
    const needs = needsOf({ chains, firsts, wanted, isDamaged, inUse });
    // What an earlier round let go may be the best way to what this one wants.
    const stays = left.map((_, number) => Number(isStaying(needs, number)));
    if (Buffer.compare(stays, left) === 0 || round === MOST_ROUNDS) return { wanted, needs };
    left = stays;
  }
}

function isStaying(needs: Needs, number: number): boolean {
  return needs.isKept(number) || needs.isNeeded(number) || needs.inUse.has(number);
}

/** The places with those of their backups that are left. */
function placesWith(places: readonly Place[], left: Uint8Array): Place[] {
  return places.flatMap((place) => {
    const backups = place.backups.filter((number) => left[number] === 1);
    return backups.length > 0 ? { ...place, backups } : [];
  });
}

/** A mark that is so much of a time to come, milliseconds, was set by a clock that was wrong: it is set anew. */
const AHEAD = 86_400_000;

interface Moments {
  /** When its grace is over; `undefined`: it is not marked. */
  readonly ends: number | undefined;
  readonly now: number;
  /** When the grace of what is marked now may be over at the latest. */
  readonly latest: number;
}

function fateOf(needs: Needs, number: number, { ends, now, latest }: Moments): Fate {
  const kept = needs.isKept(number);
  if (kept || needs.isNeeded(number)) return ends !== undefined ? 'unmark' : kept ? 'kept' : 'needed';
  if (needs.inUse.has(number)) return 'in-use';
  if (ends === undefined || ends > latest) return 'mark';
  return ends <= now ? 'remove' : 'marked';
}

/**
 * As long as a backup is there, its snapshot is as restorable as it was: what its chain hangs on goes with
 * it or after it, and so does the chain to a snapshot that a backup out of reach leads to as well.
 *
 * @param until when the grace of each is over: that of what it waits for.
 */
function waitForOthers(chains: Chains, fates: Fate[], until: (number | undefined)[]): void {
  const wait = (number: number, other: number): void => {
    if (number < 0 || fates[other] === 'remove') return;
    const [mine, its] = [until[number], until[other]];
    if (fates[number] === 'remove') fates[number] = 'marked';
    if (fates[number] === 'marked' && mine !== undefined && its !== undefined && mine < its) {
      until[number] = its;
    }
  };
  for (const [number, snapshot] of chains.graph.to.entries()) {
    if (chains.steps(number) === 0) wait(chains.end(snapshot), number);
  }
  for (const number of chains.longestFirst()) wait(chains.before(number), number);
}

interface Decided {
  readonly wanted: Wanted;
  readonly needs: Needs;
  readonly fates: readonly Fate[];
  readonly until: readonly (number | undefined)[];
}

function rowsOf(places: readonly Place[], chains: Chains, decided: Decided): PlannedRow[] {
  const { graph } = chains;
  const newestFirst = (one: number, other: number) => {
    const [a, b] = [graph.edge(one), graph.edge(other)];
    return b.created - a.created || compareText(b.backup, a.backup);
  };
  return places.flatMap(({ backups }) =>
    backups.toSorted(newestFirst).map((number) => rowOf(chains, number, decided)),
  );
}

function rowOf(chains: Chains, number: number, { wanted, needs, fates, until }: Decided): PlannedRow {
  const { graph } = chains;
  const { backup, host, dataset, name, from, to, created, stored } = graph.edge(number);
  const isKept = needs.isKept(number);
  const ends = until[number];
  return {
    backup,
    host,
    dataset,
    name,
    from,
    to,
    created,
    stored,
    fate: fates[number] ?? 'kept',
    because: isKept ? wanted.because(graph.to[number] ?? -1) : [],
    needed_by: isKept ? null : needs.by(number),
    until: ends === undefined ? null : new Date(ends).toISOString(),
    steps: chains.steps(number),
  };
}
