/**
 * A whole restore, of one dataset or of a set: the pool, what must be above the
 * datasets, each dataset's streams, and then the properties. Decided purely.
 */
import type { PoolPlan } from '../../catalog/attributes/pool-plan.ts';
import { commandsFor, type SetProperty } from '../../catalog/attributes/settings-plan.ts';
import type { ZfsHere } from '../../catalog/attributes/zfs-here.ts';
import type { Looked } from './look.ts';
import { makeParentCommand } from './places/tree.ts';
import { commandsOf, decideRestore, haveOf, type RestoreActions } from './plan.ts';
import { type DecidedSettings, decideRootSettings, decideSettings } from './settings.ts';

/** One dataset of it. */
export interface RestoreItem {
  readonly looked: Looked;
  readonly actions: RestoreActions;
  readonly settings: DecidedSettings;
}

/** All of it, in the order in which it is done. */
export interface WholeRestore {
  /** The pool is made by it, or was by an earlier try. */
  readonly pool: PoolPlan | null;
  /** Makes the pool, and the datasets above. */
  readonly before: readonly (readonly string[])[];
  /** What the new pool's own dataset gets. */
  readonly root: readonly SetProperty[];
  readonly items: readonly RestoreItem[];
}

/** The question to {@link decideWhole}. */
export interface WholeQuestion {
  readonly looked: readonly Looked[];
  readonly pool: PoolPlan | null;
  /** It is there already, made by an earlier try. */
  readonly poolStands: boolean;
  /** Datasets to be made above the targets, the upper ones first. */
  readonly parents: readonly string[];
  readonly here: ZfsHere;
  readonly force: boolean;
  readonly takeMountpoint: boolean;
}

/**
 * Decides all that will be done.
 *
 * @throws {ZkeepError} `refused` when a target holds, or is getting, something else.
 */
export function decideWhole(question: WholeQuestion): WholeRestore {
  const { looked, pool, poolStands, parents, force } = question;
  const items = looked.map((one) => decideItem(one, question, force));
  return {
    pool,
    before: [
      ...(pool && !poolStands ? [pool.command] : []),
      ...(pool?.after ?? []),
      ...parents.map(makeParentCommand),
    ],
    root: pool ? rootOf(pool.name, question) : [],
    items,
  };
}

/** All commands of a restore, in the order in which they run. Properties come last: a quota would keep data out. */
export function allCommands({ before, root, items }: WholeRestore): string[][] {
  return [
    ...before,
    ...commandsFor(root),
    ...items.flatMap(({ actions }) => commandsOf(actions)),
    ...items.flatMap(({ settings }) => settings.commands),
  ].map((command) => [...command]);
}

function decideItem(looked: Looked, { here, takeMountpoint }: WholeQuestion, force: boolean): RestoreItem {
  const { plan, place, type, stored, now, unwrappable } = looked;
  const have = haveOf(place);
  const target = place.target;
  const settings = decideSettings({ plan, target, stored, have, now, here, takeMountpoint, unwrappable });
  const begin = looked.manifests[0]?.stream.begin;
  const packaged = settings.wraps;
  const actions = decideRestore({ plan, target: place, type, force, takeMountpoint, begin, packaged });
  return { looked, actions, settings };
}

function rootOf(pool: string, { looked, here }: WholeQuestion): SetProperty[] {
  const stored = looked.flatMap((one) => one.stored.dataset ?? []);
  const version = looked.find((one) => one.stored.version !== null)?.stored.version ?? null;
  return decideRootSettings(pool, stored, here, version);
}
