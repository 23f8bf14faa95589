/** What a migration will do: decided here, purely, printed by `--dry-run`, done by `run.ts`. */
import { ZkeepError } from '../../catalog/errors.ts';
import type { Guid } from '../../catalog/words.ts';
import { freeName } from '../moments.ts';
import type { Target } from '../restore/target.ts';
import type { PointFacts, SourceFacts } from '../zfs/list.ts';
import { receiveCommand } from '../zfs/receive.ts';
import { sendCommand, sendFlags, sendRestCommand } from '../zfs/send.ts';
import { holdCommand, MIGRATION_TAG, releaseCommand, snapshotCommand, snapshotOf } from '../zfs/snapshot.ts';
import { baseOf, isMigrated, newerHistory } from './history.ts';
import type { MigratedProperties } from './properties.ts';

/** Where it goes. */
export interface MigrationPlace extends Target {
  /** By which an interrupted receive goes on; `null` where none was interrupted. */
  readonly token: string | null;
}

/** One stream from the source into the target. */
export interface MigrationStep {
  readonly kind: 'full' | 'incremental' | 'rest';
  /** The snapshot that it leads to, the part after `@`. */
  readonly snapshot: string;
  /** `null`: it is taken by this run. */
  readonly guid: Guid | null;
  /** Whether the new snapshot is taken before this step: first of all, so that what comes after it is newer. */
  readonly takes: boolean;
  readonly before: readonly (readonly string[])[];
  readonly send: readonly string[];
  readonly receive: readonly string[];
  /** Snapshots that nothing goes on from any more, and on which the migration's own hold is released. */
  readonly passed: readonly string[];
}

/** The whole migration. */
export interface MigrationPlan {
  readonly source: string;
  readonly target: string;
  /** Nothing uses the source any more: nothing is written to it. */
  readonly final: boolean;
  readonly steps: readonly MigrationStep[];
  readonly properties: MigratedProperties;
  /** Snapshots of the source that need no hold of ours any more, the parts after `@`. */
  readonly release: readonly string[];
  /** How many snapshots the target will not have that it could have. */
  readonly behind: number;
}

/**
 * Plans a migration: what an interrupted one left is finished first, then, where they
 * are asked for, come the snapshots that the target lacks, then a new one, each on the
 * base of the one before.
 *
 * @param snapshots the history moves too, not only what is there now.
 * @param held names of the snapshots on which an earlier run left the hold of {@link MIGRATION_TAG}.
 * @param now milliseconds since 1970; names the snapshot.
 * @throws {ZkeepError} `usage` or `refused` when the target is no place for it.
 * @example planMigration({ source, place, properties, final: false, snapshots: false, held, now })
 */
export function planMigration(question: {
  readonly source: SourceFacts;
  readonly place: MigrationPlace;
  readonly properties: MigratedProperties;
  readonly final: boolean;
  readonly snapshots: boolean;
  readonly held: ReadonlySet<string>;
  readonly now: number;
}): MigrationPlan {
  const { source, place, properties, final, snapshots, held, now } = question;
  if (source.dataset === place.target) throw sameDataset(place.target);
  const rest = restOf(source, place);
  const base = rest ? rest.point : baseOf(source, place);
  const taken = (free: string) =>
    source.points.some(({ kind, name }) => kind === 'snapshot' && name === free);
  const name = freeName('migrate', now, taken);
  const history = newerHistory(source, base);
  const moved = snapshots ? history : [];
  const steps = [
    ...(rest ? [rest.step] : []),
    ...stepsOf({ source, target: place.target, base, moved, held, name }),
  ];
  const kept = new Set([name, base?.name]);
  const release = source.points.filter(({ kind, name: old }) => kind === 'snapshot' && isMigrated(old));
  return {
    source: source.dataset,
    target: place.target,
    final,
    steps,
    properties,
    release: [
      ...(base && isMigrated(base.name) ? [base] : []),
      ...release.filter(({ name: old }) => !kept.has(old)),
    ]
      .filter(({ references }) => references > 0)
      .map(({ name: old }) => old),
    behind: history.length - moved.length,
  };
}

/** All commands, in the order in which they run; that zkeep puts send and receive together goes without saying. */
export function commandsOf({ source, steps, properties, release }: MigrationPlan): string[][] {
  return [
    ...steps.flatMap((step) => [...step.before, step.send, step.receive, ...passedCommands(source, step)]),
    ...properties.commands,
    ...release.map((name) => releaseCommand(snapshotOf(source, name))),
  ].map((command) => [...command]);
}

/** What releases the holds on the snapshots that a step has passed. */
export function passedCommands(source: string, { passed }: MigrationStep): string[][] {
  return passed.map((name) => releaseCommand(snapshotOf(source, name), MIGRATION_TAG));
}

/**
 * The history, then the new snapshot. That is taken before all: who takes snapshots while the
 * history moves, which may be for hours, takes newer ones, and the next run moves them.
 * What is passed on is held until the next one has come.
 */
function stepsOf(question: {
  readonly source: SourceFacts;
  readonly target: string;
  readonly base: PointFacts | null;
  readonly moved: readonly PointFacts[];
  readonly held: ReadonlySet<string>;
  /** Of the new snapshot. */
  readonly name: string;
}): MigrationStep[] {
  const { source, target, moved, name } = question;
  const holds = new Set(question.held);
  const fresh = snapshotOf(source.dataset, name);
  const taking = [snapshotCommand([fresh], false), holdCommand(fresh)];
  const steps: MigrationStep[] = [];
  let { base } = question;
  for (const [at, point] of moved.entries()) {
    const snapshot = snapshotOf(source.dataset, point.name);
    const before = [
      ...(at === 0 ? taking : []),
      ...(holds.has(point.name) ? [] : [holdCommand(snapshot, MIGRATION_TAG)]),
    ];
    const passed = base && holds.delete(base.name) ? [base.name] : [];
    const { guid } = point;
    steps.push({ ...stepFrom(source, target, point.name, base), guid, takes: at === 0, before, passed });
    holds.add(point.name);
    base = point;
  }
  const takes = moved.length === 0;
  const last = { guid: null, takes, before: takes ? taking : [], passed: [...holds] };
  return [...steps, { ...stepFrom(source, target, name, base), ...last }];
}

function stepFrom(source: SourceFacts, target: string, name: string, base: PointFacts | null) {
  const { dataset, type } = source;
  const from = base ? `${dataset}${base.kind === 'bookmark' ? '#' : '@'}${base.name}` : undefined;
  const kind: MigrationStep['kind'] = base ? 'incremental' : 'full';
  return {
    kind,
    snapshot: name,
    send: sendCommand({ to: snapshotOf(dataset, name), from, flags: sendFlags(source) }),
    receive: receiveCommand({ target, type, fresh: base === null, force: false }),
  };
}

/** What is left of an interrupted stream of this very source. */
function restOf(
  { dataset, type, points }: SourceFacts,
  { target, partial, token }: MigrationPlace,
): { step: MigrationStep; point: PointFacts } | undefined {
  if (!partial) return undefined;
  const point = points.find(({ kind, guid }) => kind === 'snapshot' && guid === partial.to);
  if (!point || token === null) throw othersPartial(target, dataset);
  const step: MigrationStep = {
    kind: 'rest',
    snapshot: point.name,
    guid: point.guid,
    takes: false,
    before: [],
    send: sendRestCommand(token),
    // What a new dataset must not do by itself was said when its receive began.
    receive: receiveCommand({ target, type, fresh: false, force: false }),
    passed: [],
  };
  return { step, point };
}

function sameDataset(target: string): ZkeepError {
  return new ZkeepError('usage', 'migrate.same', `${target} cannot be migrated to itself`, {
    advice: 'name another dataset: --to POOL/DATASET',
    facts: { target },
  });
}

function othersPartial(target: string, source: string): ZkeepError {
  const message = `${target} holds an interrupted receive of something that ${source} does not have`;
  return new ZkeepError('refused', 'migrate.partial', message, {
    advice: `throw it away: zfs receive -A ${target}`,
    facts: { target, source },
  });
}
