/** The number by which ZFS tells hosts apart (`multihost`). */
import type { CommandOutput } from '../../../catalog/attributes/attributes.ts';
import { hostOf } from '../../../catalog/attributes/parsing/host.ts';
import { catFile } from '../../capture/files.ts';

/** A module parameter that is not zero goes before the file (spl, `zone_get_hostid`). */
const FILES = ['/sys/module/spl/parameters/spl_hostid', '/etc/hostid'];

/**
 * The hostid that ZFS uses, 8 hex digits; `null` where there is none. On other
 * systems than Linux there always is one, which nobody asks for here: `undefined`.
 *
 * @param root where the host's `/` lies; another one in tests.
 */
export async function readHostid(
  platform: NodeJS.Platform = process.platform,
  root = '/',
): Promise<string | null | undefined> {
  if (platform !== 'linux') return undefined;
  const read = await Promise.all(FILES.map((path) => catFile(path, root)));
  const files: CommandOutput[] = read.filter((found) => found !== undefined);
  // A file that is there and cannot be read says nothing, neither yes nor no.
  if (files.some(({ exit }) => exit !== 0)) return undefined;
  return hostOf(files)?.hostid ?? null;
}
