/**
 * What else tells of vdevs: their properties (OpenZFS 2.2 and later), which say the
 * ashift where `zdb` cannot (a pool with `cachefile=none`), and the JSON of a status.
 */
import type { ConfiguredVdev } from './zdb.ts';
import { isRecord, parseZfsJson, recordsIn } from './zfs-json.ts';

/** `zpool get -Hp path,ashift POOL all-vdevs`: a vdev by its path where it has one. */
export function vdevsOfProperties(text: string): Map<string, ConfiguredVdev> {
  const paths = new Map<string, string>();
  const ashifts = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [name = '', property, value = '', ...more] = line.split('\t');
    if (more.length !== 1) continue;
    if (property === 'path' && value.startsWith('/')) paths.set(name, value);
    if (property === 'ashift' && /^(?:9|1[0-6])$/.test(value)) ashifts.set(name, Number(value));
  }
  return new Map(
    [...ashifts].map(([told, ashift]) => {
      const name = paths.get(told) ?? told;
      return [name, { name, type: null, ashift }];
    }),
  );
}

/** `zpool status -j -P` of one pool: which of its vdevs are files. */
export function vdevsOfStatusJson(text: string, pool: string): Map<string, ConfiguredVdev> {
  const found = new Map<string, ConfiguredVdev>();
  const open = recordsIn(memberOf(memberOf(parseZfsJson(text), 'pools'), pool));
  for (let next = open.pop(); next; next = open.pop()) {
    const [key, record] = next;
    const { name = key, vdev_type: type } = record;
    if (typeof name === 'string' && typeof type === 'string') found.set(name, { name, type, ashift: null });
    for (const member of recordsIn(record)) open.push(member);
  }
  return found;
}

/** Both together: what the first does not tell is taken from the second. */
export function joined(
  first: ReadonlyMap<string, ConfiguredVdev>,
  second: ReadonlyMap<string, ConfiguredVdev>,
): Map<string, ConfiguredVdev> {
  const all = new Map(second);
  for (const [name, { type, ashift }] of first) {
    const other = all.get(name);
    all.set(name, { name, type: type ?? other?.type ?? null, ashift: ashift ?? other?.ashift ?? null });
  }
  return all;
}

function memberOf(value: unknown, name: string): unknown {
  return isRecord(value) ? value[name] : undefined;
}
