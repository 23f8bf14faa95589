/** Looks at the Lustre targets of this host. */
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import { parseLdev } from '../../catalog/lustre/ldev.ts';
import { type HostTargets, parseLustreMounts, targetsOf } from '../../catalog/lustre/targets.ts';
import { lustreProperties, multihostOfPools } from '../zfs/lustre-properties.ts';

/** Most bytes of a file that is read. */
const MAX_FILE = 4 * 1024 * 1024;

/** Where this host keeps what is no property. */
export interface TargetFiles {
  readonly ldev: string;
  readonly mounts: string;
}

/**
 * The targets of this host, from its datasets, `/etc/ldev.conf` and `/proc/mounts`.
 *
 * @throws {ZkeepError} when `zfs` or `zpool` fails, or a file that is there cannot be read.
 */
export async function lookAtTargets(signal: AbortSignal, files = usualFiles()): Promise<HostTargets> {
  const [properties, multihost, ldev, mounts] = await Promise.all([
    lustreProperties(signal),
    multihostOfPools(signal),
    textOf(files.ldev),
    textOf(files.mounts),
  ]);
  return targetsOf({
    host: hostname(),
    properties,
    multihost,
    ldev: ldev === undefined ? undefined : parseLdev(ldev),
    mounts: parseLustreMounts(mounts ?? ''),
  });
}

/** `ZKEEP_LDEV_CONF` names another ldev.conf, as `ldev -c` does. */
function usualFiles(environment: NodeJS.ProcessEnv = process.env): TargetFiles {
  return { ldev: environment['ZKEEP_LDEV_CONF'] || '/etc/ldev.conf', mounts: '/proc/mounts' };
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file)).subarray(0, MAX_FILE).toString('utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new ZkeepError('denied', 'lustre.unreadable', `cannot read ${file}: ${messageOf(cause)}`, {
      advice: 'see that this user may read it',
      facts: { file },
      cause,
    });
  }
}
