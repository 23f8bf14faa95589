/** Asks for everything that a preflight judges. It changes nothing. */
import { readdir, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { ObjectAttributes } from '../../../catalog/attributes/attributes.ts';
import type { PoolPlan, ZfsAbilities } from '../../../catalog/attributes/pool-plan.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { Manifest } from '../../../catalog/repository/manifest.ts';
import type { Guid } from '../../../catalog/words.ts';

import { parseDataset, poolOf } from '../../zfs/names.ts';
import { importablePools, lookAbove, poolProperties, tryCreate, writtenTo } from '../../zfs/pools/pools.ts';
import { lookAtVdevs } from '../../zfs/pools/vdevs.ts';
import { within } from '../../zfs/run.ts';
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
  /** Of the streams, in the order in which they are received. */
  readonly manifests: readonly ManifestPart[];
  /** As in the restore plan. */
  readonly base: Guid | null;
  readonly rollback: boolean;
  /** The dataset's attributes at the wanted snapshot; `null` where they are not stored. */
  readonly dataset: ObjectAttributes | null;
  /** The wanted snapshot's own. */
  readonly snapshot: ObjectAttributes | null;
}

/** What is read of a manifest. */
export type ManifestPart = Pick<Manifest, 'to'> & {
  readonly source: Pick<Manifest['source'], 'zfs'>;
  readonly stream: Pick<Manifest['stream'], 'begin' | 'bytes'>;
};

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

async function restoreOf(question: DatasetQuestion): Promise<DatasetRestore> {
  const { place, manifests, base, rollback, dataset, snapshot } = question;
  return {
    place,
    base,
    rollback,
    streams: manifests.map(streamOf),
    referenced: bytesIn(snapshot, 'referenced'),
    key: dataset === null ? null : await keyOf(dataset),
  };
}

/** What a preflight judges of a stream. */
export function streamOf({ to, source, stream }: ManifestPart): StreamFacts {
  const { begin, bytes } = stream;
  return {
    name: to.name ?? to.guid,
    to: to.guid,
    begin: { features: begin.features },
    bytes,
    zfs: source.zfs,
  };
}

/** `keylocation` is `none` where the key is that of a dataset above. */
async function keyOf({ name, properties }: ObjectAttributes): Promise<KeyFacts | null> {
  const told = (property: string) => {
    const value = properties[property]?.value;
    return value === undefined || value === '-' || value === 'none' || value === '' ? null : value;
  };
  const encryption = told('encryption');
  if (encryption === null || encryption === 'off') return null;
  const location = told('keylocation');
  const root = told('encryptionroot');
  return {
    format: told('keyformat'),
    location,
    root: root === name ? null : root,
    present: location?.startsWith('file://') ? await isFile(location) : null,
  };
}

function bytesIn(object: ObjectAttributes | null, property: string): number | null {
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
