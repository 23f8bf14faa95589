/** Small histories of several datasets, by hand and by chance. */
import fc from 'fast-check';
import type { RetentionEdge } from '../../../../catalog/chain/retention/edge.ts';
import type { RetentionQuestion } from '../../../../catalog/chain/retention/plan.ts';
import type { Keep, Policy } from '../../../../catalog/chain/retention/policy.ts';
import type { SourceId } from '../../../../catalog/words.ts';
import { backupId, guid, LARGE, PLAIN, parseLineage, RAW } from '../graphs.ts';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
/** A Monday, 00:00 UTC. */
export const START = Date.UTC(2026, 0, 5);

/** What a test says of a backup; the rest is usual. */
export interface Draft {
  readonly number: number;
  readonly from: number | null;
  readonly to: number;
  /** Milliseconds after {@link START}. */
  readonly at: number;
  readonly dataset?: string;
  readonly host?: string;
  /** Which dataset of its host it is, under any name; `null`: not known. */
  readonly source?: string | null;
  readonly stored?: number;
  readonly flags?: RetentionEdge['flags'];
  /** How long after the snapshot it was committed, milliseconds. */
  readonly later?: number;
}

export function backup(draft: Draft): RetentionEdge {
  const { number, from, to, at, dataset = 'tank/fs', host = 'alpha', stored = 100, later = 1000 } = draft;
  const { source = null } = draft;
  return {
    backup: backupId(number),
    from: from === null ? null : guid(from),
    to: guid(to),
    flags: draft.flags ?? PLAIN,
    bytes: stored * 2,
    stored,
    committed: new Date(START + at + later).toISOString(),
    host,
    dataset,
    source: source as SourceId | null,
    name: `s${to}`,
    created: Math.floor((START + at) / 1000),
    lineage: parseLineage(backupId(0)),
  };
}

export function policy(keep: Keep, more: Partial<Policy> = {}): Policy {
  return { name: 'usual', datasets: ['**'], hosts: [], lineages: [], keep, zone: 'UTC', ...more };
}

export function question(more: Partial<RetentionQuestion>): RetentionQuestion {
  return {
    edges: [],
    policies: [],
    pins: [],
    marks: [],
    damaged: new Set(),
    inUse: { backups: new Set(), bases: [] },
    now: START + 365 * DAY,
    grace: 7 * DAY,
    ...more,
  };
}

/** A chain of so many snapshots, `every` milliseconds apart: a full backup and increments. */
export function chain(count: number, every: number, more: Partial<Draft> = {}): RetentionEdge[] {
  return Array.from({ length: count }, (_, at) =>
    backup({ number: at, from: at === 0 ? null : at, to: at + 1, at: at * every, ...more }),
  );
}

const SNAPSHOTS = 8;
const keeps = fc.record(
  {
    last: fc.integer({ min: 0, max: 3 }),
    within: fc.constantFrom('1h', '2d', '30d'),
    hourly: fc.integer({ min: 0, max: 3 }),
    daily: fc.integer({ min: 0, max: 3 }),
    weekly: fc.integer({ min: 0, max: 2 }),
    monthly: fc.integer({ min: 0, max: 2 }),
    yearly: fc.integer({ min: 0, max: 1 }),
  },
  { requiredKeys: [] },
);
const policies = fc
  .array(
    fc.record({
      keep: keeps,
      datasets: fc.constantFrom<string[][]>(['**'], ['a'], ['b', 'c'], []),
      hosts: fc.constantFrom<string[][]>([], ['x']),
      zone: fc.constantFrom('UTC', 'Europe/Berlin', 'Asia/Kathmandu'),
    }),
    { maxLength: 2 },
  )
  .map((drafts) => drafts.map((draft, at) => ({ ...draft, name: `p${at}`, lineages: [] })));

/**
 * Questions about up to 14 backups of up to three datasets on two hosts. Bases are mostly older than what
 * hangs on them, as in life; parallel backups, gaps, mixed flags, damage, marks and pins are among them.
 */
export const questions: fc.Arbitrary<RetentionQuestion> = fc
  .record({
    drafts: fc.array(
      fc.record({
        from: fc.option(fc.integer({ min: 1, max: SNAPSHOTS }), { nil: null, freq: 5 }),
        to: fc.integer({ min: 1, max: SNAPSHOTS }),
        stored: fc.integer({ min: 0, max: 4 }),
        flags: fc.constantFrom(PLAIN, PLAIN, PLAIN, LARGE, RAW),
        later: fc.constantFrom(1000, 1000, 3 * DAY, -3 * DAY),
      }),
      { maxLength: 14 },
    ),
    // A snapshot has one moment and one name, wherever it is backed up from.
    moments: fc.array(fc.integer({ min: 0, max: 60 }), { minLength: SNAPSHOTS, maxLength: SNAPSHOTS }),
    // Some datasets had several names, and some names several datasets.
    sources: fc.array(fc.constantFrom(null, '1', '1', '2'), { minLength: 14, maxLength: 14 }),
    places: fc.array(fc.constantFrom('a x', 'a x', 'b x', 'b y', 'c y'), { minLength: 14, maxLength: 14 }),
    scale: fc.constantFrom(HOUR / 2, 7 * HOUR, 3 * DAY),
    policies,
    damaged: fc.array(fc.nat(13), { maxLength: 3 }),
    marks: fc.array(fc.tuple(fc.nat(13), fc.integer({ min: -20, max: 1 })), { maxLength: 6 }),
    pins: fc.array(
      fc.tuple(fc.integer({ min: 1, max: SNAPSHOTS }), fc.option(fc.integer({ min: -5, max: 5 }))),
      {
        maxLength: 2,
      },
    ),
    bases: fc.array(fc.integer({ min: 1, max: SNAPSHOTS }), { maxLength: 1 }),
    read: fc.array(fc.nat(13), { maxLength: 1 }),
    late: fc.integer({ min: 0, max: 400 }),
  })
  .map((chance) => {
    const sourceAt = (dataset: string | null | undefined, host: string) =>
      dataset ? `${dataset} of ${host}` : null;
    const { drafts, moments, places, scale } = chance;
    const sorted = moments.toSorted((a, b) => a - b);
    const edges = drafts.map(({ from, to, ...more }, number) => {
      const [older, newer] = from !== null && from > to ? [to, from] : [from, to];
      const [dataset = '', host = ''] = (places[number] ?? '').split(' ');
      return backup({
        number,
        from: older,
        to: newer,
        at: (sorted[newer - 1] ?? 0) * scale,
        dataset,
        host,
        source: sourceAt(chance.sources[number], host),
        ...more,
      });
    });
    const now = START + 60 * scale + chance.late * DAY;
    return question({
      edges,
      now,
      policies: chance.policies,
      damaged: new Set(chance.damaged.map(backupId)),
      marks: chance.marks.map(([number, days]) => ({ backup: backupId(number), at: now + days * DAY })),
      pins: chance.pins.map(([number, days]) => {
        const until = days === null ? null : new Date(now + days * DAY).toISOString();
        return { guid: guid(number), until, legal: days === 5 };
      }),
      inUse: {
        backups: new Set(chance.read.map(backupId)),
        bases: chance.bases.map((number) => ({ guid: guid(number), flags: PLAIN })),
      },
    });
  });
