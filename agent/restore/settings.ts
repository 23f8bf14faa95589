/** The properties of one restored dataset: decided purely from what was stored, then set. */
import type { ObjectAttributes } from '../../catalog/attributes/attributes.ts';
import { carriedInPackage } from '../../catalog/attributes/received.ts';
import {
  commandsFor,
  planSettings,
  type SetProperty,
  type SettingsPlan,
  type SkippedProperty,
} from '../../catalog/attributes/settings-plan.ts';
import type { ZfsHere } from '../../catalog/attributes/zfs-here.ts';
import { messageOf } from '../../catalog/errors.ts';
import type { RestorePlan } from '../../catalog/protocol/protocol.ts';
import type { NvList } from '../../catalog/stream/nvlist.ts';
import type { BackupId, Guid } from '../../catalog/words.ts';
import { poolOf } from '../zfs/names.ts';
import { run } from '../zfs/run.ts';
import { snapshotOf } from '../zfs/snapshot.ts';
import type { Stored } from './stored.ts';

/** What a stream is to bring as `received`: it is made a package for that. */
export interface Wrap {
  readonly properties: NvList;
  readonly snapshotProperties: NvList;
}

/** What is done about properties. */
export interface DecidedSettings {
  readonly settings: readonly SetProperty[];
  readonly commands: readonly (readonly string[])[];
  readonly skipped: readonly SkippedProperty[];
  /** By the backup whose stream brings them. */
  readonly wraps: ReadonlyMap<BackupId, Wrap>;
}

/** The question to {@link decideSettings}. */
export interface SettingsDecision {
  readonly plan: RestorePlan;
  readonly target: string;
  readonly stored: Stored;
  /** Snapshots that the target has already. */
  readonly have: readonly Guid[];
  /** Objects of the target as they are now, by name; only what differs from them is set. */
  readonly now: ReadonlyMap<string, ObjectAttributes>;
  readonly here: ZfsHere;
  readonly takeMountpoint: boolean;
  /** Backups whose streams cannot be put into a package. */
  readonly unwrappable: ReadonlySet<BackupId>;
}

/**
 * Decides which properties come with the streams, and which are set after them.
 *
 * @example decideSettings({ plan, target: 'new/a', stored, have: [], now: new Map(), here, ... })
 */
export function decideSettings(decision: SettingsDecision): DecidedSettings {
  const { plan, target, stored, here, takeMountpoint, have, now } = decision;
  if (!stored.dataset) return { settings: [], commands: [], skipped: [], wraps: new Map() };
  const standing = new Set([...have, ...plan.steps.map(({ to }) => to)]);
  const snapshots = stored.snapshots.filter(({ guid }) => standing.has(guid));
  const settings = planSettings({
    stored: stored.dataset,
    snapshots: snapshots.map(({ object, name }) => ({ ...object, name: snapshotOf(target, name) })),
    target,
    here,
    there: stored.version,
    options: { mountpoint: takeMountpoint },
  });
  const { wraps, left, lost } = wrapsFor(decision, settings);
  const set = [...settings.settings, ...left].filter((setting) => !isSetAlready(setting, now));
  return { settings: set, commands: commandsFor(set), skipped: [...lost, ...settings.skipped], wraps };
}

/**
 * What the root of a new pool gets: the values that restored datasets had
 * inherited from the root of the stored one.
 *
 * @param sources names of the restored datasets as they were.
 */
export function decideRootSettings(
  pool: string,
  stored: readonly ObjectAttributes[],
  here: ZfsHere,
  version: string | null,
): SetProperty[] {
  const sources = new Set(stored.map(({ name }) => name));
  const properties: Record<string, ObjectAttributes['properties'][string]> = {};
  for (const dataset of stored) {
    for (const [property, value] of Object.entries(dataset.properties)) {
      const { source, from } = value;
      if (source !== 'inherited' || from !== poolOf(dataset.name) || sources.has(from)) continue;
      if (property !== 'mountpoint') properties[property] ??= { value: value.value, source: 'local' };
    }
  }
  const root: ObjectAttributes = { name: pool, kind: 'filesystem', properties };
  const options = { mountpoint: false };
  return [
    ...planSettings({ stored: root, snapshots: [], target: pool, here, there: version, options }).settings,
  ];
}

/** A property that ZFS refused to set. */
export interface RefusedSetting extends SetProperty {
  readonly message: string;
  readonly thrown: unknown;
}

/**
 * Runs the commands. Where one fails, its properties are set one by one, so that
 * one that is refused keeps no other back.
 */
export async function applySettings(
  settings: readonly SetProperty[],
  signal: AbortSignal,
): Promise<RefusedSetting[]> {
  const refused: RefusedSetting[] = [];
  for (const group of Map.groupBy(settings, ({ object }) => object).values()) {
    for (const command of commandsFor(group)) {
      if (await runs(command, signal)) continue;
      const some = group.filter(({ property, value }) => command.includes(`${property}=${value}`));
      refused.push(...(await setOneByOne(some, signal)));
    }
  }
  return refused;
}

async function setOneByOne(settings: readonly SetProperty[], signal: AbortSignal): Promise<RefusedSetting[]> {
  const refused: RefusedSetting[] = [];
  for (const setting of settings) {
    const [command = []] = commandsFor([setting]);
    try {
      await run(command, { signal });
    } catch (thrown) {
      signal.throwIfAborted();
      refused.push({ ...setting, message: messageOf(thrown), thrown });
    }
  }
  return refused;
}

async function runs(command: readonly string[], signal: AbortSignal): Promise<boolean> {
  try {
    await run(command, { signal });
    return true;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

const NO_WAY = 'it holds bytes that are no text, which only a stream can bring, and none is received';

/** The dataset's come with the last stream, a snapshot's with its own; what no stream can bring is set. */
function wrapsFor(
  { plan, target, stored, unwrappable, now }: SettingsDecision,
  { received, settings }: SettingsPlan,
): { wraps: Map<BackupId, Wrap>; left: SetProperty[]; lost: SkippedProperty[] } {
  const wraps = new Map<BackupId, Wrap>();
  const left: SetProperty[] = [];
  const lost: SkippedProperty[] = [];
  const local = new Set(settings.map(({ object, property }) => `${object} ${property}`));
  const bringer = new Map(
    stored.snapshots.map(({ guid, name }) => [
      snapshotOf(target, name),
      plan.steps.find(({ to }) => to === guid)?.backup,
    ]),
  );
  for (const [object, values] of received) {
    const backup = object === target ? plan.steps.at(-1)?.backup : bringer.get(object);
    const carries = backup !== undefined && !unwrappable.has(backup);
    const carried = carries ? carriedInPackage(values) : { properties: new Map(), left: values };
    if (backup !== undefined && carried.properties.size > 0) {
      const before = wraps.get(backup) ?? { properties: new Map(), snapshotProperties: new Map() };
      const part = object === target ? 'properties' : 'snapshotProperties';
      wraps.set(backup, { ...before, [part]: carried.properties });
    }
    for (const [property, value] of carried.left) {
      if (local.has(`${object} ${property}`) || isReceived(now, object, property, value)) continue;
      if (value.isWellFormed()) left.push({ object, property, value });
      else lost.push({ name: object, property, reason: NO_WAY, matters: true });
    }
  }
  return { wraps, left, lost };
}

function isReceived(now: SettingsDecision['now'], object: string, property: string, value: string): boolean {
  return now.get(object)?.properties[property]?.received === value;
}

function isSetAlready({ object, property, value }: SetProperty, now: SettingsDecision['now']): boolean {
  const found = now.get(object)?.properties[property];
  return found?.source === 'local' && found.value === value;
}
