/** Does a whole restore as it was decided, and proves that what stands there is what was stored. */
import type { ObjectAttributes } from '../../catalog/attributes/attributes.ts';
import type { SkippedProperty } from '../../catalog/attributes/settings-plan.ts';
import type { ZfsHere } from '../../catalog/attributes/zfs-here.ts';
import { run } from '../zfs/run.ts';
import { snapshotOf } from '../zfs/snapshot.ts';
import { captureObjects } from './captured.ts';
import { type ProofDifference, proofOf } from './proof.ts';
import type { RestoreTools } from './resume/receiving.ts';
import { prove, type Received, runRestore } from './run.ts';
import { applySettings, type RefusedSetting } from './settings.ts';
import type { RestoreItem, WholeRestore } from './whole.ts';

/** What became of one dataset. */
export interface RestoredItem {
  readonly item: RestoreItem;
  readonly received: readonly Received[];
  /** What is not as it was; empty also where no attributes were stored. */
  readonly differences: readonly ProofDifference[];
  /** Properties that ZFS refused to set; they are among the differences, with its words. */
  readonly refused: readonly RefusedSetting[];
}

/**
 * Runs everything in its order. What fails leaves what was done before; the
 * same restore goes on from there.
 *
 * @throws {ZkeepError} what ZFS, the service, the store or a stream was at fault for.
 */
export async function performWhole(
  whole: WholeRestore,
  tools: RestoreTools,
  here: ZfsHere,
): Promise<RestoredItem[]> {
  const { progress, signal } = tools;
  for (const command of whole.before) await run(command, { signal });
  for (const { property, message } of await applySettings(whole.root, signal))
    progress.note(`${property} of ${whole.pool?.name} is not set: ${message}`);
  const received: Received[][] = [];
  for (const { actions, settings, looked } of whole.items) {
    for (const { name } of actions.lost) progress.note(`${actions.target}@${name} is lost by going back`);
    received.push(await runRestore(actions, tools, settings.wraps));
    await prove(actions.target, looked.plan.wanted.guid, signal);
  }
  const refused: RefusedSetting[][] = [];
  // All of them before the first proof: what is below inherits from what is above.
  for (const { settings } of whole.items) refused.push(await applySettings(settings.settings, signal));
  const restored: RestoredItem[] = [];
  for (const [at, item] of whole.items.entries()) {
    const differences = await differencesIn(item, refused[at] ?? [], here, signal);
    restored.push({ item, received: received[at] ?? [], differences, refused: refused[at] ?? [] });
  }
  return restored;
}

async function differencesIn(
  { looked, actions, settings }: RestoreItem,
  refused: readonly RefusedSetting[],
  here: ZfsHere,
  signal: AbortSignal,
): Promise<ProofDifference[]> {
  const { stored, place, plan } = looked;
  const { target } = actions;
  if (!stored.dataset) return [];
  const standing = new Set([...place.snapshots.map(({ guid }) => guid), ...plan.steps.map(({ to }) => to)]);
  const lost = new Set(actions.lost.map(({ guid }) => guid));
  const snapshots = stored.snapshots.filter(({ guid }) => standing.has(guid) && !lost.has(guid));
  const found = await captureObjects(
    target,
    snapshots.map(({ name }) => name),
    signal,
  );
  const wanted = new Map<string, ObjectAttributes>([
    [target, stored.dataset],
    ...snapshots.map(({ name, object }): [string, ObjectAttributes] => [snapshotOf(target, name), object]),
  ]);
  const skipped = [...settings.skipped, ...refused.map(asSkipped)];
  return proofOf({ stored: wanted, found, skipped, there: stored.version, here: here.version });
}

function asSkipped({ object, property, message }: RefusedSetting): SkippedProperty {
  return { name: object, property, reason: `it could not be set: ${message}`, matters: true };
}
