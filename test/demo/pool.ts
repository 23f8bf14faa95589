/** The demo's road with ZFS: a pool of file vdevs, backups, the pool destroyed, a point in time on a fresh one. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Diary } from './diary.ts';
import { verified } from './recorded.ts';

interface BackedUp {
  readonly backups: readonly {
    kind: string;
    bytes: number;
    stored: number;
    outcome: string;
    reason: string;
  }[];
}
interface Restored {
  readonly received: readonly { bytes: number }[];
  readonly guid: string;
  readonly proof: { readonly guid_matches: boolean };
}

/** Whether a pool can be made here. */
export function zfsIsHere(): boolean {
  return process.getuid?.() === 0 && spawnSync('zpool', ['list', '-H']).status === 0;
}

/** Three snapshots in, the pool destroyed, the second snapshot on a new pool, compared. */
export async function poolRoad(diary: Diary, folder: string): Promise<void> {
  const [source, target] = [`zkeepdemo${process.pid}`, `zkeepfresh${process.pid}`];
  const dataset = `${source}/home`;
  try {
    makePool(source, folder);
    run('zfs', ['create', dataset]);
    const files = join(folder, source, 'home');
    const wanted = new Map<string, string>();
    for (const snapshot of ['monday', 'tuesday', 'wednesday']) {
      writeFileSync(join(files, `${snapshot}.bin`), randomBytes(2_000_000));
      writeFileSync(join(files, 'diary.txt'), `it is ${snapshot}\n`.repeat(10_000));
      run('zfs', ['snapshot', `${dataset}@${snapshot}`]);
      wanted.set(snapshot, sumOf(files));
      const words = ['backup', dataset, '--snapshot', snapshot];
      diary.zkeep<BackedUp>(`keep @${snapshot}`, words, ({ backups: [backup] }) => ({
        bytes: backup?.bytes ?? 0,
        stored: backup?.stored ?? 0,
        result: `${backup?.outcome}, ${backup?.kind}`,
      }));
    }
    run('zpool', ['destroy', source]);
    diary.note(`zpool destroy ${source}`, 'the pool is gone');
    makePool(target, folder);
    const back = `${target}/home`;
    const words = ['restore', dataset, '--to', back, '--snapshot', 'tuesday'];
    diary.zkeep<Restored>('put @tuesday onto a fresh pool', words, ({ received, proof }) => {
      if (!proof.guid_matches) throw new Error('another snapshot came back');
      return { bytes: received.reduce((sum, { bytes }) => sum + bytes, 0), result: 'the same GUID' };
    });
    const place = join(folder, 'restored');
    mkdirSync(place);
    run('zfs', ['set', `mountpoint=${place}`, 'canmount=on', back]);
    spawnSync('zfs', ['mount', back]);
    if (sumOf(place) !== wanted.get('tuesday')) throw new Error('other contents came back');
    diary.note('compare every file', 'equal');
    diary.zkeep('read every byte back and check it', ['verify', '--deep'], verified);
  } finally {
    for (const pool of [source, target]) spawnSync('zpool', ['destroy', '-f', pool]);
  }
}

function makePool(pool: string, folder: string): void {
  const vdev = join(folder, `${pool}.img`);
  writeFileSync(vdev, '');
  truncateSync(vdev, 256 * 1024 * 1024);
  run('zpool', ['create', '-o', 'cachefile=none', '-m', join(folder, pool), pool, vdev]);
}

/** The names and contents of all files of a folder, as one digest. */
function sumOf(folder: string): string {
  const names = execFileSync('find', [folder, '-type', 'f', '-printf', '%P\\n'])
    .toString()
    .trim()
    .split('\n')
    .sort();
  const sum = createHash('sha256');
  for (const name of names) sum.update(`${name}\0`).update(readFileSync(join(folder, name)));
  return sum.digest('hex');
}

function run(command: string, words: readonly string[]): void {
  execFileSync(command, words, { stdio: ['ignore', 'ignore', 'inherit'] });
}
