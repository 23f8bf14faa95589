/** Pools: those that are imported, those that could be, and what a dataset in one still has room for. */
import { poolsOfZpoolGet } from '../../../catalog/attributes/parsing/zpool-get.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { failureOf } from '../failure.ts';
import { parentOf } from '../names.ts';
import { outputOf, run } from '../run.ts';

/** A pool that `zpool import` offers. */
export interface ImportablePool {
  readonly name: string;
  /** Decimal digits. */
  readonly id: string;
}

/** A dataset into which something is received. */
export interface AboveFacts {
  readonly name: string;
  /** It is the parent itself, not one further up. */
  readonly parent: boolean;
  /** Bytes that it may still take, quotas and reservations counted. */
  readonly available: number | null;
  readonly encrypted: boolean;
  /** `available`, `unavailable`, or `null` where it is not encrypted. */
  readonly keystatus: string | null;
}

/** Looking for pools reads every disk. */
const SCAN_TIMEOUT = 2 * 60_000;
const TIMEOUT = 60_000;
const MAX_BYTES = 16 * 1024 * 1024;
const ABOVE_COLUMNS = ['name', 'available', 'encryption', 'keystatus'];

/** The properties of a pool, features among them, by name; `null` where no such pool is imported. */
export async function poolProperties(
  pool: string,
  signal?: AbortSignal,
): Promise<Record<string, string> | null> {
  const command = ['zpool', 'get', '-Hp', 'all', pool];
  const { exit, stdout, stderr } = await outputOf(command, { timeout: TIMEOUT, maxBytes: MAX_BYTES, signal });
  if (exit !== 0) {
    const failure = failureOf({ command, exit, stderr });
    if (failure.code === 'zfs.no-pool' || failure.code === 'zfs.no-dataset') return null;
    throw failure;
  }
  const properties = poolsOfZpoolGet(stdout.toString('utf8')).get(pool) ?? new Map();
  return Object.fromEntries([...properties].map(([name, { value }]) => [name, value]));
}

/** What could be imported; empty where that cannot be asked. */
export async function importablePools(signal?: AbortSignal): Promise<ImportablePool[]> {
  try {
    const { stdout } = await outputOf(['zpool', 'import'], {
      timeout: SCAN_TIMEOUT,
      maxBytes: MAX_BYTES,
      signal,
    });
    return parseImportable(stdout.toString('utf8'));
  } catch (thrown) {
    if (thrown instanceof ZkeepError && thrown.code !== 'zfs.not-installed') return [];
    throw thrown;
  }
}

/** Reads `zpool import`: for each pool a line with its name, and one with its id. */
export function parseImportable(printed: string): ImportablePool[] {
  const found = printed.matchAll(/^ *pool: (\S.*?) *\n *id: (\d{1,20}) *$/gm);
  return [...found].map(([, name = '', id = '']) => ({ name, id }));
}

/** Which imported pool each device belongs to, by its real path. */
export async function devicesInPools(signal?: AbortSignal): Promise<Map<string, string>> {
  const printed = await run(['zpool', 'list', '-vHPL'], { timeout: TIMEOUT, maxBytes: MAX_BYTES, signal });
  return parseDevices(printed);
}

/** Reads `zpool list -vHPL`: a line for each pool, and one with a tab before it for each of its vdevs. */
export function parseDevices(printed: string): Map<string, string> {
  const devices = new Map<string, string>();
  let pool: string | undefined;
  for (const line of printed.split('\n')) {
    const [first = '', second] = line.split('\t');
    // Lines before logs, caches and spares (`logs  -  -`) are aligned by spaces even with -H.
    if (second === undefined) continue;
    if (first !== '') pool = first;
    else if (pool !== undefined && second.startsWith('/')) devices.set(second, pool);
  }
  return devices;
}

/**
 * The nearest dataset above one that exists; `null` where not even the pool does.
 *
 * @example await lookAbove('tank/a/b') // { name: 'tank', parent: false, ... } where there is no tank/a
 */
export async function lookAbove(dataset: string, signal?: AbortSignal): Promise<AboveFacts | null> {
  for (let above = parentOf(dataset); above !== undefined; above = parentOf(above)) {
    const command = ['zfs', 'list', '-Hp', '-t', 'filesystem,volume', '-o', ABOVE_COLUMNS.join(','), above];
    const { exit, stdout, stderr } = await outputOf(command, {
      timeout: TIMEOUT,
      maxBytes: MAX_BYTES,
      signal,
    });
    if (exit === 0) return parseAbove(stdout.toString('utf8'), above, above === parentOf(dataset));
    const failure = failureOf({ command, exit, stderr });
    if (failure.code !== 'zfs.no-dataset' && failure.code !== 'zfs.no-pool') throw failure;
  }
  return null;
}

/** Reads a line of `zfs list -Hp -o name,available,encryption,keystatus`. */
export function parseAbove(printed: string, name: string, parent: boolean): AboveFacts {
  const [, available = '', encryption = '-', keystatus = '-'] = (printed.split('\n')[0] ?? '').split('\t');
  return {
    name,
    parent,
    available: /^[0-9]{1,16}$/.test(available) ? Number(available) : null,
    encrypted: encryption !== 'off' && encryption !== '-',
    keystatus: keystatus === '-' || keystatus === '' ? null : keystatus,
  };
}

/** Bytes written to a dataset since its newest snapshot; `null` where that cannot be told. */
export async function writtenTo(dataset: string, signal?: AbortSignal): Promise<number | null> {
  const command = ['zfs', 'get', '-Hp', '-o', 'value', 'written', dataset];
  const { exit, stdout } = await outputOf(command, { timeout: TIMEOUT, maxBytes: MAX_BYTES, signal });
  const value = stdout.toString('utf8').trim();
  return exit === 0 && /^[0-9]{1,16}$/.test(value) ? Number(value) : null;
}

/**
 * What `zpool create -n` says when it would refuse; `null` when it would not, or
 * could not look (no right to open the devices). It opens devices, and changes nothing.
 *
 * @param command `zpool create ...`
 */
export async function tryCreate(command: readonly string[], signal?: AbortSignal): Promise<string | null> {
  const [zpool = '', create = '', ...rest] = command;
  const trial = [zpool, create, '-n', ...rest];
  const { exit, stderr } = await outputOf(trial, { timeout: TIMEOUT, maxBytes: MAX_BYTES, signal });
  if (exit === 0) return null;
  const failure = failureOf({ command: trial, exit, stderr });
  const said = stderr.replaceAll(/\s+/g, ' ').trim().slice(0, 1000);
  return failure.code === 'zfs.denied' || said === '' ? null : said;
}
