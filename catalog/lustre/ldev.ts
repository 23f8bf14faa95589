/** `/etc/ldev.conf`: which host serves which target from which device (man ldev.conf). */

/** One line of it. */
export interface LdevEntry {
  readonly host: string;
  /** The host that takes over. */
  readonly foreign: string | null;
  /** The service name, registered form: `lustrefs-MDT0000`. */
  readonly label: string;
  readonly device: string;
  /** The dataset, when the device is one. */
  readonly dataset: string | null;
}

/** Most lines that are read: the largest file systems have some thousand targets. */
const MAX_LINES = 20_000;

/**
 * Reads `/etc/ldev.conf`; lines that are none are left out.
 *
 * @example parseLdev('mds1 mds2 lustrefs-MDT0000 zfs:mdtpool/mdt0')
 */
export function parseLdev(text: string): LdevEntry[] {
  const lines = text.split('\n', MAX_LINES).map((line) => line.replace(/#.*/, '').trim());
  return lines.flatMap((line) => {
    const [host, foreign, label, device] = line.split(/\s+/);
    if (!host || !foreign || !label || !device) return [];
    return [{ host, foreign: foreign === '-' ? null : foreign, label, device, dataset: datasetOf(device) }];
  });
}

/** The short name of a host: `ldev.conf` has what `hostname -s` says, or the full one. */
export function isHost(entry: string, hostname: string): boolean {
  return entry === hostname || entry === hostname.split('.')[0] || entry.split('.')[0] === hostname;
}

/** `[zfs:][pool_dir/]pool/fs`: a folder of vdevs before it begins with a slash, and a pool is not below one. */
function datasetOf(device: string): string | null {
  if (device.startsWith('md:')) return null;
  const path = device.replace(/^zfs:/, '');
  if (!path.startsWith('/')) return path.includes('/') ? path : null;
  if (path === device) return null;
  const parts = path.split('/').filter((part) => part !== '');
  return parts.length < 2 ? null : parts.slice(-2).join('/');
}
