/** Where the datasets of a set go, and what must be made above them. */
import { ZkeepError } from '../../../catalog/errors.ts';
import { parentOf, parseDataset, poolOf } from '../../zfs/names.ts';

/**
 * The place of each dataset: its path without its pool, below `to`. Where a
 * pool's own dataset is among them, or two would go to the same place, the
 * whole paths are kept, pools and all.
 *
 * @param to a pool, or a dataset.
 * @returns by dataset, parents before what is below them.
 * @throws {ZkeepError} `usage` for a place that no dataset can have.
 * @example targetsOf(['tank/a', 'tank/a/b'], 'new') // tank/a: new/a, tank/a/b: new/a/b
 */
export function targetsOf(datasets: readonly string[], to: string): Map<string, string> {
  const short = datasets.map((dataset) => dataset.slice(poolOf(dataset).length + 1));
  const whole = short.includes('') || new Set(short).size < short.length;
  const pairs = datasets.map((dataset, at): [string, string] => [
    dataset,
    parseDataset(`${to}/${whole ? dataset : short[at]}`),
  ]);
  return new Map(pairs.toSorted(([, one], [, other]) => (one < other ? -1 : 1)));
}

/**
 * The datasets that must be made so that all targets have a parent, the upper
 * ones first: those that neither exist nor are restored themselves.
 *
 * @param exists whether a dataset is there, or will be when they are made.
 */
export function parentsToMake(targets: readonly string[], exists: (dataset: string) => boolean): string[] {
  const coming = new Set(targets);
  const missing = new Set<string>();
  for (const target of targets) {
    for (let parent = parentOf(target); parent !== undefined; parent = parentOf(parent)) {
      if (!coming.has(parent) && !exists(parent)) missing.add(parent);
    }
  }
  const pool = [...missing].find((one) => parentOf(one) === undefined);
  if (pool !== undefined) throw noPool(pool);
  return [...missing].toSorted();
}

/** Such a parent only holds others: it is never mounted, and what is below it inherits as from its own parent. */
export function makeParentCommand(dataset: string): string[] {
  return ['zfs', 'create', '-o', 'canmount=off', dataset];
}

function noPool(pool: string): ZkeepError {
  return new ZkeepError('missing', 'restore.no-parent', `there is no pool ${pool}`, {
    advice:
      "zpool list shows the pools, zpool import those that could be imported; --create-pool 'mirror DISK DISK' makes one",
    facts: { pool },
  });
}
