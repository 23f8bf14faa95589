/** What a preflight judges: plain data, gathered by `gather.ts`, made up by tests. */
import type { ZfsAbilities } from '../../../catalog/attributes/pool/abilities.ts';
import type { PoolPlan } from '../../../catalog/attributes/pool-plan.ts';
import type { Begin } from '../../../catalog/stream/state.ts';
import type { Guid } from '../../../catalog/words.ts';
import type { AboveFacts, ImportablePool } from '../../zfs/pools/pools.ts';
import type { VdevFacts } from '../../zfs/pools/vdevs.ts';
import type { Target } from '../target.ts';

/** One stream that will be received. */
export interface StreamFacts {
  /** The snapshot that it leads to: the part after `@`, or its GUID. */
  readonly name: string;
  readonly to: Guid;
  readonly begin: Pick<Begin, 'features'>;
  /** Raw bytes. */
  readonly bytes: number;
  /** `zfs version` of the host that sent it, with its prefix; `null` where nobody knows. */
  readonly zfs: string | null;
}

/** The place of one dataset: what is there, and what is above it. */
export interface PlaceFacts extends Target {
  /** Bytes written since the newest snapshot; `null` where there is none, or nobody knows. */
  readonly written: number | null;
  /** The nearest dataset above that exists; `null` where not even the pool does. */
  readonly above: AboveFacts | null;
}

/** What the stored properties say of the key of an encrypted dataset. */
export interface KeyFacts {
  /** `passphrase`, `hex`, `raw`; `null` where the properties are not stored. */
  readonly format: string | null;
  /** `prompt`, `file:///...`, `https://...`; `null` where it is not stored, or that of another dataset. */
  readonly location: string | null;
  /** The dataset whose key it uses, as it was called where it was; `null` where it had its own. */
  readonly root: string | null;
  /** Whether a `file://` of it is there on this host; `null` where it is something else. */
  readonly present: boolean | null;
}

/** One dataset to be restored. */
export interface DatasetRestore {
  readonly place: PlaceFacts;
  /** In the order in which they are received. */
  readonly streams: readonly StreamFacts[];
  /** The snapshot of the place that the first stream goes on from; `null`: the first is a full one. */
  readonly base: Guid | null;
  /** The plan goes back to `base` before it goes on. */
  readonly rollback: boolean;
  /** `referenced` of the wanted snapshot, bytes; `null` where its properties are not stored. */
  readonly referenced: number | null;
  readonly key: KeyFacts | null;
}

/** The pool that the restore goes to. */
export interface PoolFacts {
  readonly name: string;
  /** `zpool get -Hp all`; `null` where no pool of that name is imported. */
  readonly properties: Readonly<Record<string, string>> | null;
  /** All that could be imported; only asked where the pool is not there or will be created. */
  readonly importable: readonly ImportablePool[];
  /** What will create it; `null` where it is to be there already. */
  readonly creating: CreatingFacts | null;
}

/** What a pool will be created of. */
export interface CreatingFacts {
  readonly plan: PoolPlan;
  readonly vdevs: readonly VdevFacts[];
  /** The folder `/POOL` is there and not empty: `zpool create` refuses then. */
  readonly folderInUse: boolean;
  /** What `zpool create -n` said when it refused; `null` when it did not, or could not be run. */
  readonly trial: string | null;
}

/** Everything. */
export interface PreflightFacts {
  readonly abilities: ZfsAbilities;
  /** 8 hex digits; `null` where there is none, or it is zero; `undefined` where nobody could tell. */
  readonly hostid: string | null | undefined;
  readonly pool: PoolFacts;
  readonly datasets: readonly DatasetRestore[];
  /** The administrator said that what is at the place may be lost (`--force`). */
  readonly force: boolean;
}
