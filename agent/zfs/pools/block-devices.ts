/** Block devices as `lsblk --json` tells them: a disk, its partitions, and what is built upon them. */

/** One device with those upon it. */
export interface BlockDevice {
  readonly path: string;
  /** `disk`, `part`, `lvm`, `raid1`, `crypt`, `mpath`, ... */
  readonly type: string;
  readonly size: number | null;
  readonly readonly: boolean | null;
  readonly sectors: { readonly physical: number; readonly logical: number } | null;
  /** `ext4`, `zfs_member`, ...; `null` where nothing is known on it. */
  readonly contents: string | null;
  readonly mounts: readonly string[];
  readonly children: readonly BlockDevice[];
}

/** A disk, its partition, LVM upon RAID upon encryption upon it: far fewer in practice. */
const DEEPEST = 20;
const MOST_CHILDREN = 1000;

/**
 * Reads `lsblk --json --bytes --output NAME,PATH,TYPE,SIZE,RO,FSTYPE,MOUNTPOINTS,LOG-SEC,PHY-SEC DEVICE`.
 *
 * @returns `undefined` where it tells no device.
 */
export function parseBlockDevices(printed: string): BlockDevice | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(printed);
  } catch {
    return undefined;
  }
  const devices = isRecord(parsed) ? parsed['blockdevices'] : undefined;
  return Array.isArray(devices) ? deviceOf(devices[0], 0) : undefined;
}

/** The device itself and its partitions: what ZFS may have written its labels on. */
export function nodesOf(device: BlockDevice): BlockDevice[] {
  return [device, ...device.children.filter(({ type }) => type === 'part').flatMap(nodesOf)];
}

/** Where it, its partitions and what is built upon them are mounted. */
export function mountsOf(device: BlockDevice): string[] {
  return [...device.mounts, ...device.children.flatMap(mountsOf)];
}

/** What is built upon it or its partitions: `lvm /dev/mapper/vg-root`. */
export function holdersOf(device: BlockDevice): string[] {
  return nodesOf(device).flatMap(({ children }) =>
    children.filter(({ type }) => type !== 'part').map(({ type, path }) => `${type} ${path}`),
  );
}

/** What it and its partitions hold. */
export function contentsOf(device: BlockDevice): string[] {
  return nodesOf(device).flatMap(({ contents }) => contents ?? []);
}

function deviceOf(value: unknown, depth: number): BlockDevice | undefined {
  if (!isRecord(value) || depth > DEEPEST || typeof value['path'] !== 'string') return undefined;
  const logical = numberOf(value['log-sec']);
  const physical = numberOf(value['phy-sec']);
  const children = Array.isArray(value['children']) ? value['children'].slice(0, MOST_CHILDREN) : [];
  const mounts = Array.isArray(value['mountpoints']) ? value['mountpoints'] : [value['mountpoint']];
  return {
    path: value['path'],
    type: textOf(value['type']) ?? 'other',
    size: numberOf(value['size']),
    readonly: booleanOf(value['ro']),
    sectors: logical === null || physical === null ? null : { physical, logical },
    contents: textOf(value['fstype']),
    mounts: mounts.flatMap((mount) => textOf(mount) ?? []),
    children: children.flatMap((child) => deviceOf(child, depth + 1) ?? []),
  };
}

/** Older versions of `lsblk` print all values as text. */
function numberOf(value: unknown): number | null {
  const number = typeof value === 'string' && /^[0-9]{1,16}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null;
}

function booleanOf(value: unknown): boolean | null {
  if (typeof value === 'boolean') return value;
  return value === '1' ? true : value === '0' ? false : null;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value.slice(0, 4096) : null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
