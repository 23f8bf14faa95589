/** Asks for everything that a preflight judges. It changes nothing. */
import { readdir, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { ObjectAttributes, ParsedAttributes } from '../../../catalog/attributes/attributes.ts';
import type { PoolPlan, ZfsAbilities } from '../../../catalog/attributes/pool-plan.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { type Guid, guidOfDecimal } from '../../../catalog/words.ts';

import { parseDataset, poolOf } from '../../zfs/names.ts';
import { importablePools, lookAbove, poolProperties, tryCreate, writtenTo } from '../../zfs/pools.ts';
import { within } from '../../zfs/run.ts';
import { lookAtVdevs } from '../../zfs/vdevs.ts';
import { lookAtTarget, type Target } from '../target.ts';
import type {
  CreatingFacts,
  DatasetRestore,
  KeyFacts,
  PlaceFacts,
  PoolFacts,
  PreflightFacts,
  StreamFacts,
} from './facts.ts';
import { readHostid } from './hostid.ts';

/** One dataset to be restored. */
export interface DatasetQuestion {
  /** What {@link lookAtPlace} found. */
  readonly place: PlaceFacts;
  /** In the order in which they are received. */
  readonly streams: readonly StreamFacts[];
  /** As in the restore plan. */
  readonly base: Guid | null;
  readonly rollback: boolean;
  /** What was stored with the wanted snapshot; `null` where nothing was. */
  readonly stored: Pick<ParsedAttributes, 'objects'> | null;
}

/** The whole restore. All datasets go to one pool. */
export interface PreflightQuestion {
  readonly datasets: readonly DatasetQuestion[];
  /** How the pool will be made; `null` where it is to be there already. */
  readonly plan: PoolPlan | null;
  readonly abilities: ZfsAbilities;
  readonly force: boolean;
}

/** Longest that a look at a folder or file may take, milliseconds: some lie on file systems of other machines. */
const TIMEOUT = 5_000;

/**
 * Gathers what a preflight judges.
 *
 * @throws {ZkeepError} when `zfs` or `zpool` themselves fail, or the datasets go to several pools.
 */
export async function gatherPreflight(
  question: PreflightQuestion,
  signal?: AbortSignal,
): Promise<PreflightFacts> {
  const { datasets, plan, abilities, force } = question;
  const [pool, hostid, restores] = await Promise.all([
    gatherPool(poolMeant(question), plan, signal),
    readHostid(),
    Promise.all(datasets.map(restoreOf)),
  ]);
  return { abilities, hostid, pool, datasets: restores, force };
}

/**
 * Looks at a place, as `lookAtTarget` does, but also where neither parent nor
 * pool are there: the preflight says so then, together with all else.
 *
 * @throws {ZkeepError} `usage` for a name that cannot be a dataset's.
 */
export async function lookAtPlace(name: string, signal: AbortSignal): Promise<PlaceFacts> {
  const target = parseDataset(name);
  const [at, above] = await Promise.all([lookAtTargetOrNothing(target, signal), lookAbove(target, signal)]);
  const written = at.exists && at.snapshots.length > 0 ? await writtenTo(target, signal) : null;
  return { ...at, written, above };
}

async function lookAtTargetOrNothing(target: string, signal: AbortSignal): Promise<Target> {
  try {
    return await lookAtTarget(target, signal);
  } catch (thrown) {
    const absent = thrown instanceof ZkeepError && ABSENT.has(thrown.code);
    if (!absent) throw thrown;
    return nothingAt(target);
  }
}

const ABSENT = new Set(['restore.no-parent', 'zfs.no-pool', 'zfs.no-dataset']);

function nothingAt(target: string): Target {
  return { target, exists: false, snapshots: [], partial: undefined };
}

function poolMeant({ datasets, plan }: PreflightQuestion): string {
  const names = new Set([...(plan ? [plan.name] : []), ...datasets.map(({ place }) => poolOf(place.target))]);
  const [first, second] = names;
  if (first !== undefined && second === undefined) return first;
  const message = `the datasets would go to ${[...names].join(' and ') || 'no pool'}`;
  throw new ZkeepError('usage', 'preflight.pools', message, {
    advice: 'restore into one pool at a time; with --create-pool, --to names a dataset in the new pool',
    facts: { pools: [...names] },
  });
}

async function gatherPool(name: string, plan: PoolPlan | null, signal?: AbortSignal): Promise<PoolFacts> {
  const properties = await poolProperties(name, signal);
  const asked = plan !== null || properties === null;
  // One after the other: both read all disks.
  const importable = asked ? await importablePools(signal) : [];
  return { name, properties, importable, creating: plan ? await gatherCreating(plan, signal) : null };
}

async function gatherCreating(plan: PoolPlan, signal?: AbortSignal): Promise<CreatingFacts> {
  const vdevs = await lookAtVdevs(plan.layout.groups, signal);
  return {
    plan,
    vdevs,
    folderInUse: await isFull(`/${plan.name}`),
    trial: await tryCreate(plan.command, signal),
  };
}

async function restoreOf({ stored, ...question }: DatasetQuestion): Promise<DatasetRestore> {
  const objects = stored?.objects ?? [];
  const dataset = objects.find(({ kind }) => kind === 'filesystem' || kind === 'volume');
  const wanted = question.streams.at(-1);
  const snapshot = objects.find(({ kind, properties }) => {
    const guid = properties['guid']?.value ?? '';
    return kind === 'snapshot' && /^[0-9]{1,20}$/.test(guid) && guidOfDecimal(guid) === wanted?.to;
  });
  return {
    ...question,
    referenced: bytesIn(snapshot, 'referenced'),
    key: dataset === undefined ? null : await keyOf(dataset),
  };
}

/** `keylocation` is `none` where the key is that of a dataset above. */
async function keyOf({ name, properties }: ObjectAttributes): Promise<KeyFacts | null> {
  const valueOf = (property: string) => {
    const value = properties[property]?.value;
    return value === undefined || value === '-' || value === 'none' || value === '' ? null : value;
  };
  const encryption = valueOf('encryption');
  if (encryption === null || encryption === 'off') return null;
  const location = valueOf('keylocation');
  const root = valueOf('encryptionroot');
  return {
    format: valueOf('keyformat'),
    location,
    root: root === name ? null : root,
    present: location?.startsWith('file://') ? await isFile(location) : null,
  };
}

function bytesIn(object: ObjectAttributes | undefined, property: string): number | null {
  const value = object?.properties[property]?.value ?? '';
  return /^[0-9]{1,16}$/.test(value) ? Number(value) : null;
}

async function isFile(location: string): Promise<boolean | null> {
  try {
    const found = await within(TIMEOUT, stat(fileURLToPath(location)));
    return found === undefined ? null : found.isFile();
  } catch {
    return false;
  }
}

async function isFull(folder: string): Promise<boolean> {
  const found = await within(
    TIMEOUT,
    readdir(folder).catch(() => []),
  );
  return (found ?? []).length > 0;
}
