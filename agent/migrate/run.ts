/** Does what `plan.ts` decided: snapshot, stream, properties, and the proof of them. */
import { systemClock } from '../../catalog/clock.ts';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import { wrapStream } from '../../catalog/stream/wrap.ts';
import type { Guid } from '../../catalog/words.ts';
import type { Progress } from '../output/progress.ts';
import { captureObjects } from '../restore/captured.ts';
import { type ProofDifference, proofOf } from '../restore/proof.ts';
import { prove } from '../restore/run.ts';
import { applySettings } from '../restore/settings.ts';
import { listSnapshots, listSource } from '../zfs/list.ts';
import { writtenTo } from '../zfs/pools/pools.ts';
import { receiveStream } from '../zfs/receive.ts';
import { run } from '../zfs/run.ts';
import { sendStream } from '../zfs/send.ts';
import {
  destroyCommand,
  hold,
  holdCommand,
  MIGRATION_TAG,
  release,
  snapshotCommand,
  snapshotOf,
} from '../zfs/snapshot.ts';
import type { MigrationPlan, MigrationStep } from './plan.ts';
import { checkedRest } from './rest.ts';
import { checkedStream } from './stream.ts';

/** One stream that went over. */
export interface Migrated {
  readonly snapshot: string;
  readonly guid: Guid;
  readonly kind: MigrationStep['kind'];
  readonly bytes: number;
  readonly seconds: number;
}

/** What the run works with. */
export interface MigrationTools {
  readonly progress: Progress;
  /** The version of this host's ZFS. */
  readonly version: string | null;
  readonly signal: AbortSignal;
}

/** How it went. */
export interface MigrationResult {
  readonly migrated: readonly Migrated[];
  readonly differences: readonly ProofDifference[];
  /** Bytes written to the source after its last snapshot; `null` unless this was the final run. */
  readonly written: number | null;
}

/**
 * Runs a plan. What an interrupted stream left at the target stays, with its
 * snapshot, and the next run goes on from there.
 *
 * @throws {ZkeepError} what ZFS or the stream was at fault for.
 */
export async function runMigration(plan: MigrationPlan, tools: MigrationTools): Promise<MigrationResult> {
  const { source, release: held, final } = plan;
  const migrated: Migrated[] = [];
  let taken: Guid | null = null;
  for (const step of plan.steps) {
    if (step.takes) taken = await take(plan, tools);
    migrated.push(await migrate(step, step.guid ?? taken, plan, tools));
  }
  const refused = await applySettings(plan.properties.settings, tools.signal);
  for (const { property, message } of refused) tools.progress.note(`${property} is not set: ${message}`);
  const differences = await differencesAt(plan, refused, tools);
  for (const name of held) await release(snapshotOf(source, name));
  return { migrated, differences, written: final ? await writtenSince(source, tools.signal) : null };
}

async function migrate(
  step: MigrationStep,
  guid: Guid | null,
  plan: MigrationPlan,
  tools: MigrationTools,
): Promise<Migrated> {
  const { target } = plan;
  const { progress, signal } = tools;
  const started = systemClock.now();
  if (guid === null) throw new Error(`@${step.snapshot} was not taken`);
  progress.begin(`${target} @${step.snapshot}`);
  let bytes = 0;
  const onTaken = (taken: number) => {
    bytes += taken;
    progress.tell({ bytes });
  };
  try {
    if (isHistory(step)) await hold([snapshotOf(plan.source, step.snapshot)], signal, MIGRATION_TAG);
    await receiveStream(step.receive, streamOf(step, guid, plan, signal), { signal, onTaken });
    await prove(target, guid, signal);
    for (const name of step.passed) await release(snapshotOf(plan.source, name), signal, MIGRATION_TAG);
  } catch (thrown) {
    await settleFailure(step, plan, tools);
    throw thrown;
  }
  const seconds = (systemClock.now() - started) / 1000;
  return { snapshot: step.snapshot, guid, kind: step.kind, bytes, seconds };
}

/** One that was there before and is sent from its beginning. */
function isHistory({ guid, kind }: MigrationStep): boolean {
  return guid !== null && kind !== 'rest';
}

/** Takes and holds the snapshot; half done, it is taken back. */
async function take({ source, steps }: MigrationPlan, tools: MigrationTools): Promise<Guid> {
  const snapshot = snapshotOf(source, steps.at(-1)?.snapshot ?? '');
  try {
    // Not interrupted: half done, nobody would know whether the snapshot is there.
    for (const command of [snapshotCommand([snapshot], false), holdCommand(snapshot)]) await run(command);
    const [facts] = await listSnapshots([snapshot], tools.signal);
    if (facts) return facts.guid;
  } catch (thrown) {
    await undo(snapshot, tools.progress);
    throw thrown;
  }
  throw new ZkeepError('missing', 'migrate.no-snapshot', `${snapshot} is not there`, {
    advice: 'something destroyed it as soon as it was taken: start the migration again',
    facts: { snapshot },
  });
}

function streamOf(
  step: MigrationStep,
  guid: Guid,
  { source, properties }: MigrationPlan,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  const sent = sendStream(step.send, signal);
  if (step.kind === 'rest') return checkedRest(sent, step.send.at(-1) ?? '');
  const stream = checkedStream(sent, guid);
  if (!properties.received || isHistory(step)) return stream;
  return wrapStream(stream, {
    name: snapshotOf(source, step.snapshot),
    guid: BigInt(`0x${guid}`),
    properties: properties.received,
    snapshotProperties: new Map(),
  });
}

/**
 * With something of it at the target, the snapshot is needed to go on; without, it is good for
 * nothing. Neither is the new one, when one before it did not arrive: the next run takes another.
 */
async function settleFailure(
  step: MigrationStep,
  { source, target, steps }: MigrationPlan,
  { progress }: MigrationTools,
): Promise<void> {
  const snapshot = snapshotOf(source, step.snapshot);
  const fresh = steps.at(-1);
  if (fresh && isHistory(step)) await undo(snapshotOf(source, fresh.snapshot), progress);
  if (step.kind === 'rest') return;
  const { resumeToken, points } = await listSource(target, AbortSignal.timeout(60_000)).catch(() => NOTHING);
  if (resumeToken !== undefined || points.some(({ name }) => name === step.snapshot)) {
    progress.note(`${snapshot} stays, so that the same command goes on from what has arrived`);
    return;
  }
  if (step.guid === null) await undo(snapshot, progress);
  else await letGo(snapshot, progress);
}

/** One that is not ours stays as it was. */
async function letGo(snapshot: string, progress: Progress): Promise<void> {
  try {
    await release(snapshot, undefined, MIGRATION_TAG);
  } catch (thrown) {
    progress.note(`${snapshot} stays held, because: ${messageOf(thrown)}`);
  }
}

const NOTHING = { resumeToken: undefined, points: [] };

async function undo(snapshot: string, progress: Progress): Promise<void> {
  try {
    await release(snapshot);
    await run(destroyCommand(snapshot));
    progress.note(`${snapshot} is destroyed again`);
  } catch (thrown) {
    // It may never have been taken.
    if (thrown instanceof ZkeepError && thrown.code === 'zfs.no-dataset') return;
    progress.note(`${snapshot} stays, because: ${messageOf(thrown)}`);
  }
}

async function differencesAt(
  { target, properties }: MigrationPlan,
  refused: Awaited<ReturnType<typeof applySettings>>,
  { version, signal }: MigrationTools,
): Promise<ProofDifference[]> {
  const failed = refused.map(({ object: name, property, message }) => {
    return { name, property, reason: `it could not be set: ${message}`, matters: true };
  });
  const names = properties.history.map(({ name }) => name.slice(name.indexOf('@') + 1));
  const history = properties.history.map(
    (object, at) => [snapshotOf(target, names[at] ?? ''), object] as const,
  );
  return proofOf({
    stored: new Map([[target, properties.stored], ...history]),
    found: await captureObjects(target, names, signal),
    skipped: [...properties.skipped, ...failed],
    there: version,
    here: version,
  });
}

/** Bytes since its newest snapshot, as ZFS counts them. */
async function writtenSince(source: string, signal: AbortSignal): Promise<number> {
  const written = await writtenTo(source, signal);
  if (written !== null) return written;
  throw new ZkeepError('failed', 'migrate.unproved', `zfs does not say what was written to ${source}`, {
    advice: 'everything has arrived; see yourself that the service was stopped before',
    facts: { source },
  });
}
