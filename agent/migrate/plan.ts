/** What a migration will do: decided here, purely, printed by `--dry-run`, done by `run.ts`. */
import { ZkeepError } from '../../catalog/errors.ts';
import type { Guid } from '../../catalog/words.ts';
import { freeName } from '../moments.ts';
import type { Target } from '../restore/target.ts';
import type { PointFacts, SourceFacts } from '../zfs/list.ts';
import { receiveCommand } from '../zfs/receive.ts';
import { sendCommand, sendFlags, sendRestCommand } from '../zfs/send.ts';
import { holdCommand, releaseCommand, snapshotCommand, snapshotOf } from '../zfs/snapshot.ts';
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
  /** `null`: it is to be taken. */
  readonly guid: Guid | null;
  readonly before: readonly (readonly string[])[];
  readonly send: readonly string[];
  readonly receive: readonly string[];
}

/** The whole migration. */
export interface MigrationPlan {
  readonly source: string;
  readonly target: string;
  /** The service is stopped: nothing is written to the source any more. */
  readonly final: boolean;
  readonly steps: readonly MigrationStep[];
  readonly properties: MigratedProperties;
  /** Snapshots of the source that need no hold of ours any more, the parts after `@`. */
  readonly release: readonly string[];
}

/** Names of the snapshots that a migration takes begin so. */
const OWN = /^migrate-\d{8}T\d{6}Z$/;

/**
 * Plans a migration: what an interrupted one left is finished first, then a new
 * snapshot is sent, on the base of the target's newest one.
 *
 * @param now milliseconds since 1970; names the snapshot.
 * @throws {ZkeepError} `usage` or `refused` when the target is no place for it.
 * @example planMigration({ source, place, properties, final: false, now: Date.now() })
 */
export function planMigration(question: {
  readonly source: SourceFacts;
  readonly place: MigrationPlace;
  readonly properties: MigratedProperties;
  readonly final: boolean;
  readonly now: number;
}): MigrationPlan {
  const { source, place, properties, final, now } = question;
  if (source.dataset === place.target) throw sameDataset(place.target);
  const rest = restOf(source, place);
  const base = rest ? rest.point : baseOf(source, place);
  const taken = (free: string) =>
    source.points.some(({ kind, name }) => kind === 'snapshot' && name === free);
  const name = freeName('migrate', now, taken);
  const steps = [...(rest ? [rest.step] : []), newStep(source, place.target, name, base)];
  const kept = new Set([name, base?.name]);
  const release = source.points.filter(({ kind, name: old }) => kind === 'snapshot' && OWN.test(old));
  return {
    source: source.dataset,
    target: place.target,
    final,
    steps,
    properties,
    release: [
      ...(base && OWN.test(base.name) ? [base] : []),
      ...release.filter(({ name: old }) => !kept.has(old)),
    ]
      .filter(({ references }) => references > 0)
      .map(({ name: old }) => old),
  };
}

/** All commands, in the order in which they run; that zkeep puts send and receive together goes without saying. */
export function commandsOf({ source, steps, properties, release }: MigrationPlan): string[][] {
  return [
    ...steps.flatMap(({ before, send, receive }) => [...before, send, receive]),
    ...properties.commands,
    ...release.map((name) => releaseCommand(snapshotOf(source, name))),
  ].map((command) => [...command]);
}

/** Whether a migration took a snapshot of this name. */
export function isMigrated(name: string): boolean {
  return OWN.test(name);
}

function newStep(source: SourceFacts, target: string, name: string, base: PointFacts | null): MigrationStep {
  const { dataset, type } = source;
  const snapshot = snapshotOf(dataset, name);
  const from = base ? `${dataset}${base.kind === 'bookmark' ? '#' : '@'}${base.name}` : undefined;
  return {
    kind: base ? 'incremental' : 'full',
    snapshot: name,
    guid: null,
    before: [snapshotCommand([snapshot], false), holdCommand(snapshot)],
    send: sendCommand({ to: snapshot, from, flags: sendFlags(source) }),
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
    before: [],
    send: sendRestCommand(token),
    // What a new dataset must not do by itself was said when its receive began.
    receive: receiveCommand({ target, type, fresh: false, force: false }),
  };
  return { step, point };
}

/** The target's newest snapshot, as the source has it; a snapshot rather than its bookmark. */
function baseOf(
  { dataset, points }: SourceFacts,
  { target, exists, snapshots }: MigrationPlace,
): PointFacts | null {
  if (!exists) return null;
  const [newest] = snapshots;
  if (!newest) throw inTheWay(target, dataset);
  const same = points.filter(({ guid }) => guid === newest.guid);
  const base = same.find(({ kind }) => kind === 'snapshot') ?? same[0];
  if (!base) throw noBase(target, newest.name, dataset);
  return base;
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

function inTheWay(target: string, source: string): ZkeepError {
  return new ZkeepError('refused', 'migrate.exists', `${target} exists and has no snapshot of ${source}`, {
    advice: 'choose another name for --to: nothing is overwritten',
    facts: { target, source },
  });
}

function noBase(target: string, newest: string, source: string): ZkeepError {
  const message = `${source} does not have @${newest}, the newest snapshot of ${target}`;
  return new ZkeepError('refused', 'migrate.no-base', message, {
    advice: `choose another name for --to, or destroy what ${target} has beyond a common snapshot`,
    facts: { target, newest, source },
  });
}
