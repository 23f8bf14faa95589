/** The snapshots of one run: taken all together, held, and undone where they came to nothing. */
import { systemClock } from '../../catalog/clock.ts';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import { type Guid, newUuid7, type SetId } from '../../catalog/words.ts';
import type { Progress } from '../output/progress.ts';
import { isStillThere, listSnapshots, type PointFacts } from '../zfs/list.ts';
import { poolOf } from '../zfs/names.ts';
import { destroyCommand, hold, release, snapshotOf } from '../zfs/snapshot.ts';
import { runOnPool } from '../zfs/stall.ts';
import type { BackupPlan, DatasetPlan } from './plan.ts';

/** A snapshot that is there and held. */
export type Taken = Pick<PointFacts, 'dataset' | 'guid' | 'createtxg'>;

/** The snapshots of a run, and which of them were taken at one moment, both by dataset. */
export interface TakenTogether {
  readonly taken: ReadonlyMap<string, Taken>;
  readonly sets: ReadonlyMap<string, SetId>;
}

/**
 * Makes one moment of what `take` takes, over several pools and hosts.
 *
 * @throws {ZkeepError} when it was not one; then nothing that was taken counts.
 */
export type Moment = (take: () => Promise<void>) => Promise<SetId>;

/**
 * Does something right before and after all snapshots of a run are taken, and lets `take` be done in between.
 *
 * @param snapshots the full names of those that are taken.
 * @throws whatever keeps them from being taken; then none of them is there.
 */
export type Around = (snapshots: readonly string[], take: () => Promise<void>) => Promise<void>;

interface TakingTools {
  readonly progress: Progress;
  readonly signal: AbortSignal;
  readonly around?: Around | undefined;
  /** Without one, what one pool took in one transaction was taken at one moment. */
  readonly moment?: Moment | undefined;
  /** Told what was taken as soon as that is known, before anything else is done; waited for. */
  readonly onTaken?: ((together: TakenTogether) => Promise<void>) | undefined;
}

/**
 * Takes the snapshots that the plan says and holds all that it needs. What is
 * not there afterwards is not in the answer.
 *
 * @throws {ZkeepError} when a command fails, or the moment; what was taken before is destroyed again.
 */
export async function takeSnapshots(
  plan: BackupPlan,
  { progress, signal, moment, around, onTaken }: TakingTools,
): Promise<TakenTogether> {
  const wanted = plan.datasets.filter(({ kind }) => kind !== 'already');
  const done = new Set<string>();
  const take = async () => {
    for (const { pool, command } of plan.take) {
      signal.throwIfAborted();
      // Not interrupted: half done, nobody would know whether the snapshots are there.
      await runOnPool(command).catch(notAlone);
      done.add(pool);
    }
  };
  let set: SetId | undefined;
  let found: readonly PointFacts[] = [];
  const takeAll = async () => {
    if (moment) set = await moment(take);
    else await take();
  };
  try {
    if (around && plan.take.length > 0) await around(wanted.map(fullName), takeAll);
    else await takeAll();
    found = await listSnapshots(wanted.map(fullName), signal);
    const together = togetherOf(found, set);
    await onTaken?.(together);
    await hold(found.map(fullName), signal);
    return together;
  } catch (thrown) {
    const guids = new Map(found.map(({ dataset, guid }) => [dataset, guid]));
    for (const item of wanted) {
      if (item.guid !== null || done.has(poolOf(item.dataset)))
        await undoSnapshot(item, progress, guids.get(item.dataset));
    }
    throw thrown;
  }
}

function togetherOf(found: readonly PointFacts[], set: SetId | undefined): TakenTogether {
  const taken = new Map(found.map((facts) => [facts.dataset, facts]));
  if (set === undefined) return { taken, sets: setsOf(taken) };
  return { taken, sets: new Map([...taken.keys()].map((dataset) => [dataset, set])) };
}

/** The name was free a moment ago: another run took it, and is at these datasets. */
function notAlone(thrown: unknown): never {
  if (!(thrown instanceof ZkeepError) || thrown.code !== 'zfs.exists') throw thrown;
  throw new ZkeepError('busy', 'backup.same-moment', `another run is at it: ${thrown.message}`, {
    advice: 'wait for it, and start again',
    facts: thrown.facts,
    cause: thrown,
  });
}

/**
 * Takes back what was done to a snapshot that did not become a backup: our hold,
 * and the snapshot itself when zkeep took it; nothing where its name is another's by now.
 * Never throws: it says what stays.
 *
 * @param taken its GUID, where it was taken after that was planned; unknown where nobody could ask for it since.
 */
export async function undoSnapshot(
  item: DatasetPlan,
  progress: Progress,
  taken: Guid | undefined = undefined,
): Promise<void> {
  const snapshot = fullName(item);
  if (item.undo === 'nothing') return;
  const meant = item.guid ?? taken;
  try {
    if (meant !== undefined && !(await isStillThere(snapshot, meant))) return;
    await release(snapshot);
    if (item.undo === 'release') return;
    await runOnPool(destroyCommand(snapshot));
    progress.note(`${snapshot} is destroyed again`);
  } catch (thrown) {
    progress.note(`${snapshot} stays, because: ${messageOf(thrown)}`);
  }
}

/** Which snapshots were taken at one moment, by ZFS's own word: same pool, same transaction. */
export function setsOf(taken: ReadonlyMap<string, Taken>, now = systemClock.now()): Map<string, SetId> {
  const moments = Map.groupBy(taken.values(), ({ dataset, createtxg }) => `${poolOf(dataset)} ${createtxg}`);
  const sets = new Map<string, SetId>();
  for (const together of moments.values()) {
    if (together.length < 2) continue;
    const set = newUuid7(now) as SetId;
    for (const { dataset } of together) sets.set(dataset, set);
  }
  return sets;
}

function fullName(snapshot: { dataset: string; name: string } | DatasetPlan): string {
  return snapshotOf(snapshot.dataset, 'snapshot' in snapshot ? snapshot.snapshot : snapshot.name);
}
