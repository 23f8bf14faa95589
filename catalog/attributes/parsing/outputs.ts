/** From what commands printed to what it says: recognised by the words of the commands, total, without any I/O. */
import type {
  CommandOutput,
  ObjectAttributes,
  ParsedAttributes,
  PoolAttributes,
  Property,
  Vdev,
} from '../attributes.ts';
import { commandOf } from './command.ts';
import { hostOf } from './host.ts';
import { mergeObjects } from './merge.ts';
import { textOf } from './text.ts';
import { joined, vdevsOfProperties, vdevsOfStatusJson } from './vdev-properties.ts';
import { vdevsOfList, vdevsOfStatus, withConfiguration } from './vdevs.ts';
import { type ConfiguredVdev, vdevsOfZdb } from './zdb.ts';
import type { Doubt } from './zfs-get.ts';
import { type JsonObjects, poolsOfZpoolJson } from './zfs-json.ts';
import { poolsOfAligned, poolsOfZpoolGet } from './zpool-get.ts';

/**
 * Takes apart what the commands printed about a dataset, its pool and its host.
 * Commands that it does not know are passed over; what cannot be read leaves its
 * part empty or `null`. Never throws.
 *
 * @param dataset `pool/dataset`: of other datasets that the outputs tell of nothing is taken.
 * @example parseOutputs('tank/home', attributes.outputs).objects[0]?.properties['quota']?.value // '1073741824'
 */
export function parseOutputs(dataset: string, outputs: readonly CommandOutput[]): ParsedAttributes {
  const { objects } = mergeObjects(outputs);
  const [pool = dataset] = dataset.split('/', 1);
  return {
    objects: [...objects]
      .filter(([name]) => isOf(dataset, name))
      .map(([name, properties]) => objectOf(name, properties))
      .toSorted(byPlace),
    pool: poolOf(pool, outputs),
    host: hostOf(outputs),
  };
}

/**
 * Properties whose values the outputs leave in doubt, because they hold tabs or
 * newlines: to be asked for one by one with `zfs get -Hp -o value`, `-o received`
 * and `-o source`, whose outputs {@link parseOutputs} then believes.
 *
 * @example doubtfulIn(outputs) // [{ name: 'tank/home', property: 'lab:note' }]
 */
export function doubtfulIn(outputs: readonly CommandOutput[]): Doubt[] {
  return mergeObjects(outputs).doubtful;
}

/** Longest name that the format takes, characters. */
const MAX_NAME = 1024;

function isOf(dataset: string, name: string): boolean {
  if (!name.startsWith(dataset) || name.length > MAX_NAME) return false;
  return name === dataset || name[dataset.length] === '@' || name[dataset.length] === '#';
}

function objectOf(name: string, properties: ReadonlyMap<string, Property>): ObjectAttributes {
  const kind = name.includes('@')
    ? 'snapshot'
    : name.includes('#')
      ? 'bookmark'
      : properties.get('type')?.value === 'volume' || properties.has('volsize')
        ? 'volume'
        : 'filesystem';
  return { name, kind, properties: Object.fromEntries(properties) };
}

/** The dataset itself first, the others in the order in which they were made. */
function byPlace(one: ObjectAttributes, other: ObjectAttributes): number {
  return placeOf(one) - placeOf(other);
}

function placeOf({ kind, properties }: ObjectAttributes): number {
  if (kind === 'filesystem' || kind === 'volume') return -1;
  const txg = Number(properties['createtxg']?.value);
  return Number.isFinite(txg) ? txg : Number.MAX_VALUE;
}

function poolOf(name: string, outputs: readonly CommandOutput[]): PoolAttributes | null {
  const properties = new Map<string, Property>();
  let listed: Vdev[] = [];
  let state: Vdev[] = [];
  let configured: Map<string, ConfiguredVdev> = new Map();
  for (const output of outputs) {
    const { name: command, flags, rest } = commandOf(output.command);
    if (command === 'zpool get' && rest.length > 2) {
      configured = joined(configured, vdevsOfProperties(textOf(output)));
    } else if (command === 'zpool get') {
      for (const [property, told] of poolsIn(output).get(name) ?? []) {
        if (!properties.has(property)) properties.set(property, told);
      }
    } else if (command === 'zdb') configured = joined(configured, vdevsOfZdb(textOf(output)));
    else if (command === 'zpool status' && flags.has('j')) {
      configured = joined(configured, vdevsOfStatusJson(textOf(output), name));
    } else if (flags.has('j')) continue;
    else if (command === 'zpool list' && listed.length === 0) listed = vdevsOfList(textOf(output), name);
    else if (command === 'zpool status' && state.length === 0) state = vdevsOfStatus(textOf(output), name);
  }
  const vdevs = listed.length > 0 ? listed : state;
  if (properties.size === 0 && vdevs.length === 0) return null;
  const guid = properties.get('guid')?.value ?? '';
  return {
    name,
    guid: /^[0-9]{1,20}$/.test(guid) ? guid : null,
    health: properties.get('health')?.value ?? null,
    properties: Object.fromEntries(properties),
    vdevs: withConfiguration(vdevs, configured),
  };
}

function poolsIn(output: CommandOutput): JsonObjects {
  const { flags, values } = commandOf(output.command);
  const text = textOf(output);
  if (flags.has('j')) return poolsOfZpoolJson(text);
  return flags.has('H') ? poolsOfZpoolGet(text, values.get('o')) : poolsOfAligned(text);
}
