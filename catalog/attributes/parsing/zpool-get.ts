/** Properties of pools: `zpool get -Hp`, and its form for people. */
import type { Property } from '../attributes.ts';
import { columnsOf, rowsOfZfsGet, sourceOf } from './zfs-get.ts';
import type { JsonObjects } from './zfs-json.ts';

/** The first property of each pool in `zpool get all`. */
const OPENER = 'size';

/** Properties of each pool that `zpool get -H` tells; its `-o all` has no received values. */
export function poolsOfZpoolGet(text: string, option?: string): JsonObjects {
  const columns = columnsOf(option === 'all' ? undefined : option);
  const pools = new Map<string, Map<string, Property>>();
  if (!columns) return pools;
  for (const { name, property, reading } of rowsOfZfsGet(text, columns, undefined, OPENER)) {
    if (reading) addProperty(pools, name, property, reading);
  }
  return pools;
}

/**
 * Properties of each pool in the form for people: a header, and columns that
 * spaces align. Empty when the text does not begin with that header.
 */
export function poolsOfAligned(text: string): JsonObjects {
  const pools = new Map<string, Map<string, Property>>();
  const [header = '', ...lines] = text.split('\n');
  if (!/^NAME +PROPERTY +VALUE +SOURCE *\r?$/.test(header)) return pools;
  const [atProperty, atValue] = [header.indexOf('PROPERTY'), header.indexOf('VALUE')];
  for (const line of lines) {
    const name = line.slice(0, atProperty).trim();
    const property = line.slice(atProperty, atValue).trim();
    // A value that is wider than its column pushes the source to the right: that is read from the end.
    const columns = line.slice(atValue);
    const end = /(?:^| )(-|default|local|received|temporary) *\r?$/.exec(columns);
    const source = sourceOf(end?.[1] ?? '');
    if (name && property && end && source) {
      addProperty(pools, name, property, { value: columns.slice(0, end.index).trimEnd(), ...source });
    }
  }
  return pools;
}

function addProperty(
  pools: Map<string, Map<string, Property>>,
  name: string,
  property: string,
  told: Property,
): void {
  const known = pools.get(name) ?? new Map<string, Property>();
  if (!known.has(property)) known.set(property, told);
  pools.set(name, known);
}
