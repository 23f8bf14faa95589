/** A drill: restores a snapshot to a place of its own as any restore would, compares it, and tells what was found. */
import { systemClock } from '../../catalog/clock.ts';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import type { Drill } from '../../catalog/journal/entry.ts';
import type { Wanted } from '../../catalog/protocol/protocol.ts';
import { performWhole, type RestoredItem } from '../restore/perform.ts';
import { type Prepared, prepareRestore } from '../restore/prepare.ts';
import type { RestoreTools } from '../restore/resume/receiving.ts';
import type { RestoreItem } from '../restore/whole.ts';
import { listSource } from '../zfs/list.ts';
import { sendCommand, sendFlags, sendStream } from '../zfs/send.ts';
import { snapshotOf } from '../zfs/snapshot.ts';
import { readContent } from './content.ts';
import { isEvidence } from './evidence.ts';
import { clearPlace, type DrillPlace, makePlaceCommand } from './place.ts';

/** Most problems that the evidence names, and their longest. */
const MOST = 20;
const LONGEST = 4000;

/** A drill that nothing stands in the way of. */
export interface PreparedDrill {
  readonly place: DrillPlace;
  readonly prepared: Prepared;
  readonly item: RestoreItem;
}

/**
 * Plans a drill and looks whether it can begin. Changes nothing.
 *
 * @throws {ZkeepError} as `prepareRestore`.
 */
export async function prepareDrill(
  wanted: Wanted,
  place: DrillPlace,
  tools: Pick<RestoreTools, 'view' | 'identities' | 'signal'>,
): Promise<PreparedDrill> {
  const request = {
    wishes: [{ wanted, target: place.target }],
    createPool: undefined,
    ashift: undefined,
    makeParents: true,
    force: false,
    takeMountpoint: false,
  };
  const found = await prepareRestore(request, tools);
  const [item] = found.whole.items;
  if (!item) throw new Error('a restore of one dataset has no dataset');
  // The place itself is all that is missing above the target, and it is made with its mark.
  const whole = { ...found.whole, before: [makePlaceCommand(place)] };
  return { place, prepared: { ...found, whole }, item };
}

/** What a drill found. */
export interface Drilled {
  readonly drill: Drill;
  /** What it made and could not destroy, and why. */
  readonly left: unknown;
}

/**
 * Does the drill. What it made is destroyed whatever happens, unless it is to be kept.
 *
 * @param host where it is tried.
 * @throws {ZkeepError} the signal's reason, and what kept the drill from being done: a service, store or pool that
 *   is away or full. All else that fails is what the drill found.
 */
export async function performDrill(
  ready: PreparedDrill,
  tools: RestoreTools,
  { host, keep }: { readonly host: string; readonly keep: boolean },
): Promise<Drilled> {
  // Without the signal: what was interrupted is cleared as well.
  const clear = async () => (keep ? undefined : await cleared(ready.place, tools));
  let drill: Drill;
  try {
    drill = await tryIt(ready, tools, host);
  } catch (thrown) {
    await clear();
    throw thrown;
  }
  return { drill, left: await clear() };
}

/** @returns why the place could not be destroyed; `undefined`: it is gone. */
async function cleared(place: DrillPlace, { progress, ledgers }: RestoreTools): Promise<unknown> {
  await ledgers.remove(place.target);
  try {
    await clearPlace(place);
    return undefined;
  } catch (thrown) {
    progress.note(messageOf(thrown));
    return thrown;
  }
}

async function tryIt(ready: PreparedDrill, tools: RestoreTools, host: string): Promise<Drill> {
  const { place, prepared, item } = ready;
  const { signal } = tools;
  const { wanted, steps, bytes, stored } = item.looked.plan;
  const problems: string[] = [];
  const begun = systemClock.now();
  let restored = begun;
  let objects = 0;
  try {
    const [one] = await performWhole(prepared.whole, tools, prepared.abilities);
    restored = systemClock.now();
    if (one) problems.push(...problemsOf(one));
    objects = await compare(ready, tools);
  } catch (thrown) {
    if (restored === begun) restored = systemClock.now();
    signal.throwIfAborted();
    if (!isEvidence(thrown)) throw thrown;
    problems.push(messageOf(thrown));
  }
  return {
    host,
    target: place.target,
    lineage: wanted.lineage,
    dataset: wanted.dataset,
    guid: wanted.guid,
    name: wanted.name,
    created: wanted.created,
    passed: problems.length === 0,
    problems: problems.slice(0, MOST).map((words) => words.slice(0, LONGEST)),
    steps: steps.length,
    bytes,
    stored,
    restore_seconds: seconds(begun, restored),
    compare_seconds: seconds(restored, systemClock.now()),
    objects,
    properties: problems.length === 0 ? propertiesOf(item) : 0,
  };
}

async function compare({ place, item }: PreparedDrill, { progress, signal }: RestoreTools): Promise<number> {
  const { wanted, bytes: expected } = item.looked.plan;
  const facts = await listSource(place.target, signal);
  const name = facts.points.find(({ kind, guid }) => kind === 'snapshot' && guid === wanted.guid)?.name;
  const to = snapshotOf(place.target, name ?? wanted.name);
  const command = sendCommand({ to, from: undefined, flags: sendFlags(facts) });
  progress.begin(`${place.target} is read`);
  const tell = (bytes: number) => progress.tell({ bytes, total: Math.max(bytes, expected) });
  const meant = { guid: wanted.guid, type: item.looked.type };
  return (await readContent(sendStream(command, signal), meant, tell)).objects;
}

/** @throws what kept a property from being set that concerns the pool, and not what is stored: it is full, or away. */
function problemsOf({ differences, refused }: RestoredItem): string[] {
  for (const { thrown } of refused) if (isPassing(thrown)) throw thrown;
  return differences
    .filter(({ matters }) => matters)
    .map(({ name, property, why }) => `${property} of ${name} is not as it was: ${why}`);
}

function isPassing(thrown: unknown): boolean {
  return thrown instanceof ZkeepError && ['full', 'unavailable', 'busy', 'denied'].includes(thrown.kind);
}

/** All that the proof of the restore looked at. */
function propertiesOf({ looked: { stored, plan } }: RestoreItem): number {
  if (!stored.dataset) return 0;
  const received = new Set(plan.steps.map(({ to }) => to));
  const snapshots = stored.snapshots.filter(({ guid }) => received.has(guid)).map(({ object }) => object);
  return [stored.dataset, ...snapshots].reduce(
    (sum, { properties }) => sum + Object.keys(properties).length,
    0,
  );
}

/** The clock of a host may be set back at any moment. */
function seconds(from: number, to: number): number {
  return Math.max(0, (to - from) / 1000);
}
