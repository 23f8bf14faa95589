/** The datasets of a set, and where they go. */
import { ZkeepError } from '../../../catalog/errors.ts';
import type { BackupSummary } from '../../../catalog/protocol/protocol.ts';
import type { SetId } from '../../../catalog/words.ts';
import type { CatalogView } from '../../view/view.ts';
import { parseDataset } from '../../zfs/names.ts';
import type { RestoreRequest } from '../prepare.ts';
import { targetsOf } from './tree.ts';

/**
 * Every dataset of a set at the moment of the set, parents first.
 *
 * @param host only those of this host.
 * @throws {ZkeepError} `missing` when there is no such set, `usage` when two hosts have a dataset of one name in it.
 */
export async function wishesOfSet(
  view: CatalogView,
  set: SetId,
  to: string,
  host: string | undefined,
): Promise<RestoreRequest['wishes']> {
  const place = parseDataset(to);
  const found = new Map<string, BackupSummary>();
  for await (const backup of view.backups({ set, ...(host === undefined ? {} : { host }) })) {
    const known = found.get(backup.dataset);
    if (known && known.host !== backup.host)
      throw severalHosts(set, backup.dataset, [known.host, backup.host]);
    found.set(backup.dataset, backup);
  }
  if (found.size === 0) throw noSet(set, host);
  return [...targetsOf([...found.keys()], place)].flatMap(([dataset, target]) => {
    const backup = found.get(dataset);
    return backup ? [{ wanted: { dataset, host: backup.host, guids: [backup.to] }, target }] : [];
  });
}

function noSet(set: SetId, host: string | undefined): ZkeepError {
  const where = host === undefined ? '' : ` of host ${host}`;
  return new ZkeepError('missing', 'restore.no-set', `no backup${where} is of the set ${set}`, {
    advice: 'zkeep list DATASET --json shows the set of each backup',
    facts: { set, host: host ?? null },
  });
}

function severalHosts(set: SetId, dataset: string, hosts: readonly string[]): ZkeepError {
  return new ZkeepError('usage', 'restore.hosts', `several hosts have a ${dataset} in the set ${set}`, {
    advice: `restore each host's part by itself, into its own place: --host ${hosts[0]}`,
    facts: { set, dataset, hosts },
  });
}
