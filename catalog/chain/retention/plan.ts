/** What becomes of each backup: the plan that prune acts on, and that the simulator shows. */
import { hash } from 'node:crypto';
import type { BackupId, Digest, Guid } from '../../words.ts';
import { addBytes, compareText } from '../order.ts';
import { Chains } from './chains.ts';
import type { RetentionEdge } from './edge.ts';
import { type InUseFacts, type Needs, needsOf } from './needs.ts';
import type { Periods } from './periods.ts';
import { joined, type Place, placesOf, successorsOf } from './places.ts';
import type { Policy } from './policy.ts';
import { type Because, ReadyPolicy } from './rules.ts';
import { type PinnedSnapshot, type Wanted, wantedOf, wantPinned } from './wanted.ts';

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

/** A row, and how many backups its chain has: of those that go, the longest chain goes first. */
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
  const places = placesOf(question.edges);
  const edges = places.flatMap((place) => place.edges);
  const chains = new Chains(edges, ({ backup }) => !damaged.has(backup));
  const { wanted, needs } = decide(question, places, chains);
  const marked = new Map(marks.map(({ backup, at }) => [backup, at + grace]));
  const fates = edges.map(({ backup }, number) =>
    fateOf(needs, number, { until: marked.get(backup), now, isInUse: needs.inUse.has(number) }),
  );
  const until = edges.map(({ backup }) => marked.get(backup));
  waitForOthers(chains, fates, until);
  return rowsOf(places, chains, { wanted, needs, fates, until });
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

/** Most rounds of {@link decide}: each lets something go that the one before kept. */
const MOST_ROUNDS = 20;

/**
 * Decides what is wanted and needed. When backups go, datasets may come to be counted together that
 * were not before: then it is decided again, with what is left, until nothing more goes. So a plan
 * that was acted on leaves nothing to do.
 */
function decide(
  question: RetentionQuestion,
  places: readonly Place[],
  chains: Chains,
): { wanted: Wanted; needs: Needs } {
  const { now, damaged, inUse, pins } = question;
  const zones = new Map<string, Periods>();
  const policies = question.policies
    .toSorted((a, b) => compareText(a.name, b.name))
    .map((policy) => new ReadyPolicy(policy, zones));
  const isRestorable = (guid: Guid) => chains.end(guid) >= 0;
  let left = places;
  for (let round = 1; ; round++) {
    const wanted: Wanted = new Map();
    for (const together of joined(left, successorsOf(left))) {
      wantedOf(together, policies, isRestorable, now, wanted);
    }
    wantPinned(pins, now, wanted);
    const needs = needsOf({ chains, wanted, damaged, inUse });
    const rest = withoutReleased(left, chains, needs);
    if (rest === left || round === MOST_ROUNDS) return { wanted, needs };
    left = rest;
  }
}

/** The places without what goes; the same ones when that changes nothing of how they are counted. */
function withoutReleased(places: readonly Place[], chains: Chains, needs: Needs): readonly Place[] {
  const stays = ({ backup }: RetentionEdge) => {
    const number = chains.numberOf(backup) ?? -1;
    return needs.isKept(number) || needs.isNeeded(number) || needs.inUse.has(number);
  };
  let went = 0;
  const rest: Place[] = [];
  for (const place of places) {
    const edges = place.edges.filter(stays);
    went += place.edges.length - edges.length;
    if (edges.length > 0) rest.push(edges.length === place.edges.length ? place : { ...place, edges });
  }
  return went === 0 ? places : rest;
}

function fateOf(
  needs: Needs,
  number: number,
  { until, now, isInUse }: { until: number | undefined; now: number; isInUse: boolean },
): Fate {
  const kept = needs.isKept(number);
  if (kept || needs.isNeeded(number)) return until !== undefined ? 'unmark' : kept ? 'kept' : 'needed';
  if (isInUse) return 'in-use';
  if (until === undefined) return 'mark';
  return until <= now ? 'remove' : 'marked';
}

/**
 * As long as a backup is there, a chain leads to it: what it hangs on goes with it or after it.
 *
 * @param until when the grace of each is over: that of what it waits for.
 */
function waitForOthers(chains: Chains, fates: Fate[], until: (number | undefined)[]): void {
  for (const number of chains.longestFirst()) {
    const before = chains.before(number);
    if (before < 0 || fates[number] === 'remove') continue;
    const mine = until[number];
    const its = until[before];
    if (fates[before] === 'remove') fates[before] = 'marked';
    if (fates[before] === 'marked' && mine !== undefined && its !== undefined && its < mine)
      until[before] = mine;
  }
}

interface Decided {
  readonly wanted: Wanted;
  readonly needs: Needs;
  readonly fates: readonly Fate[];
  readonly until: readonly (number | undefined)[];
}

const NONE: Because[] = [];

function rowsOf(places: readonly Place[], chains: Chains, decided: Decided): PlannedRow[] {
  const { wanted, needs, fates, until } = decided;
  return places.flatMap(({ edges }) =>
    edges
      .toSorted((a, b) => b.created - a.created || compareText(b.backup, a.backup))
      .map(({ backup, host, dataset, name, from, to, created, stored }) => {
        const number = chains.numberOf(backup) ?? -1;
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
          because: isKept ? (wanted.get(to) ?? NONE) : NONE,
          needed_by: isKept ? null : needs.by(number),
          until: ends === undefined ? null : new Date(ends).toISOString(),
          steps: chains.steps(number),
        };
      }),
  );
}
