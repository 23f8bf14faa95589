/** What `zfs` and `zpool` say of Lustre targets. */
import { type PropertyLine, parsePropertyLines, TARGET_PROPERTIES } from '../../catalog/lustre/targets.ts';
import { outputOf, run } from './run.ts';

/** The properties by which targets are found, of all file systems of this host. */
export async function lustreProperties(signal?: AbortSignal): Promise<PropertyLine[]> {
  const columns = ['-Hp', '-t', 'filesystem', '-o', 'name,property,value,source'];
  return parsePropertyLines(await run(['zfs', 'get', ...columns, TARGET_PROPERTIES.join(',')], { signal }));
}

/** `multihost` of all pools of this host, by name; empty where ZFS does not know it. */
export async function multihostOfPools(signal?: AbortSignal): Promise<Map<string, string>> {
  const { stdout } = await outputOf(['zpool', 'get', '-Hp', '-o', 'name,value', 'multihost'], { signal });
  const printed = stdout.toString('utf8');
  return new Map(
    printed.split('\n').flatMap((line) => {
      const [pool, value] = line.split('\t');
      return pool && value ? [[pool, value]] : [];
    }),
  );
}
