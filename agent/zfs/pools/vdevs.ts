/** Devices and files that a pool is to be made of: what they are, and who has them. Linux tells most, others less. */
import type { Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import type { VdevGroup, VdevRole } from '../../../catalog/attributes/pool/layout.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { outputOf, within } from '../run.ts';
import {
  type BlockDevice,
  contentsOf,
  holdersOf,
  mountsOf,
  nodesOf,
  parseBlockDevices,
} from './block-devices.ts';
import { devicesInPools } from './pools.ts';

/** One device or file. `null`: nobody could tell. */
export interface VdevFacts {
  /** As it was named. */
  readonly name: string;
  readonly role: VdevRole;
  /** Where it really is; `null` where nothing of that name is. */
  readonly path: string | null;
  readonly kind: 'block' | 'file' | 'other' | 'missing';
  /** Bytes. */
  readonly size: number | null;
  /** Bytes of a sector, as the device works and as it is spoken to. */
  readonly sectors: { readonly physical: number; readonly logical: number } | null;
  readonly readonly: boolean | null;
  /** Where it or a part of it is mounted, or `[SWAP]`. */
  readonly mounts: readonly string[];
  /** What is built upon it: `lvm`, `raid1`, `crypt`, ... with their names. */
  readonly holders: readonly string[];
  /** File systems and the like that it or a part of it holds: `ext4`, `LVM2_member`, ... never `zfs_member`. */
  readonly contents: readonly string[];
  /** The imported pool that it belongs to. */
  readonly pool: string | null;
  /** The label that ZFS left on it. */
  readonly label: VdevLabel | null;
}

/** A label, as `zdb -l` prints it. */
export interface VdevLabel {
  readonly pool: string;
  readonly state: 'active' | 'exported' | 'destroyed' | 'spare' | 'cache' | 'other';
}

/** Where `zpool` looks for a name without a folder (`zpool_default_search_paths`). */
const FOLDERS = [
  '/dev',
  '/dev/disk/by-vdev',
  '/dev/mapper',
  '/dev/disk/by-partlabel',
  '/dev/disk/by-partuuid',
  '/dev/disk/by-label',
  '/dev/disk/by-uuid',
  '/dev/disk/by-id',
  '/dev/disk/by-path',
];
const TIMEOUT = 30_000;
const MAX_BYTES = 4 * 1024 * 1024;
/** Devices looked at in the same moment. */
const AT_ONCE = 8;
const ZFS = 'zfs_member';
const STATES: readonly VdevLabel['state'][] = ['active', 'exported', 'destroyed', 'spare', 'cache'];

/** Looks at every device of a layout, in its order. Nothing is changed. */
export async function lookAtVdevs(groups: readonly VdevGroup[], signal?: AbortSignal): Promise<VdevFacts[]> {
  const named = groups.flatMap(({ role, devices }) => devices.map((name) => ({ name, role })));
  const pools = await devicesInPools(signal);
  const found: VdevFacts[] = [];
  for (let at = 0; at < named.length; at += AT_ONCE) {
    const some = named.slice(at, at + AT_ONCE);
    found.push(...(await Promise.all(some.map(({ name, role }) => lookAtVdev(name, role, pools, signal)))));
  }
  return found;
}

async function lookAtVdev(
  name: string,
  role: VdevRole,
  pools: ReadonlyMap<string, string>,
  signal: AbortSignal | undefined,
): Promise<VdevFacts> {
  const found = await findVdev(name);
  const none = {
    name,
    role,
    size: null,
    sectors: null,
    readonly: null,
    mounts: [],
    holders: [],
    contents: [],
    label: null,
  };
  if (found === undefined) return { ...none, path: null, kind: 'missing', pool: null };
  const { path, stats } = found;
  const kind = kindOf(stats);
  const facts = { ...none, path, kind, pool: pools.get(path) ?? null };
  if (kind === 'file')
    return { ...facts, size: stats.size, ...(await lookIntoFile(path, facts.pool, signal)) };
  if (kind === 'other') return facts;
  const device = await lookAtDevice(path, signal);
  if (device === undefined) return facts;
  const { labelled, ...told } = factsOfDevice(device, pools);
  return { ...facts, ...told, label: await firstLabel(told.pool === null ? labelled : [], signal) };
}

/** What a block device tells, and where on it there may be labels of ZFS: on it, or on a partition. */
export function factsOfDevice(
  device: BlockDevice,
  pools: ReadonlyMap<string, string>,
): Omit<VdevFacts, 'name' | 'role' | 'path' | 'kind' | 'label'> & { readonly labelled: readonly string[] } {
  const nodes = nodesOf(device);
  return {
    size: device.size,
    sectors: device.sectors,
    readonly: device.readonly,
    mounts: mountsOf(device),
    holders: holdersOf(device),
    contents: contentsOf(device).filter((content) => content !== ZFS),
    pool: nodes.flatMap(({ path }) => pools.get(path) ?? [])[0] ?? null,
    labelled: nodes.filter(({ contents }) => contents === ZFS).map(({ path }) => path),
  };
}

async function firstLabel(
  paths: readonly string[],
  signal: AbortSignal | undefined,
): Promise<VdevLabel | null> {
  for (const path of paths) {
    const label = await readLabel(path, signal);
    if (label) return label;
  }
  return null;
}

async function findVdev(name: string): Promise<{ path: string; stats: Stats } | undefined> {
  const candidates = name.startsWith('/') ? [name] : FOLDERS.map((folder) => `${folder}/${name}`);
  for (const candidate of candidates) {
    const found = await within(
      TIMEOUT,
      Promise.all([realpath(candidate), stat(candidate)]).catch(() => undefined),
    );
    if (found) return { path: found[0], stats: found[1] };
  }
  return undefined;
}

/** Disks are character devices on FreeBSD and illumos. */
function kindOf(stats: Stats): 'block' | 'file' | 'other' {
  if (stats.isFile()) return 'file';
  const disk = stats.isBlockDevice() || (process.platform !== 'linux' && stats.isCharacterDevice());
  return disk ? 'block' : 'other';
}

/** `MOUNTPOINTS` is of util-linux 2.37; before it there is one only. */
async function lookAtDevice(path: string, signal: AbortSignal | undefined): Promise<BlockDevice | undefined> {
  for (const mounts of ['MOUNTPOINTS', 'MOUNTPOINT']) {
    // Without NAME it prints a list, in which nobody sees what is a part of what.
    const columns = `NAME,PATH,TYPE,SIZE,RO,FSTYPE,${mounts},LOG-SEC,PHY-SEC`;
    const printed = await ask(['lsblk', '--json', '--bytes', '--output', columns, path], signal);
    const device = printed === undefined ? undefined : parseBlockDevices(printed);
    if (device) return device;
  }
  return undefined;
}

async function lookIntoFile(
  path: string,
  pool: string | null,
  signal: AbortSignal | undefined,
): Promise<Pick<VdevFacts, 'contents' | 'label'>> {
  const printed = await ask(['blkid', '-p', '-o', 'value', '-s', 'TYPE', path], signal);
  const contents = (printed ?? '').split('\n').filter((type) => /^\S{1,100}$/.test(type) && type !== ZFS);
  return { contents, label: pool === null ? await readLabel(path, signal) : null };
}

async function readLabel(path: string, signal: AbortSignal | undefined): Promise<VdevLabel | null> {
  return parseLabel((await ask(['zdb', '-l', path], signal)) ?? '');
}

/**
 * Reads the first label that `zdb -l` prints; `null` where there is none. One of transaction 0 is that of
 * a pool whose creation failed, and is none to ZFS either (OpenZFS `zpool_read_label`).
 */
export function parseLabel(printed: string): VdevLabel | null {
  for (const label of printed.split(/^LABEL \d/m)) {
    const state = /^ {4}state: (\d{1,3})$/m.exec(label)?.[1];
    if (state === undefined || /^ {4}txg: 0$/m.test(label)) continue;
    // Spares and caches do not know their pool.
    const pool = /^ {4}name: '(.{1,255})'$/m.exec(label)?.[1] ?? 'unknown';
    return { pool, state: STATES[Number(state)] ?? 'other' };
  }
  return null;
}

/** What a command says, where it is there and knows something. */
async function ask(command: readonly string[], signal: AbortSignal | undefined): Promise<string | undefined> {
  try {
    const { exit, stdout } = await outputOf(command, { timeout: TIMEOUT, maxBytes: MAX_BYTES, signal });
    return exit === 0 ? stdout.toString('utf8') : undefined;
  } catch (thrown) {
    if (thrown instanceof ZkeepError) return undefined;
    throw thrown;
  }
}
