/** Everything before a restore begins: looks, plans, and refuses while nothing is changed yet. */

import type { ZfsAbilities } from '../../catalog/attributes/pool/abilities.ts';
import { type PoolPlan, planPool } from '../../catalog/attributes/pool-plan.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { Wanted } from '../../catalog/protocol/protocol.ts';
import { listSource } from '../zfs/list.ts';
import { parentOf, poolOf } from '../zfs/names.ts';
import { readAbilities } from '../zfs/pools/abilities.ts';
import { type Looked, lookAt } from './look.ts';
import { devicesOf, isOfEarlierTry, lookAtPool } from './places/pool.ts';
import { parentsToMake } from './places/tree.ts';
import { gatherPreflight, lookAtPlace } from './preflight/gather.ts';
import { type Finding, neededFeatures, preflight, refuseFindings } from './preflight/preflight.ts';
import type { RestoreTools } from './resume/receiving.ts';
import { checkIdentities } from './run.ts';
import { lookAtTarget } from './target.ts';
import { decideWhole, type WholeRestore } from './whole.ts';

/** What is asked for. */
export interface RestoreRequest {
  readonly wishes: readonly { readonly wanted: Wanted; readonly target: string }[];
  /** What `zpool create` takes after the name; `undefined`: the pool is there. */
  readonly createPool: string | undefined;
  readonly ashift: number | undefined;
  /** Datasets between the pool and the targets are made where they are missing. */
  readonly makeParents: boolean;
  readonly force: boolean;
  readonly takeMountpoint: boolean;
}

/** What will be done, and what was found on the way. */
export interface Prepared {
  readonly whole: WholeRestore;
  /** What does not stand in the way, and should be known. */
  readonly findings: readonly Finding[];
  readonly abilities: ZfsAbilities;
  /** The pool was made by an earlier try of the same restore. */
  readonly poolStands: boolean;
}

/**
 * Plans a restore and looks whether it can succeed. Changes nothing.
 *
 * @throws {ZkeepError} `refused` with all that stands in the way; `missing` for what is not kept, or has no place.
 */
export async function prepareRestore(
  request: RestoreRequest,
  tools: Omit<RestoreTools, 'progress' | 'ledgers'>,
): Promise<Prepared> {
  const { view, identities, signal } = tools;
  const { createPool, force, takeMountpoint } = request;
  for (const { target } of request.wishes) checkNotPool(target);
  const abilities = await readAbilities({ signal });
  const looked: Looked[] = [];
  for (const { wanted, target } of request.wishes) {
    // Whoever makes nothing above it is told at once that there is no such pool or parent.
    if (createPool === undefined && !request.makeParents) await lookAtTarget(target, signal);
    const place = await lookAtPlace(target, signal);
    looked.push(await lookAt({ wanted, place }, { view, force, signal }));
  }
  checkIdentities(
    looked.flatMap(({ plan }) => plan.steps),
    identities,
  );
  const { pool, stands } = await planThePool(request, looked, abilities, signal);
  const parents = await missingParents(request, looked, pool !== null && !stands, signal);
  const findings = await lookForTrouble(looked, stands ? null : pool, parents, abilities, force, signal);
  refuseAll(looked, findings);
  const whole = decideWhole({
    looked,
    pool,
    poolStands: stands,
    parents,
    here: abilities,
    force,
    takeMountpoint,
  });
  return { whole, findings, abilities, poolStands: stands };
}

/** The planner's own words where nothing else stands in the way: they tell more than the finding's. */
function refuseAll(looked: readonly Looked[], findings: readonly Finding[]): void {
  const [first] = looked.flatMap(({ refusal, place }) =>
    refusal ? namingTarget(refusal, place.target) : [],
  );
  const refused = findings.filter(({ level }) => level === 'refuse');
  if (first && refused.length <= 1) throw first;
  refuseFindings(findings);
  if (first) throw first;
}

/** The planner knows no names of places: of a set one must know which of them is in the way. */
function namingTarget({ kind, code, message, advice, facts, cause }: ZkeepError, target: string): ZkeepError {
  return new ZkeepError(kind, code, `${target}: ${message}`, {
    ...(advice === undefined ? {} : { advice }),
    facts: { ...facts, target },
    cause,
  });
}

async function planThePool(
  { createPool, ashift, wishes }: RestoreRequest,
  looked: readonly Looked[],
  abilities: ZfsAbilities,
  signal: AbortSignal,
): Promise<{ pool: PoolPlan | null; stands: boolean }> {
  if (createPool === undefined) return { pool: null, stands: false };
  const targets = wishes.map(({ target }) => target);
  const name = poolOf(targets[0] ?? '');
  const pool = planPool({
    stored: looked.find(({ stored }) => stored.pool)?.stored.pool ?? null,
    name,
    vdevs: createPool,
    abilities,
    needed: neededFeatures(looked.flatMap(({ manifests }) => manifests.map(({ stream }) => stream))),
    ...(ashift === undefined ? {} : { ashift }),
  });
  const standing = await lookAtPool(name, signal);
  const stands =
    standing !== undefined && isOfEarlierTry(standing, await devicesOf(pool), withParents(targets));
  return { pool, stands };
}

/** The datasets and all above them. */
function withParents(targets: readonly string[]): string[] {
  const all = new Set(targets);
  for (const target of targets) {
    for (let parent = parentOf(target); parent !== undefined; parent = parentOf(parent)) all.add(parent);
  }
  return [...all];
}

async function missingParents(
  { wishes, makeParents, createPool }: RestoreRequest,
  looked: readonly Looked[],
  fresh: boolean,
  signal: AbortSignal,
): Promise<string[]> {
  if (!makeParents && createPool === undefined) return [];
  const targets = wishes.map(({ target }) => target);
  const there = new Set(looked.flatMap(({ place }) => (place.exists ? [place.target] : [])));
  for (const parent of fresh ? [] : withParents(targets)) {
    if (!there.has(parent) && (await isThere(parent, signal))) there.add(parent);
  }
  return parentsToMake(
    targets,
    (dataset) => there.has(dataset) || (fresh && parentOf(dataset) === undefined),
  );
}

async function isThere(dataset: string, signal: AbortSignal): Promise<boolean> {
  try {
    await listSource(dataset, signal);
    return true;
  } catch (thrown) {
    if (thrown instanceof ZkeepError && thrown.kind === 'missing') return false;
    throw thrown;
  }
}

async function lookForTrouble(
  looked: readonly Looked[],
  plan: PoolPlan | null,
  parents: readonly string[],
  abilities: ZfsAbilities,
  force: boolean,
  signal: AbortSignal,
): Promise<Finding[]> {
  const coming = new Set(parents);
  const datasets = looked.map(({ place, plan: { base, rollback, wanted }, manifests, stored }) => ({
    place: coming.has(parentOf(place.target) ?? '') ? withParent(place) : place,
    manifests,
    base,
    rollback,
    dataset: stored.dataset,
    snapshot: stored.snapshots.find(({ guid }) => guid === wanted.guid)?.object ?? null,
  }));
  return preflight(await gatherPreflight({ datasets, plan, abilities, force }, signal));
}

/** What the restore itself makes above it is as good as there. */
function withParent(place: Looked['place']): Looked['place'] {
  return place.above ? { ...place, above: { ...place.above, parent: true } } : place;
}

function checkNotPool(target: string): void {
  if (parentOf(target) !== undefined) return;
  throw new ZkeepError(
    'usage',
    'restore.pool',
    `${target} is a pool itself: nothing can be received as one`,
    {
      advice: `name a dataset that will be in it: --to ${target}/NAME`,
      facts: { target },
    },
  );
}
