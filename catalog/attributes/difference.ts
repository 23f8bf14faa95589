/**
 * Settings: what of all the attributes somebody chose, and what changed between
 * two times. Names of dataset and pool are no part of it: a renamed dataset, or one
 * that was restored onto a pool of another name, has the same settings.
 */
import type {
  HostAttributes,
  ObjectAttributes,
  ParsedAttributes,
  PoolAttributes,
  Property,
  Vdev,
} from './attributes.ts';
import { poolPropertyRole, propertyRole } from './properties.ts';

/** Whose setting it is. */
export type Scope = 'dataset' | 'snapshot' | 'pool' | 'host';

/** One setting. */
export interface Setting {
  readonly scope: Scope;
  /** The object's name; for the host its name. */
  readonly name: string;
  readonly property: string;
  readonly value: string;
  /** A word of `PropertySource`; `none` for what has no source. */
  readonly source: string;
  /** The dataset that it is inherited from. */
  readonly from?: string;
}

/** A setting that differs. */
export interface Change {
  readonly scope: Scope;
  /** The object's name after, or before where it is not there any more. */
  readonly name: string;
  readonly property: string;
  readonly before: Setting | null;
  readonly after: Setting | null;
}

/**
 * The settings in attributes, in a fixed order: of the dataset all that does not
 * change by itself, of its snapshots the user properties that are their own, of
 * the pool what can be set, its features and the build of its vdevs, of the host
 * versions, host id and module parameters.
 *
 * @example settingsOf(parsed, 'tank/home').find(({ property }) => property === 'quota')?.value
 */
export function settingsOf(parsed: ParsedAttributes, dataset: string): Setting[] {
  const settings = parsed.objects.flatMap((object) => {
    if (object.name === dataset) return ofDataset(object);
    return object.kind === 'snapshot' ? ofSnapshot(object) : [];
  });
  if (parsed.pool) settings.push(...ofPool(parsed.pool));
  if (parsed.host) settings.push(...ofHost(parsed.host));
  return settings.toSorted(byOrder);
}

/**
 * What changed. A property that nobody set is the same as one that is not there,
 * so a newer ZFS with more properties changes nothing; a feature that came into
 * use is still the enabled one. Of what only one side was told of (no pool, no host:
 * a file made by hand) nothing can have changed.
 *
 * @example compareSettings(settingsOf(then, dataset), settingsOf(now, dataset))
 */
export function compareSettings(before: readonly Setting[], after: readonly Setting[]): Change[] {
  const oneEach = snapshotsIn(before).size <= 1 && snapshotsIn(after).size <= 1;
  const key = (setting: Setting) => keyOf(setting, oneEach);
  const told = [scopesIn(before), scopesIn(after)];
  const isTold = ({ scope }: Setting) => scope === 'snapshot' || told.every((scopes) => scopes.has(scope));
  const olds = new Map(before.filter(isTold).map((setting) => [key(setting), setting]));
  const news = new Map(after.filter(isTold).map((setting) => [key(setting), setting]));
  return [...new Set([...olds.keys(), ...news.keys()])]
    .flatMap((one) => changeOf(olds.get(one) ?? null, news.get(one) ?? null))
    .toSorted(byOrder);
}

/** Facts that say which dataset it is, or how it is at the moment, not how it is set. */
const PASSING = new Set([
  'clones',
  'createtxg',
  'creation',
  'defer_destroy',
  'guid',
  'inconsistent',
  'ivsetguid',
  'keyguid',
  'keystatus',
  'mounted',
  'name',
  'numclones',
  'objsetid',
  'prevsnap',
  'receive_resume_token',
  'remaptxg',
  'unique',
]);

function ofDataset({ name, kind, properties }: ObjectAttributes): Setting[] {
  return Object.entries(properties)
    .filter(([property]) => propertyRole(property, kind) !== 'statistic' && !PASSING.has(property))
    .map(([property, told]) => settingOf('dataset', name, property, told));
}

function ofSnapshot({ name, kind, properties }: ObjectAttributes): Setting[] {
  return Object.entries(properties)
    .filter(([property, { source }]) => propertyRole(property, kind) === 'user' && OWN.has(source))
    .map(([property, told]) => settingOf('snapshot', name, property, told));
}

const OWN: ReadonlySet<string> = new Set(['local', 'received']);

function ofPool({ name, properties, vdevs }: PoolAttributes): Setting[] {
  const set = Object.entries(properties).filter(([property]) => {
    const role = poolPropertyRole(property);
    // The alternative root is of one import.
    return role !== 'statistic' && role !== 'fact' && property !== 'altroot';
  });
  const settings = set.map(([property, told]) => settingOf('pool', name, property, told));
  if (vdevs.length === 0) return settings;
  const ashifts = vdevs.filter(({ level, ashift }) => level === 0 && ashift !== null);
  const sizes = [...new Set(ashifts.map(({ ashift }) => String(ashift)))].toSorted();
  if (sizes.length > 0) settings.push(plain('pool', name, 'vdev ashift', sizes.join(', ')));
  return [...settings, plain('pool', name, 'vdev layout', layoutOf(vdevs))];
}

function ofHost(host: HostAttributes): Setting[] {
  const told: [string, string | null][] = [
    ['os', host.os],
    ['kernel', host.kernel],
    ['zfs', host.zfs.userland],
    ['zfs module', host.zfs.module],
    ['hostid', host.hostid],
    ['lustre', host.lustre?.version ?? null],
    ...Object.entries(host.parameters).map(([name, value]): [string, string] => [`parameter ${name}`, value]),
  ];
  return told.flatMap(([property, value]) =>
    value === null ? [] : [plain('host', host.name, property, value)],
  );
}

/**
 * How a pool is built, without names and sizes: `mirror(disk disk) x2, log disk`.
 * A vdev that is being replaced counts as the one that it is.
 */
function layoutOf(vdevs: readonly Vdev[]): string {
  const tops: { role: Vdev['role']; type: string; children: string[] }[] = [];
  let skipped = Number.POSITIVE_INFINITY;
  for (const { level, type, role } of vdevs) {
    if (level > skipped) continue;
    const passing = type === 'replacing' || type === 'spare';
    skipped = passing ? level : Number.POSITIVE_INFINITY;
    const kind = passing || type === 'file' ? 'disk' : type;
    if (level === 0) tops.push({ role, type: kind, children: [] });
    else tops.at(-1)?.children.push(kind);
  }
  const words = tops.map(({ role, type, children }) => {
    const kinds = [...new Set(children)];
    const inside = kinds.map((kind) => `${children.filter((one) => one === kind).length} ${kind}`);
    return `${role === 'data' ? '' : `${role} `}${type}${inside.length > 0 ? `(${inside.join(' ')})` : ''}`;
  });
  const times = Map.groupBy(words, (word) => word);
  return [...times].map(([word, { length }]) => (length > 1 ? `${length} x ${word}` : word)).join(', ');
}

function settingOf(scope: Scope, name: string, property: string, told: Property): Setting {
  const { value, source, from } = told;
  return { scope, name, property, value, source, ...(from === undefined ? {} : { from }) };
}

function plain(scope: Scope, name: string, property: string, value: string): Setting {
  return { scope, name, property, value, source: 'none' };
}

function changeOf(before: Setting | null, after: Setting | null): Change[] {
  const either = after ?? before;
  if (!either) return [];
  const same = before && after ? meaningOf(before) === meaningOf(after) : isUnset(before ?? after ?? either);
  if (same) return [];
  return [{ scope: either.scope, name: either.name, property: either.property, before, after }];
}

/** What a setting says, without the names of dataset and pool. */
function meaningOf(setting: Setting): string {
  const { name, property, source, from } = setting;
  const value = comparableValue(setting);
  return JSON.stringify([property, value, source, from === undefined ? null : distanceOf(name, from)]);
}

function comparableValue({ scope, name, property, value, source }: Setting): string {
  if (property.startsWith('feature@')) return value === 'active' ? 'enabled' : value;
  // Made of the dataset's name, where nobody chose another one.
  if (property === 'mountpoint' && source === 'default') return '';
  if (property === 'encryptionroot' && value !== '-') return distanceOf(name, value);
  const pool = name.split(/[/@]/, 1)[0] ?? name;
  const isName =
    (scope === 'dataset' && property === 'origin') || (scope === 'pool' && property === 'bootfs');
  if (isName && value.startsWith(pool)) return value.slice(pool.length);
  return value;
}

/** How far above a dataset an ancestor is; the name itself of what is none. */
function distanceOf(name: string, from: string): string {
  const dataset = name.split('@', 1)[0] ?? name;
  if (from === dataset) return '0';
  if (!dataset.startsWith(`${from}/`)) return from;
  return String(dataset.slice(from.length).split('/').length - 1);
}

function isUnset({ scope, property, value, source }: Setting): boolean {
  // Not every version and not every pool lets itself be asked how it is built.
  if (scope === 'pool' && property.startsWith('vdev ')) return true;
  if (property.startsWith('feature@')) return value === 'disabled';
  return source === 'default';
}

/** Each scope has one object, and of snapshots those of the same name belong together. */
function keyOf({ scope, name, property }: Setting, oneSnapshotEach: boolean): string {
  const which = scope === 'snapshot' && !oneSnapshotEach ? name.slice(name.indexOf('@') + 1) : '';
  return JSON.stringify([scope, which, property]);
}

function scopesIn(settings: readonly Setting[]): Set<Scope> {
  return new Set(settings.map(({ scope }) => scope));
}

function snapshotsIn(settings: readonly Setting[]): Set<string> {
  return new Set(settings.flatMap(({ scope, name }) => (scope === 'snapshot' ? [name] : [])));
}

const SCOPES: readonly Scope[] = ['dataset', 'snapshot', 'pool', 'host'];

interface Placed {
  readonly scope: Scope;
  readonly name: string;
  readonly property: string;
}

function byOrder(one: Placed, other: Placed): number {
  return (
    SCOPES.indexOf(one.scope) - SCOPES.indexOf(other.scope) ||
    compareText(one.name, other.name) ||
    compareText(one.property, other.property)
  );
}

/** By code units, so that the order is the same on every host. */
function compareText(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
