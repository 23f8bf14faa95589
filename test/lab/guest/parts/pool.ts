/** Pools of file vdevs, and what ZFS says of them. */
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Guid, guidOfDecimal } from '../../../../catalog/words.ts';
import { must, run, shell } from './command.ts';

/** A pool on one sparse file. */
export interface Pool {
  readonly name: string;
  /** The vdev. */
  readonly file: string;
  destroy(): Promise<void>;
}

/** How a pool is made. */
export interface PoolOptions {
  /** MiB. */
  readonly size?: number;
  /** Options of `zpool create`, e.g. `['-O', 'compression=lz4']`. */
  readonly options?: readonly string[];
}

/**
 * Makes a pool that is mounted nowhere by a restart and whose volumes show their snapshots.
 *
 * @param folder where its file lies.
 */
export async function makePool(folder: string, name: string, options: PoolOptions = {}): Promise<Pool> {
  const { size = 512, options: more = [] } = options;
  const file = join(folder, `${name}.img`);
  await writeFile(file, '');
  await truncate(file, size * 1024 * 1024);
  const usual = [
    '-o',
    'cachefile=none',
    '-O',
    'atime=off',
    '-O',
    'snapdev=visible',
    '-m',
    join(folder, name),
  ];
  await must('zpool', 'create', ...usual, ...more, name, file);
  return {
    name,
    file,
    destroy: async () => {
      const { exit, stderr } = await run(['zpool', 'destroy', '-f', name]);
      if (exit !== 0 && !stderr.includes('no such pool'))
        throw new Error(`cannot destroy ${name}: ${stderr}`);
      await rm(file, { force: true });
    },
  };
}

/** The features of pools that this ZFS knows. */
export async function knownFeatures(): Promise<ReadonlySet<string>> {
  const printed = await must('zpool', 'upgrade', '-v');
  const names = printed.matchAll(/^([a-z0-9_]+) *(?:\(read-only compatible\))?$/gm);
  return new Set([...names].map(([, name = '']) => name));
}

/**
 * Options for a pool with one feature left disabled, as Lustre's mkfs leaves
 * `longname`, which OpenZFS 2.1 does not know.
 */
export async function oneFeatureLess(): Promise<string[]> {
  const feature = (await knownFeatures()).has('longname') ? 'longname' : 'draid';
  return ['-o', `feature@${feature}=disabled`];
}

/** The GUID of a dataset or snapshot. */
export async function guidOf(name: string): Promise<Guid> {
  return guidOfDecimal(await property(name, 'guid'));
}

/** One property's value, as `zfs get -Hp` prints it. */
export async function property(name: string, key: string): Promise<string> {
  return must('zfs', 'get', '-Hpo', 'value', key, name);
}

/** Snapshots of a dataset by their name after `@`, the oldest first; none when there is no dataset. */
export async function snapshotsOf(dataset: string): Promise<string[]> {
  return namesOf(dataset, 'snapshot');
}

/** Bookmarks of a dataset by their name after `#`, the oldest first. */
export async function bookmarksOf(dataset: string): Promise<string[]> {
  return namesOf(dataset, 'bookmark');
}

/** What holds snapshots of a dataset: `snapshot tag`. */
export async function holdsOf(dataset: string): Promise<string[]> {
  const snapshots = await snapshotsOf(dataset);
  if (snapshots.length === 0) return [];
  const lines = await must('zfs', 'holds', '-H', ...snapshots.map((name) => `${dataset}@${name}`));
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) =>
      line
        .split('\t')
        .slice(0, 2)
        .join(' ')
        .slice(dataset.length + 1),
    );
}

/** Makes a child of the pool's root and gives where it is mounted. */
export async function makeFilesystem(name: string, ...options: string[]): Promise<string> {
  await must('zfs', 'create', ...options, name);
  return property(name, 'mountpoint');
}

/** Mounts a snapshot, whatever its dataset's `canmount` says, for the time of `look`. */
export async function withSnapshot<T>(snapshot: string, look: (folder: string) => Promise<T>): Promise<T> {
  const folder = `/run/snapshot-${process.pid}`;
  await mkdir(folder, { recursive: true });
  await must('mount', '-t', 'zfs', '-o', 'ro', snapshot, folder);
  try {
    return await look(folder);
  } finally {
    await unmount(folder);
  }
}

/** On a slow host something (udev, a child that is just ending) may still look at what was mounted. */
async function unmount(folder: string): Promise<void> {
  for (let left = 40; ; left--) {
    const { exit, stderr } = await run(['umount', folder]);
    if (exit === 0) return;
    if (left === 0 || !stderr.includes('busy'))
      throw new Error(`umount ${folder} ended with ${exit}: ${stderr}`);
    await sleep(250);
  }
}

/** SHA-256 of a whole volume or a snapshot of one. */
export async function volumeDigest(name: string): Promise<string> {
  const device = `/dev/zvol/${name}`;
  // udev makes the device a moment after ZFS made the volume.
  return shell(`for i in {1..200}; do [ -b '${device}' ] && break; sleep .05; done; sha256sum <'${device}'`);
}

async function namesOf(dataset: string, type: 'snapshot' | 'bookmark'): Promise<string[]> {
  const { exit, stdout } = await run([
    'zfs',
    'list',
    '-Ho',
    'name',
    '-t',
    type,
    '-s',
    'createtxg',
    '-d',
    '1',
    dataset,
  ]);
  if (exit !== 0) return [];
  const lines = stdout.toString('utf8').split('\n').filter(Boolean);
  return lines.map((line) => line.slice(dataset.length + 1));
}
