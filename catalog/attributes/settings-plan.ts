/**
 * What must be set on a restored dataset so that it is what it was: a stream
 * carries blocks, not properties. Decided purely, printed by `--dry-run`.
 */
import type { ObjectAttributes, Property } from './attributes.ts';
import { propertyRole } from './properties.ts';
import { type ZfsHere, zfsAtLeast } from './zfs-here.ts';

/** One property to be set as a local one. */
export interface SetProperty {
  /** `pool/dataset` or `pool/dataset@snapshot`, at the target. */
  readonly object: string;
  readonly property: string;
  readonly value: string;
}

/** A property that will not be as it was. */
export interface SkippedProperty {
  /** At the target. */
  readonly name: string;
  readonly property: string;
  readonly reason: string;
  /** Whether a restore without it is no success. */
  readonly matters: boolean;
}

/** What a stream brings with it as `received`, by the object that gets it. */
export type ReceivedProperties = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** What is to be done about the properties of one dataset and its snapshots. */
export interface SettingsPlan {
  /** Local ones, in the order in which they are set. */
  readonly settings: readonly SetProperty[];
  /** What was received there and is to be received here again: dataset and snapshots. */
  readonly received: ReceivedProperties;
  /** `zfs set ...`, after all data has come: a quota would keep it out. */
  readonly commands: readonly (readonly string[])[];
  readonly skipped: readonly SkippedProperty[];
}

/** The question to {@link planSettings}. */
export interface SettingsQuestion {
  /** The dataset as it was. */
  readonly stored: ObjectAttributes;
  /** Each snapshot that is restored, by its name at the source. */
  readonly snapshots: readonly ObjectAttributes[];
  readonly target: string;
  /** The ZFS that restores. */
  readonly here: ZfsHere;
  /** The version of the ZFS that told the stored properties, `null` when nobody knows. */
  readonly there: string | null;
  readonly options: {
    /** Take over where and whether it is mounted. */
    readonly mountpoint: boolean;
  };
}

/**
 * Plans the properties of a restored dataset: local ones become local,
 * received ones received, inherited ones and defaults are left alone. A
 * snapshot's own properties stay on that snapshot.
 *
 * @example planSettings({ stored, snapshots: [], target: 'new/mgt', here, there: '2.3.9', options })
 */
export function planSettings(question: SettingsQuestion): SettingsPlan {
  const { stored, snapshots, target } = question;
  const found = [stored, ...snapshots].map((object) => settingsOf(object, question));
  const settings = found.flatMap((one) => one.settings);
  const received = new Map(found.map((one) => [one.name, one.received] as const));
  for (const [name, properties] of received) if (properties.size === 0) received.delete(name);
  return {
    settings: [...settings.filter(isOf(target)), ...settings.filter((one) => !isOf(target)(one))],
    received,
    commands: commandsFor(settings),
    skipped: found.flatMap((one) => one.skipped),
  };
}

/** The commands that set these, few and none too long; of one object a command sets one kind. */
export function commandsFor(settings: readonly SetProperty[]): string[][] {
  const groups = Map.groupBy(settings, ({ object, property }) => `${rankOf(property)} ${object}`);
  return [...groups].flatMap(([, group]) => chunked(group).map(setCommand));
}

/** The received ones as local ones: for a target whose data has come already. */
export function receivedAsLocal(
  received: ReceivedProperties,
  settings: readonly SetProperty[],
): SetProperty[] {
  const local = new Set(settings.map(({ object, property }) => `${object} ${property}`));
  return [...received].flatMap(([object, properties]) =>
    [...properties]
      .filter(([property]) => !local.has(`${object} ${property}`))
      .map(([property, value]) => ({ object, property, value })),
  );
}

/** Whether two values say the same: `xattr=on` is `sa` since OpenZFS 2.3 and `dir` before. */
export function meaningOf(property: string, value: string, version: string | null): string {
  if (property !== 'xattr' || value !== 'on') return value;
  return version === null || zfsAtLeast(version, 2, 3) ? 'sa' : 'dir';
}

interface Found {
  readonly name: string;
  readonly settings: SetProperty[];
  readonly received: Map<string, string>;
  readonly skipped: SkippedProperty[];
}

function settingsOf(object: ObjectAttributes, question: SettingsQuestion): Found {
  const name = nameAtTarget(object.name, question.target);
  const found: Found = { name, settings: [], received: new Map(), skipped: [] };
  const entries = Object.entries(object.properties).toSorted(([one], [other]) => (one < other ? -1 : 1));
  for (const [property, stored] of entries) addOne(found, object, property, stored, question);
  found.settings.sort((one, other) => rankOf(one.property) - rankOf(other.property));
  return found;
}

function addOne(
  found: Found,
  object: ObjectAttributes,
  property: string,
  stored: Property,
  question: SettingsQuestion,
): void {
  const { source, received } = stored;
  const given = source === 'received' ? (received ?? stored.value) : received;
  if (source !== 'local' && given === undefined) return;
  if (!isCarried(object, property)) return;
  const refusal = whyNot(object, property, stored, question);
  if (refusal) {
    found.skipped.push({ name: found.name, property, ...refusal });
    return;
  }
  if (given !== undefined) found.received.set(property, written(property, given, question));
  if (source !== 'local') return;
  if (!stored.value.isWellFormed()) {
    found.received.set(property, stored.value);
    found.skipped.push({ name: found.name, property, reason: ONLY_BYTES, matters: false });
    return;
  }
  found.settings.push({ object: found.name, property, value: written(property, stored.value, question) });
}

/** Whether it is for a person to set, rather than what the stream itself made of the dataset. */
function isCarried(object: ObjectAttributes, property: string): boolean {
  // A volume's size and what a key is made of come with the stream.
  if (property === 'volsize') return false;
  if (property === 'keylocation') return object.properties['encryptionroot']?.value === object.name;
  const role = propertyRole(property, object.kind);
  if (object.kind === 'snapshot' || object.kind === 'bookmark') return role === 'user';
  return role === 'settable' || role === 'user' || role === 'unknown';
}

type Refusal = Pick<SkippedProperty, 'reason' | 'matters'>;

function whyNot(
  object: ObjectAttributes,
  property: string,
  stored: Property,
  { here, options }: SettingsQuestion,
): Refusal | undefined {
  const user = propertyRole(property, object.kind) === 'user';
  if (!user && here.properties.size > 0 && !here.properties.has(property)) {
    return { reason: `the ZFS of this host${versionIn(here)} does not know it`, matters: false };
  }
  // What never mounts may always be taken over.
  if (options.mountpoint || HARMLESS.has(`${property}=${stored.value}`)) return undefined;
  if (property === 'mountpoint') return { reason: UNASKED, matters: false };
  if (property === 'canmount') return { reason: `${UNASKED}: it is noauto`, matters: false };
  return undefined;
}

const UNASKED = 'where and whether it is mounted is taken over only with --take-mountpoint';

/** Bytes that are not UTF-8 stand as lone surrogates (see `PropertySchema`); Node gives a child none. */
const ONLY_BYTES = 'it holds bytes that are no text, so it comes with the stream, as a received value';

const HARMLESS: ReadonlySet<string> = new Set(['canmount=off', 'mountpoint=none', 'mountpoint=legacy']);

/** As it must be written here to mean the same. */
function written(property: string, value: string, { there }: SettingsQuestion): string {
  return meaningOf(property, value, there);
}

/** User properties first, which any ZFS takes; last what limits what may be done with the dataset. */
function rankOf(property: string): number {
  if (LAST.has(property)) return 2;
  return property.includes(':') ? 0 : 1;
}

const LAST: ReadonlySet<string> = new Set([
  'quota',
  'refquota',
  'reservation',
  'refreservation',
  'filesystem_limit',
  'snapshot_limit',
  'readonly',
  'zoned',
  'jailed',
]);

/** Most bytes of properties in one command; a single one has at most 8 KiB. */
const MAX_WORDS = 64 * 1024;
const MAX_PROPERTIES = 100;

function chunked(settings: readonly SetProperty[]): SetProperty[][] {
  const chunks: SetProperty[][] = [];
  let bytes = 0;
  for (const setting of settings) {
    const size = Buffer.byteLength(setting.property) + Buffer.byteLength(setting.value) + 2;
    const last = chunks.at(-1);
    if (!last || bytes + size > MAX_WORDS || last.length >= MAX_PROPERTIES) {
      chunks.push([setting]);
      bytes = size;
    } else {
      last.push(setting);
      bytes += size;
    }
  }
  return chunks;
}

/** A name may begin with a dash: after `--` it is no option (OpenZFS 2.2 and later read options here). */
function setCommand(settings: readonly SetProperty[]): string[] {
  const words = settings.map(({ property, value }) => `${property}=${value}`);
  const guard = words.some((word) => word.startsWith('-')) ? ['--'] : [];
  return ['zfs', 'set', ...guard, ...words, settings[0]?.object ?? ''];
}

/** `tank/a@one` of `tank/a` at `new/b`: `new/b@one`. */
function nameAtTarget(name: string, target: string): string {
  const at = name.search(/[@#]/);
  return at < 0 ? target : `${target}${name.slice(at)}`;
}

const isOf =
  (target: string) =>
  ({ object }: SetProperty) =>
    object === target;

function versionIn({ version }: ZfsHere): string {
  return version === null ? '' : ` (${version})`;
}
