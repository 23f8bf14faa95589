/** What a backup looks at before it is planned: the datasets of this host, and what the repository knows of them. */
import { hostname } from 'node:os';
import type { KnownSnapshot } from '../../catalog/protocol/protocol.ts';
import type { Source } from '../../catalog/repository/manifest.ts';
import type { Guid } from '../../catalog/words.ts';
import type { ServiceClient } from '../service/client.ts';
import { listSources, poolGuids, type SourceFacts, zfsVersion } from '../zfs/list.ts';
import { parseDataset, poolOf } from '../zfs/names.ts';

/** This host's side of a backup. */
export interface HostFacts {
  readonly zfs: string;
  /** GUIDs of pools by their names. */
  readonly pools: ReadonlyMap<string, Guid>;
  /** The datasets' own, by their names. */
  readonly datasets: ReadonlyMap<string, Guid>;
}

/** The datasets to back up. */
export interface Sources {
  readonly host: HostFacts;
  readonly roots: readonly string[];
  readonly sources: readonly SourceFacts[];
}

/**
 * Looks at the named datasets, each once, in the order in which they were named.
 *
 * @throws {ZkeepError} `usage` for what is no dataset's name, `missing` for one that is not there.
 */
export async function lookAtSources(
  names: readonly string[],
  options: { recursive: boolean; signal: AbortSignal },
): Promise<Sources> {
  const roots = rootsOf(names.map(parseDataset), options.recursive);
  const pools = [...new Set(roots.map(poolOf))];
  const [zfs, guids, listed] = await Promise.all([
    zfsVersion(options.signal),
    poolGuids(pools, options.signal),
    listSources(roots, options),
  ]);
  return {
    host: { zfs, pools: guids, datasets: ownGuidsOf(listed) },
    roots,
    sources: roots.flatMap((root) => listed.filter(({ dataset }) => isWithin(dataset, root))),
  };
}

/** Questions to the service at once. */
const AT_ONCE = 6;

/**
 * What the repository knows of all snapshots and bookmarks of the datasets, and which chains are to be
 * renewed: by the policies of each dataset, so it is asked for each by itself.
 */
export async function knownOf(
  sources: readonly SourceFacts[],
  client: Pick<ServiceClient, 'known'>,
  signal: AbortSignal,
): Promise<KnownSnapshot[]> {
  const host = hostname();
  const waiting = sources.filter(({ points }) => points.length > 0).values();
  const found: KnownSnapshot[] = [];
  const ask = async () => {
    for (const { dataset, points } of waiting) {
      const guids = [...new Set(points.map(({ guid }) => guid))];
      found.push(...(await client.known(guids, signal, { host, dataset })));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, ask));
  return found;
}

/** What the manifest says of where a dataset's stream came from. */
export function sourceOf(dataset: string, { zfs, pools, datasets }: HostFacts): Source {
  return {
    host: hostname(),
    dataset,
    pool_guid: pools.get(poolOf(dataset)) ?? null,
    dataset_guid: datasets.get(dataset) ?? null,
    zfs,
  };
}

function ownGuidsOf(sources: readonly SourceFacts[]): Map<string, Guid> {
  return new Map(sources.flatMap(({ dataset, guid }) => (guid === null ? [] : [[dataset, guid]])));
}

/** Each name once; with `-r`, those below another one come with that one. */
function rootsOf(names: readonly string[], recursive: boolean): string[] {
  const once = [...new Set(names)];
  if (!recursive) return once;
  return once.filter((name) => !once.some((other) => other !== name && isWithin(name, other)));
}

function isWithin(dataset: string, root: string): boolean {
  return dataset === root || dataset.startsWith(`${root}/`);
}
