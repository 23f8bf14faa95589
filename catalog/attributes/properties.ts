/**
 * What the native properties are: which of them somebody sets, and which only
 * tell. From zfsprops(7) and zpoolprops(7) of OpenZFS 0.8 to 2.4, and the tables
 * behind them (`module/zcommon/zfs_prop.c`, `zpool_prop.c`); those of illumos and
 * SmartOS from its zfs(8).
 */
import type { ObjectAttributes } from './attributes.ts';

/** What a property of a dataset, snapshot or bookmark is. */
export type PropertyRole =
  /** A number that changes by itself. */
  | 'statistic'
  /** Told by ZFS about the object, or its state at the moment. */
  | 'fact'
  /** `zfs set` sets it. */
  | 'settable'
  /** Only `zfs create` sets it; it comes back with the stream, or is lost. */
  | 'create-only'
  /** A user property: its name has a colon, its value is the user's. */
  | 'user'
  /** Native, and not known here: of a newer ZFS, or of another one. */
  | 'unknown';

/** What a property of a pool is. */
export type PoolPropertyRole =
  | 'statistic'
  | 'fact'
  | 'settable'
  /** Only `zpool create` or `zpool import` take it, or no change of it reaches the vdevs that are there. */
  | 'create-only'
  /** `feature@...`: `disabled`, `enabled`, `active`. */
  | 'feature'
  /** A user property (OpenZFS 2.2 and later). */
  | 'user'
  | 'unknown';

/**
 * What a property is to an object of this kind: what is set on a dataset is only
 * told by its snapshots, but for user properties.
 *
 * @example propertyRole('recordsize', 'filesystem') // 'settable'
 * @example propertyRole('volsize', 'snapshot') // 'fact'
 */
export function propertyRole(name: string, kind: ObjectAttributes['kind']): PropertyRole {
  if (name.includes('@') || name.startsWith('written#')) return roleOfCounted(name);
  if (name.includes(':')) return 'user';
  const role = DATASET_ROLES.get(name) ?? 'unknown';
  const isPoint = kind === 'snapshot' || kind === 'bookmark';
  return isPoint && (role === 'settable' || role === 'create-only') ? 'fact' : role;
}

/**
 * What a property of a pool is.
 *
 * @example poolPropertyRole('multihost') // 'settable'
 */
export function poolPropertyRole(name: string): PoolPropertyRole {
  if (name.startsWith('feature@')) return 'feature';
  // Features that this version does not know: `unsupported@com.example:name`, `inactive` or `readonly`.
  if (name.startsWith('unsupported@')) return 'fact';
  if (name.includes(':')) return 'user';
  if (OF_CLASS.test(name)) return 'statistic';
  return POOL_ROLES.get(name) ?? 'unknown';
}

/** `userused@ann` counts, `userquota@ann` limits; `written@snapshot` counts. */
function roleOfCounted(name: string): PropertyRole {
  if (/^(?:written[@#]|(?:user|group|project)(?:obj)?used@)/.test(name)) return 'statistic';
  return /^(?:user|group|project)(?:obj)?quota@/.test(name) ? 'settable' : 'unknown';
}

/** `special_used` and the like, of every class of vdevs (OpenZFS 2.4). */
const OF_CLASS = /^[a-z_]+_(?:allocated|available|capacity|expandsize|fragmentation|free|size|usable|used)$/;

const DATASET_ROLES = table<Exclude<PropertyRole, 'user' | 'unknown'>>({
  statistic: `available compressratio filesystem_count logicalreferenced logicalused refcompressratio
    referenced snapshot_count snapshots_changed used usedbychildren usedbydataset usedbyrefreservation
    usedbysnapshots userrefs written`,
  // version: what `zfs upgrade` raises, and a stream carries; never to be set by hand.
  fact: `clones createtxg creation defer_destroy encryptionroot guid inconsistent ivsetguid keyguid keystatus
    mounted name numclones objsetid origin prevsnap receive_resume_token redact_snaps redacted remaptxg type
    unique useraccounting version`,
  'create-only': `casesensitivity encryption keyformat normalization pbkdf2iters pbkdf2salt utf8only
    volblocksize`,
  settable: `aclinherit aclmode acltype atime canmount checksum compression context copies dedup defaultgroupobjquota
    defaultgroupquota defaultprojectobjquota defaultprojectquota defaultuserobjquota defaultuserquota
    defcontext devices direct dnodesize exec filesystem_limit fscontext iscsioptions jailed keylocation logbias
    longname mlslabel mountpoint nbmand overlay prefetch primarycache quota readonly recordsize
    redundant_metadata refquota refreservation relatime reservation rootcontext secondarycache setuid
    shareiscsi sharenfs sharesmb smartlink snapdev snapdir snapshot_limit special_small_blocks stmf_sbd_lu
    sync volmode volsize volthreading vscan xattr zoned zoned_uid`,
});

const POOL_ROLES = table<Exclude<PoolPropertyRole, 'feature' | 'user' | 'unknown'>>({
  // last_scrubbed_txg and the size of the deduplication table move with every scrub and write.
  statistic: `allocated available bcloneratio bclonesaved bcloneused capacity checkpoint dedup_table_size
    dedupcached dedupratio dedupsaved dedupused expandsize fragmentation free freeing last_scrubbed_txg leaked size usable used`,
  // load_guid is new with each import.
  fact: 'guid health load_guid maxblocksize maxdnodesize name readonly tname',
  'create-only': 'altroot ashift version',
  settable: `autoexpand autoreplace autotrim bootfs cachefile comment compatibility dedup_table_quota
    dedupditto delegation failmode listsnapshots multihost`,
});

function table<Role extends string>(names: Readonly<Record<Role, string>>): ReadonlyMap<string, Role> {
  const roles: Role[] = [];
  for (const role in names) roles.push(role);
  return new Map(
    roles.flatMap((role) => names[role].split(/\s+/).map((name): [string, Role] => [name, role])),
  );
}
