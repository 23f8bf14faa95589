/** The devices of a pool to be made: there, large enough, and nobody else's. */
import type { VdevFacts } from '../../zfs/pools/vdevs.ts';
import type { CreatingFacts, PreflightFacts } from './facts.ts';
import { type Finding, listOf, refuse, warn } from './finding.ts';

/** The smallest device that ZFS takes, bytes (`SPA_MINDEVSIZE`). */
const SMALLEST = 64 * 1024 * 1024;

export function findInVdevs({ pool }: PreflightFacts): Finding[] {
  if (!pool.creating) return [];
  const { vdevs, plan } = pool.creating;
  const found = [
    ...findRepeated(vdevs),
    ...vdevs.flatMap((vdev) => [...findUnfit(vdev), ...findUse(vdev), ...findSectors(vdev, plan.ashift)]),
  ];
  // zpool's own look has the last word; where ours found the reason, its words would only repeat it.
  const known = found.some(({ level }) => level === 'refuse') || pool.creating.folderInUse;
  return known ? found : [...found, ...findTrial(pool.name, pool.creating)];
}

function findTrial(pool: string, { trial, plan }: CreatingFacts): Finding[] {
  if (trial === null) return [];
  const message = `zpool would not create ${pool}: ${trial}`;
  const advice = 'put that right; where you are sure, create the pool by hand with zpool create -f';
  return [refuse('pool-refused', message, advice, { pool, command: [...plan.command] })];
}

function findRepeated(vdevs: readonly VdevFacts[]): Finding[] {
  const byPath = Map.groupBy(vdevs, ({ path, name }) => path ?? name);
  return [...byPath].flatMap(([path, { length }]) =>
    length < 2
      ? []
      : [refuse('vdev-twice', `${path} is named ${length} times`, 'name every device once', { vdev: path })],
  );
}

/** What no pool can be made of. */
function findUnfit(vdev: VdevFacts): Finding[] {
  const { name, kind, size, readonly } = vdev;
  const facts = { vdev: name };
  if (kind === 'missing') {
    const advice = name.startsWith('/')
      ? `lsblk shows the disks of this host; for a file: truncate -s SIZE ${name}`
      : 'lsblk shows the disks of this host; a file needs its whole path';
    return [refuse('vdev-missing', `there is no ${name}`, advice, facts)];
  }
  if (kind === 'other') {
    return [
      refuse(
        'vdev-unfit',
        `${name} is neither a disk nor a file`,
        'name a disk, a partition or a file',
        facts,
      ),
    ];
  }
  if (readonly === true) {
    return [
      refuse('vdev-readonly', `${name} is read-only`, `blockdev --setrw ${name}, or another disk`, facts),
    ];
  }
  if (size !== null && size < SMALLEST) {
    const message = `${name} has ${size} bytes: ZFS takes nothing below 64 MiB`;
    const advice = kind === 'file' ? `truncate -s 1G ${name}, or more` : 'take a larger one';
    return [refuse('vdev-too-small', message, advice, { ...facts, size })];
  }
  return [];
}

/** Who has it, or had it. One reason is enough: the strongest. */
function findUse(vdev: VdevFacts): Finding[] {
  const { name, role, pool, mounts, holders, contents } = vdev;
  const facts = { vdev: name };
  // Pools may share a hot spare: zpool itself says when they may not.
  if (role === 'spare' && (pool !== null || vdev.label?.state === 'spare')) return [];
  if (pool !== null) {
    const advice = `take another disk; or, if ${pool} is no longer needed: zpool export ${pool}, zpool labelclear -f ${name}`;
    return [
      refuse('vdev-in-pool', `${name} belongs to the pool ${pool}, which is imported here`, advice, {
        ...facts,
        pool,
      }),
    ];
  }
  if (mounts.length > 0) {
    const message = `${name} is in use: ${listOf(mounts)}`;
    const advice = 'take another disk; or umount (swapoff), once you are sure that it is the right one';
    return [refuse('vdev-mounted', message, advice, { ...facts, mounts: [...mounts] })];
  }
  if (holders.length > 0) {
    const message = `${name} carries ${listOf(holders)}`;
    const advice = 'take another disk; or take down what is built upon it (LVM, md, dm-crypt, multipath)';
    return [refuse('vdev-held', message, advice, { ...facts, holders: [...holders] })];
  }
  if (contents.length > 0) {
    const message = `${name} holds ${listOf(contents)}`;
    const advice = `take another disk; or, if nothing on it is needed: wipefs --all ${name}`;
    return [refuse('vdev-holds-data', message, advice, { ...facts, contents: [...contents] })];
  }
  return findLabel(vdev);
}

/** A label of a pool that is not imported here: it may be another host's. */
function findLabel({ name, label }: VdevFacts): Finding[] {
  if (label === null) return [];
  const { pool, state } = label;
  const facts = { vdev: name, pool, state };
  if (state === 'destroyed') {
    const message = `${name} belonged to the pool ${pool}, which was destroyed: it can no longer be brought back afterwards`;
    return [
      warn(
        'vdev-label',
        message,
        `go on if ${pool} is not needed; zpool import -D would still find it`,
        facts,
      ),
    ];
  }
  const message = `${name} has the label of the pool ${pool} (${state}), which another host may be using`;
  const advice = `zpool import shows it; if ${pool} is not needed anywhere: zpool labelclear -f ${name}`;
  return [refuse('vdev-label', message, advice, facts)];
}

/**
 * Sectors larger than 2^ashift: below the logical ones ZFS refuses, or takes a larger ashift than it
 * then tells (OpenZFS 2.3); below the physical ones it is slow.
 */
function findSectors({ name, sectors }: VdevFacts, ashift: number | null): Finding[] {
  if (ashift === null || sectors === null) return [];
  const block = 2 ** ashift;
  const { logical, physical } = sectors;
  const facts = { vdev: name, ashift, logical, physical };
  if (logical > block) {
    const message = `${name} has sectors of ${logical} bytes, and the pool is to write ${block} (ashift ${ashift}, as it had)`;
    return [refuse('ashift-too-small', message, adviceOnAshift(logical), facts)];
  }
  if (physical > block) {
    const message = `${name} works in sectors of ${physical} bytes; with ashift ${ashift}, as it was, it writes slowly`;
    return [warn('ashift-slow', message, adviceOnAshift(physical), facts)];
  }
  return [];
}

function adviceOnAshift(sector: number): string {
  return `--ashift ${Math.ceil(Math.log2(sector))} makes a pool that fits the disk`;
}
