/** Which snapshot a command line means, in the words of the protocol. */
import { selectSnapshot } from '../../catalog/chain/select.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { BackupSummary, Wanted } from '../../catalog/protocol/protocol.ts';
import { type Guid, guidsMeant } from '../../catalog/words.ts';
import { parseMoment } from '../moments.ts';
import { parseDataset, parseSnapshotName } from '../zfs/names.ts';
import type { BackupsMeant, CatalogView } from './view.ts';

/** The options that say which snapshot. */
export interface WantedOptions {
  readonly at?: string;
  readonly snapshot?: string;
  readonly guid?: string;
  readonly host?: string;
}

/**
 * What is wanted; without any option, the newest snapshot.
 *
 * @throws {ZkeepError} `usage` for more than one option, or a malformed one.
 */
export function wantedBy(dataset: string, options: WantedOptions): Wanted {
  const { at, snapshot, guid, host } = options;
  if ([at, snapshot, guid].filter((given) => given !== undefined).length > 1) {
    throw new ZkeepError('usage', 'settings.wanted', 'only one of --at, --snapshot and --guid can be given', {
      advice: 'a GUID alone is exact',
    });
  }
  return {
    dataset: parseDataset(dataset),
    ...(host === undefined ? {} : { host }),
    ...(at === undefined ? {} : { at: parseMoment(at) }),
    ...(snapshot === undefined ? {} : { name: parseSnapshotName(snapshot) }),
    ...(guid === undefined ? {} : { guids: guidsMeant(guid) }),
  };
}

/** A snapshot that is kept, with every backup that leads to it. */
export interface Found {
  readonly guid: Guid;
  /** The newest first. */
  readonly backups: readonly BackupSummary[];
  /** Names of all snapshots of the dataset. */
  readonly names: ReadonlyMap<Guid, string>;
}

/**
 * Finds the wanted snapshot, whether or not a chain leads to it.
 *
 * @throws {ZkeepError} `missing` when there is none, `usage` when it may be one of several.
 */
export async function findWanted(
  view: CatalogView,
  wanted: Wanted,
  asked: Pick<BackupsMeant, 'drift'> = {},
): Promise<Found> {
  const { dataset, host } = wanted;
  const all: BackupSummary[] = [];
  const meant = {
    ...asked,
    ...(dataset === undefined ? {} : { dataset }),
    ...(host === undefined ? {} : { host }),
  };
  for await (const backup of view.backups(meant)) all.push(backup);
  const candidates = all.map((backup) => ({ ...backup, guid: backup.to, kept: backup.backup }));
  const { guid } = selectSnapshot(candidates, wanted);
  const backups = all.filter(({ to }) => to === guid);
  return {
    guid,
    backups: backups.toSorted((one, other) => (one.backup < other.backup ? 1 : -1)),
    names: new Map(all.map(({ to, name }) => [to, name])),
  };
}
