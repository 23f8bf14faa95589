/** Which open backups are interrupted ones of the datasets that are asked for. */
import { hostname } from 'node:os';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { OpenBackupRow } from '../../../catalog/protocol/protocol.ts';
import type { Guid } from '../../../catalog/words.ts';
import type { ServiceClient } from '../../service/client.ts';
import { listSource, type SourceFacts } from '../../zfs/list.ts';
import { poolOf } from '../../zfs/names.ts';
import type { Sources } from '../sources.ts';

/** An open backup, and the dataset of this host that it is of. */
export interface Match {
  readonly row: OpenBackupRow;
  /** `undefined`: it is not there any more. */
  readonly source: SourceFacts | undefined;
  /** It goes by another name than when it was opened, or by the same one on another host. */
  readonly moved: boolean;
}

/** What {@link matchOpen} looks at. */
export interface MatchQuestion {
  readonly rows: readonly OpenBackupRow[];
  readonly sources: readonly SourceFacts[];
  /** Datasets that were named with all below them; a dataset below that is gone cannot be looked at. */
  readonly trees: readonly string[];
  readonly host: string;
  /** GUIDs of pools by their names. */
  readonly pools: ReadonlyMap<string, Guid>;
}

/**
 * The open backups of these datasets: by host and name; where a dataset was renamed, or its pool was
 * imported on this host after another one, by the snapshot in the same pool.
 */
export function matchOpen({ rows, sources, trees, host, pools }: MatchQuestion): Match[] {
  return rows.flatMap((row): Match[] => {
    const { dataset, host: from, pool_guid } = row.source;
    const holders = sources.filter(
      (source) =>
        pool_guid !== null && pools.get(poolOf(source.dataset)) === pool_guid && has(source, row.to),
    );
    const named = sources.find((source) => source.dataset === dataset);
    const holder = holders.find((source) => source === named) ?? holders[0];
    if (holder) return [{ row, source: holder, moved: holder !== named || from !== host }];
    if (from !== host) return [];
    if (named) return [{ row, source: named, moved: false }];
    const isBelow = trees.some((tree) => dataset.startsWith(`${tree}/`));
    return isBelow ? [{ row, source: undefined, moved: false }] : [];
  });
}

/**
 * Asks the service for what is open of these datasets.
 *
 * @param rows all that is open, where that was asked before.
 */
export async function findOpen(
  { host, roots, sources }: Sources,
  { recursive, client, signal }: { recursive: boolean; client: ServiceClient; signal: AbortSignal },
  rows?: readonly OpenBackupRow[],
): Promise<Match[]> {
  const open = rows ?? (await client.openBackups({}, signal));
  const trees = recursive ? roots : [];
  const matches = matchOpen({ rows: open, sources, trees, host: hostname(), pools: host.pools });
  const found: Match[] = [];
  for (const match of matches) if (!(await isCopy(match, signal))) found.push(match);
  return found;
}

/** Within one pool two datasets may have the same snapshot, one received from the other: then the first name is meant. */
async function isCopy({ row, source, moved }: Match, signal: AbortSignal): Promise<boolean> {
  const { dataset } = row.source;
  if (!moved || source?.dataset === dataset) return false;
  try {
    return has(await listSource(dataset, signal), row.to);
  } catch (thrown) {
    if (thrown instanceof ZkeepError && thrown.kind === 'missing') return false;
    throw thrown;
  }
}

function has({ points }: SourceFacts, guid: Guid): boolean {
  return points.some((point) => point.kind === 'snapshot' && point.guid === guid);
}
