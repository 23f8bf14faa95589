/** Small graphs for the tests of this room: by hand, by chance, and a planner that tries every path. */
import fc from 'fast-check';
import type { BackupEdge, ChainFlags, SnapshotNode } from '../../../catalog/chain/graph.ts';
import { type BackupId, type Guid, guidOf, newUuid7, parseBackupId } from '../../../catalog/words.ts';

export const PLAIN: ChainFlags = { raw: false, large_blocks: false };
export const LARGE: ChainFlags = { raw: false, large_blocks: true };
export const RAW: ChainFlags = { raw: true, large_blocks: false };

export function guid(number: number): Guid {
  return guidOf(BigInt(number));
}

/** Ids in the order of their numbers. */
export function backupId(number: number): BackupId {
  return parseBackupId(newUuid7(1_700_000_000_000 + number, new Uint8Array(10)));
}

let edges = 0;

/** A backup from snapshot `from` (`null`: full) to snapshot `to`, with a new id. */
export function edge(
  from: number | null,
  to: number,
  { stored = 100, flags = PLAIN, backup = backupId(edges++) }: Partial<BackupEdge> = {},
): BackupEdge {
  return {
    backup,
    from: from === null ? null : guid(from),
    to: guid(to),
    flags,
    bytes: stored * 2,
    stored,
    committed: '2026-01-01T00:00:00.000Z',
  };
}

/** Snapshot `number` of tank/fs, called s1, s2 ..., one a minute. */
export function node(number: number, more: Partial<SnapshotNode> = {}): SnapshotNode {
  return {
    guid: guid(number),
    lineage: parseLineage(backupId(0)),
    host: 'alpha',
    dataset: 'tank/fs',
    name: `s${number}`,
    created: 1_700_000_000 + number * 60,
    ...more,
  };
}

export function parseLineage(text: string): SnapshotNode['lineage'] {
  return parseBackupId(text) as string as SnapshotNode['lineage'];
}

const flags = fc.record({ raw: fc.boolean(), large_blocks: fc.boolean() });
const mostlyPlain = fc.oneof({ weight: 3, arbitrary: fc.constant(PLAIN) }, { weight: 2, arbitrary: flags });

/** Up to 11 backups over up to 6 snapshots (1 to 6): cycles, parallel ones, self-loops, equal costs. */
export const graphs = fc
  .array(
    fc.record({
      from: fc.option(fc.integer({ min: 1, max: 6 }), { nil: null, freq: 4 }),
      to: fc.integer({ min: 1, max: 6 }),
      stored: fc.integer({ min: 0, max: 4 }),
      flags: mostlyPlain,
    }),
    { maxLength: 11 },
  )
  .map((drafts) =>
    drafts.map(({ from, to, stored, flags }, number) =>
      edge(from, to, { stored, flags, backup: backupId(number) }),
    ),
  );

/** Every path that receives no snapshot twice, from before any of its first steps to `wanted`. */
export function* everyPath(all: readonly BackupEdge[], wanted: Guid): Generator<BackupEdge[]> {
  const extend = function* (path: BackupEdge[], passed: Set<Guid>): Generator<BackupEdge[]> {
    yield path;
    const [first] = path;
    if (!first || first.from === null || passed.has(first.from)) return;
    for (const before of all) {
      if (before.to === first.from) yield* extend([before, ...path], new Set([...passed, first.from]));
    }
  };
  for (const last of all) if (last.to === wanted) yield* extend([last], new Set([wanted]));
}

/** Whether the flags along a path go together, from the definition and not from the code under test. */
export function goTogether(path: readonly { flags: ChainFlags }[]): boolean {
  const kinds = new Set(path.map((step) => step.flags.raw));
  const on = path.findIndex((step) => step.flags.large_blocks);
  return kinds.size < 2 && (on < 0 || path.slice(on).every((step) => step.flags.large_blocks));
}

export function costOf(path: readonly BackupEdge[]): { stored: number; steps: number } {
  return { stored: path.reduce((sum, { stored }) => sum + stored, 0), steps: path.length };
}

/** The least cost of some paths, then the fewest steps. */
export function leastCost(
  paths: Iterable<readonly BackupEdge[]>,
): { stored: number; steps: number } | undefined {
  const costs = [...paths].map(costOf);
  return costs.sort((a, b) => a.stored - b.stored || a.steps - b.steps)[0];
}
