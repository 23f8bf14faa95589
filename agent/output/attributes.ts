/** Attributes as people read them: what somebody set comes first. */
import type {
  HostAttributes,
  LustreHost,
  ObjectAttributes,
  ParsedAttributes,
  PoolAttributes,
  Property,
  PropertySource,
  Vdev,
} from '../../catalog/attributes/attributes.ts';
import { table } from './table.ts';
import { momentInWords, printable, sizeInWords } from './words.ts';

/** What somebody decided stands before what follows from it, and that before what only is so. */
const ORDER: readonly PropertySource[] = ['local', 'received', 'temporary', 'inherited', 'default', 'none'];
/** A longer value is cut; `--json` has it whole. */
const MAX_VALUE = 200;
/** Of more bookmarks the newest are shown; `--json` has all. */
const MAX_BOOKMARKS = 20;

/**
 * Dataset, snapshot, bookmarks, pool and host, each with a heading and a table.
 *
 * @param snapshot `pool/dataset@name` of the backup; other snapshots are only counted.
 */
export function attributesInWords(parsed: ParsedAttributes, snapshot: string | undefined): string {
  const { objects, pool, host } = parsed;
  const shown = objects.filter(({ name, kind }) => isDataset(kind) || name === snapshot);
  const bookmarks = objects.filter(({ kind }) => kind === 'bookmark');
  const others = objects.length - shown.length - bookmarks.length;
  return [
    ...shown.map(objectInWords),
    ...(others > 0 ? [`and ${others} other ${others === 1 ? 'snapshot' : 'snapshots'} (--json)`] : []),
    ...(bookmarks.length > 0 ? [bookmarksInWords(bookmarks)] : []),
    ...(pool ? [poolInWords(pool)] : []),
    ...(host ? [hostInWords(host)] : []),
  ].join('\n\n');
}

/** The rows of a property table: local and received first, each group by name. */
export function propertyRows(properties: Readonly<Record<string, Property>>): string[][] {
  return Object.entries(properties)
    .toSorted(
      ([name, one], [otherName, other]) =>
        ORDER.indexOf(one.source) - ORDER.indexOf(other.source) || (name < otherName ? -1 : 1),
    )
    .map(([name, property]) => [name, valueInWords(property.value), sourceInWords(property)]);
}

/** Where a value comes from, as `zfs get` says it, and the received value that a local one hides. */
export function sourceInWords({ source, from, received, value }: Property): string {
  const words = source === 'none' ? '-' : from === undefined ? source : `inherited from ${from}`;
  return received === undefined || received === value
    ? words
    : `${words}, received ${valueInWords(received)}`;
}

/** A value on one line: what is not text shows as the bytes that it is. */
export function valueInWords(value: string): string {
  const bytes = value.replace(/[\udc80-\udcff]/g, (half, at: number) =>
    isHighHalf(value.charCodeAt(at - 1)) ? half : `\\x${(half.charCodeAt(0) - 0xdc00).toString(16)}`,
  );
  return bytes.length > MAX_VALUE ? `${bytes.slice(0, MAX_VALUE)}...` : bytes;
}

function isHighHalf(code: number): boolean {
  return code >= 0xd800 && code < 0xdc00;
}

function isDataset(kind: ObjectAttributes['kind']): boolean {
  return kind === 'filesystem' || kind === 'volume';
}

const PROPERTY_COLUMNS = ['property', 'value', 'source'].map((title) => ({ title }));

function propertyTable(properties: Readonly<Record<string, Property>>): string {
  const rows = propertyRows(properties);
  return rows.length === 0 ? 'nothing is set' : table(PROPERTY_COLUMNS, rows);
}

function objectInWords({ name, kind, properties }: ObjectAttributes): string {
  return `${printable(name)}, a ${kind === 'filesystem' ? 'file system' : kind}\n${propertyTable(properties)}`;
}

/** A row for each bookmark, a column for each of their properties: none of them was set by anybody. */
function bookmarksInWords(bookmarks: readonly ObjectAttributes[]): string {
  const shown = bookmarks.slice(-MAX_BOOKMARKS);
  const told = new Set(shown.flatMap(({ properties }) => Object.keys(properties)));
  const others = [...told].filter((property) => property !== 'type' && property !== 'creation').toSorted();
  const rows = shown.map(({ name, properties }) => [
    valueInWords(name.slice(name.indexOf('#'))),
    createdInWords(properties['creation']),
    ...others.map((property) => valueInWords(properties[property]?.value ?? '-')),
  ]);
  const [dataset = ''] = (bookmarks[0]?.name ?? '').split('#', 1);
  const left = bookmarks.length - shown.length;
  return [
    `bookmarks of ${printable(dataset)}`,
    table(
      ['bookmark', 'created', ...others].map((title) => ({ title })),
      rows,
    ),
    ...(left > 0 ? [`and ${left} older ${left === 1 ? 'bookmark' : 'bookmarks'} (--json)`] : []),
  ].join('\n');
}

function createdInWords(creation: Property | undefined): string {
  return creation !== undefined && /^[0-9]{1,11}$/.test(creation.value)
    ? momentInWords(Number(creation.value))
    : '-';
}

function poolInWords({ name, guid, health, properties, vdevs }: PoolAttributes): string {
  const facts = [guid === null ? [] : `GUID ${guid}`, health === null ? [] : health].flat();
  const heading = [`pool ${printable(name)}`, ...facts.map(printable)].join(', ');
  const isFeature = (property: string) => property.startsWith('feature@');
  const others = Object.fromEntries(Object.entries(properties).filter(([property]) => !isFeature(property)));
  const features = Object.entries(properties).filter(([property]) => isFeature(property));
  return [
    `${heading}\n${propertyTable(others)}`,
    ...(features.length > 0 ? [`features of ${printable(name)}\n${featureTable(features)}`] : []),
    ...(vdevs.length > 0 ? [`vdevs of ${printable(name)}\n${vdevTable(vdevs)}`] : []),
  ].join('\n\n');
}

/** A feature is there or not, whoever decided it: a row for all that are alike. */
function featureTable(features: readonly [string, Property][]): string {
  const alike = Map.groupBy(features, ([, { value }]) => value);
  const rows = [...alike]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([value, some]) => [
      value,
      some
        .map(([property]) => property.slice('feature@'.length))
        .toSorted()
        .join(', '),
    ]);
  return table([{ title: 'state' }, { title: 'features' }], rows);
}

function vdevTable(vdevs: readonly Vdev[]): string {
  const columns = ['vdev', 'type', 'for', 'state', 'size', 'ashift'].map((title) => ({ title }));
  const rows = vdevs.map(({ level, name, type, role, state, size, ashift }) => [
    `${'  '.repeat(level)}${name}`,
    type,
    role,
    state ?? '-',
    size === null ? '-' : sizeInWords(Number(size)),
    ashift === null ? '-' : String(ashift),
  ]);
  return table(columns, rows);
}

function hostInWords({ name, os, kernel, zfs, hostid, parameters, lustre }: HostAttributes): string {
  const rows: [string, string | null][] = [
    ['system', os],
    ['kernel', kernel],
    ['zfs', zfs.userland],
    ['zfs module', zfs.module],
    ['hostid', hostid ?? 'none'],
    ...Object.entries(parameters).toSorted(([one], [other]) => (one < other ? -1 : 1)),
    ...(lustre ? lustreRows(lustre) : []),
  ];
  const told = rows.map(([what, value]) => [what, valueInWords(value ?? '-')]);
  return `host ${printable(name)}\n${table([{ title: 'fact' }, { title: 'value' }], told)}`;
}

function lustreRows({ version, nids, mounts }: LustreHost): [string, string | null][] {
  return [
    ['lustre', version],
    ...nids.map((nid): [string, string] => ['lustre nid', nid]),
    ...mounts.map(({ device, mountpoint }): [string, string] => [
      'lustre mount',
      `${device} on ${mountpoint}`,
    ]),
  ];
}
