/** What a drill tries where nobody names it: asked of the service, decided by chance. */
import { systemClock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { StatusQuery } from '../../catalog/protocol/agents.ts';
import type { Wanted } from '../../catalog/protocol/protocol.ts';
import type { Guid } from '../../catalog/words.ts';
import type { ServiceAccess } from '../service/exchange.ts';
import { askStatus } from '../service/status.ts';
import type { CatalogView } from '../view/view.ts';
import { type Candidate, chooseDataset, chooseOne } from './choose.ts';

/** Which of all that is kept is meant. */
export interface Meant {
  readonly query: StatusQuery;
  readonly fits: (row: Candidate) => boolean;
}

/**
 * The newest snapshot of a dataset whose last drill is long ago.
 *
 * @throws {ZkeepError} `missing` (`drill.nothing`) when nothing is kept that could be restored.
 */
export async function datasetByChance(
  access: ServiceAccess,
  { query, fits }: Meant,
  signal: AbortSignal,
): Promise<Wanted> {
  const { datasets } = await askStatus(access, query, signal);
  const chosen = chooseDataset(datasets.filter(fits), systemClock.now(), Math.random());
  if (!chosen?.newest) throw nothingKept('nothing is kept that could be restored');
  return { dataset: chosen.dataset, host: chosen.host, guids: [chosen.newest.guid] };
}

/**
 * Any snapshot of the same dataset, each as likely as any other.
 *
 * @throws {ZkeepError} `missing` (`drill.nothing`) when none is kept.
 */
export async function pointByChance(
  { dataset = '', host }: Pick<Wanted, 'dataset' | 'host'>,
  view: Pick<CatalogView, 'backups'>,
): Promise<Wanted> {
  const named = { dataset, ...(host === undefined ? {} : { host }) };
  const guids = new Set<Guid>();
  for await (const { to } of view.backups(named)) guids.add(to);
  const guid = chooseOne([...guids], Math.random());
  if (guid === undefined) throw nothingKept(`nothing is kept of ${dataset}`);
  return { ...named, guids: [guid] };
}

function nothingKept(what: string): ZkeepError {
  return new ZkeepError('missing', 'drill.nothing', what, { advice: 'zkeep status shows what is kept' });
}
