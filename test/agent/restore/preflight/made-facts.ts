/** Facts of a preflight for tests: all is well in them, until a test changes something. */
import type {
  DatasetRestore,
  PlaceFacts,
  PoolFacts,
  PreflightFacts,
  StreamFacts,
} from '../../../../agent/restore/preflight/facts.ts';
import { type Finding, preflight } from '../../../../agent/restore/preflight/preflight.ts';
import type { VdevFacts } from '../../../../agent/zfs/pools/vdevs.ts';
import { type PoolPlan, planPool, type ZfsAbilities } from '../../../../catalog/attributes/pool-plan.ts';
import { FEATURES, type FeatureName } from '../../../../catalog/stream/features.ts';
import { type Guid, guidOf } from '../../../../catalog/words.ts';

export const GIB = 1024 ** 3;
export const guid = (number: number): Guid => guidOf(BigInt(number));

const POOL_FEATURES = [
  'extensible_dataset',
  'large_blocks',
  'lz4_compress',
  'large_dnode',
  'encryption',
  'zstd_compress',
];
export const ABILITIES: ZfsAbilities = {
  version: '2.3.9-0+deb13u1',
  module: '2.3.9-0+deb13u1',
  features: new Set(POOL_FEATURES),
  properties: new Set(),
  poolProperties: new Set(),
  compatibilities: new Set(),
};

export function begin(...flags: FeatureName[]): StreamFacts['begin'] {
  const bits = flags.reduce((sum, flag) => sum | (1n << BigInt(FEATURES[flag].bit)), 0n);
  return { features: bits.toString(16) };
}

export function stream(number: number, changes: Partial<StreamFacts> = {}): StreamFacts {
  const made = { name: `s${number}`, to: guid(number), begin: begin('COMPRESSED', 'LZ4'), bytes: GIB };
  return { ...made, zfs: 'zfs-2.3.9-0+deb13u1', ...changes };
}

/** A place in a pool that is there; a dataset that is not. */
export function place(changes: Partial<PlaceFacts> = {}): PlaceFacts {
  const above = { name: 'new', parent: true, available: 100 * GIB, encrypted: false, keystatus: null };
  return {
    target: 'new/a',
    exists: false,
    snapshots: [],
    partial: undefined,
    written: null,
    above,
    ...changes,
  };
}

/** A dataset that holds snapshots, the newest first, and is gone on with from the newest. */
export function standing(...snapshots: number[]): PlaceFacts {
  const named = snapshots.map((number) => ({ guid: guid(number), name: `s${number}` }));
  return place({ exists: true, snapshots: named, written: 0 });
}

export function dataset(changes: Partial<DatasetRestore> = {}): DatasetRestore {
  const empty = { base: null, rollback: false, referenced: null, key: null };
  return { place: place(), streams: [stream(1)], ...empty, ...changes };
}

/** A pool that is there, with everything that a receiver may need. */
export function pool(changes: Readonly<Record<string, string>> = {}): PoolFacts {
  const features = Object.fromEntries(POOL_FEATURES.map((name) => [`feature@${name}`, 'enabled']));
  const properties = { health: 'ONLINE', readonly: 'off', ...features, ...changes };
  return { name: 'new', properties, importable: [], creating: null };
}

export function vdev(name: string, changes: Partial<VdevFacts> = {}): VdevFacts {
  const found = {
    path: name,
    kind: 'block',
    size: 100 * GIB,
    sectors: { physical: 512, logical: 512 },
  } as const;
  const free = { readonly: false, mounts: [], holders: [], contents: [], pool: null, label: null };
  return { name, role: 'data', ...found, ...free, ...changes };
}

/** A pool to be made of a mirror of two free disks. */
export function newPool(
  changes: {
    pool?: Partial<PoolFacts>;
    plan?: Partial<PoolPlan>;
    vdevs?: readonly VdevFacts[];
    folderInUse?: boolean;
    trial?: string;
  } = {},
): PoolFacts {
  const { vdevs = [vdev('/dev/sdd1'), vdev('/dev/sde1')], folderInUse = false, trial = null } = changes;
  const made = planPool({
    stored: null,
    name: 'new',
    vdevs: 'mirror /dev/sdd1 /dev/sde1',
    abilities: ABILITIES,
  });
  const plan = { ...made, differences: [], ...changes.plan };
  const creating = { plan, vdevs, folderInUse, trial };
  return { name: 'new', properties: null, importable: [], creating, ...changes.pool };
}

export function facts(changes: Partial<PreflightFacts> = {}): PreflightFacts {
  return {
    abilities: ABILITIES,
    hostid: '08cbc6ba',
    pool: pool(),
    datasets: [dataset()],
    force: false,
    ...changes,
  };
}

/** `level code`, in the order in which they are found. */
export function codes(changes: Partial<PreflightFacts>): string[] {
  return preflight(facts(changes)).map(({ level, code }) => `${level} ${code.replace('preflight.', '')}`);
}

/** The only finding. */
export function only(changes: Partial<PreflightFacts>): Finding {
  const [found, ...others] = preflight(facts(changes));
  if (found === undefined || others.length > 0)
    throw new Error(`${codes(changes).length} findings: ${codes(changes)}`);
  return found;
}
