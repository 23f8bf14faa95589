/** Whether anything is kept of what a command names: a name that was mistyped must not be called well. */
import { ZkeepError } from '../../catalog/errors.ts';
import type { CatalogView } from '../view/view.ts';

/** A dataset or host that was named. */
export interface Named {
  readonly dataset?: string;
  readonly host?: string;
}

/**
 * Passes when something is kept of it, or nothing was named.
 *
 * @throws {ZkeepError} `missing` (`list.nothing`).
 * @example await mustBeKept(view, { dataset: 'tank/home' })
 */
export async function mustBeKept(view: Pick<CatalogView, 'backups'>, named: Named): Promise<void> {
  if (named.dataset === undefined && named.host === undefined) return;
  for await (const _ of view.backups(named)) return;
  throw nothingKept(named);
}

export function nothingKept({ dataset, host }: Named): ZkeepError {
  const what = dataset ?? 'any dataset';
  const message = `nothing is kept of ${what}${host === undefined ? '' : ` of host ${host}`}`;
  return new ZkeepError('missing', 'list.nothing', message, {
    advice: 'zkeep list shows the datasets of which something is',
    facts: { dataset: dataset ?? null, host: host ?? null },
  });
}
