/** What stands in the way of a restore into a pool that is there is found first: each kind on real ZFS. */
import assert from 'node:assert/strict';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { FEATURES } from '../../../catalog/stream/features.ts';
import { makeStream } from '../../made-stream.ts';
import { must, run, shell } from './parts/command.ts';
import { Loops, sparseFile } from './parts/devices.ts';
import { BackupDocument, ImportDocument, readDocument } from './parts/documents.ts';
import { findingsOf } from './parts/findings.ts';
import { FrailDevice } from './parts/frail-device.ts';
import { errorOf, Lab } from './parts/lab.ts';
import { knownFeatures, makeFilesystem, snapshotsOf } from './parts/pool.ts';
import { change, fill, fillRandom } from './parts/tree.ts';

const lab = await Lab.open();
const loops = new Loops();
after(async () => {
  await loops.close();
  await lab.close();
});

/** Snapshots of tank/fs; of tank/big, which has 24 MiB; the set of both. */
let [first, second, big, set] = ['', '', '', ''];
before(async () => {
  await lab.pool('tank');
  await lab.pool('fresh');
  const folder = await makeFilesystem('tank/fs');
  await fill(folder);
  first = String((await lab.backup('tank/fs')).snapshot);
  await change(folder, 1);
  await fillRandom(join(await makeFilesystem('tank/big', '-o', 'compression=off'), 'file'), 24);
  const stored = await lab.json(BackupDocument, 'backup', 'tank/fs', 'tank/big');
  set = String(stored.set);
  second = String(stored.backups[0]?.snapshot);
  big = String(stored.backups[1]?.snapshot);
});

const into = (target: string, ...more: string[]) =>
  findingsOf(lab, 'restore', 'tank/fs', '--to', target, ...more);

test('a pool that is not there, not imported, or without the dataset above', async (t) => {
  const migrate = (target: string) => findingsOf(lab, 'migrate', 'tank/fs', '--to', target);
  assert.deepEqual(await migrate('nopool/fs'), ['refuse no-pool']);
  assert.deepEqual(await migrate('fresh/no/fs'), ['refuse no-parent']);
  const device = await loops.over(await sparseFile(join(lab.folder, 'away.img'), 128));
  await must('zpool', 'create', '-m', 'none', 'away', device);
  await must('zpool', 'export', 'away');
  t.after(() => run(['zpool', 'labelclear', '-f', device]));
  const ended = await lab.zkeep(['migrate', 'tank/fs', '--to', 'away/fs', '--json']);
  const { code, advice } = errorOf(ended);
  assert.deepEqual([ended.exit, code], [4, 'preflight.no-pool']);
  assert.match(String(advice), /it could be imported: zpool import -N -o cachefile=none away/);
  // Who restores is told so by its exit code as well.
  const restored = await lab.zkeep(['restore', '--set', set, '--to', 'away', '--json']);
  assert.deepEqual([restored.exit, errorOf(restored).code], [3, 'restore.no-parent']);
});

test('a pool that nothing can be written to, or that has lost a disk', async (t) => {
  const [a, b] = await Promise.all(
    ['half-a', 'half-b'].map((name) => sparseFile(join(lab.folder, name), 128)),
  );
  assert.ok(a && b);
  await must('zpool', 'create', '-o', 'cachefile=none', '-m', 'none', 'half', 'mirror', a, b);
  t.after(() => run(['zpool', 'destroy', '-f', 'half']));
  await must('zpool', 'offline', 'half', b);
  assert.deepEqual(await into('half/fs'), ['warn pool-degraded']);
  await must('zpool', 'export', 'half');
  await must('zpool', 'import', '-d', lab.folder, '-o', 'readonly=on', 'half');
  assert.deepEqual(await into('half/fs'), ['refuse pool-readonly']);
  assert.notEqual((await lab.zkeep(['restore', 'tank/fs', '--to', 'half/fs'])).exit, 0);
});

test('a pool whose only device is gone', async (t) => {
  const device = await FrailDevice.make(lab.folder, 'frail', 256);
  const usual = ['-o', 'cachefile=none', '-o', 'failmode=wait', '-m', 'none'];
  await must('zpool', 'create', ...usual, 'frail', device.path);
  t.after(async () => {
    await device.giveBack();
    await run(['zpool', 'clear', 'frail']);
    await run(['zpool', 'destroy', '-f', 'frail']);
    await device.remove();
  });
  await device.takeAway();
  // Something must be written before ZFS notices.
  void run(['zfs', 'set', 'lab:notice=it', 'frail']).catch(() => undefined);
  await shell(
    'for i in {1..600}; do [ "$(zpool list -Ho health frail)" = SUSPENDED ] && exit; sleep .1; done; exit 1',
  );
  const ended = await lab.zkeep(['restore', 'tank/fs', '--to', 'frail/fs', '--dry-run', '--json']);
  assert.deepEqual([ended.exit, errorOf(ended).code], [10, 'zfs.suspended']);
});

test('a place where something else is, or was begun', async () => {
  await must('zfs', 'create', 'fresh/taken');
  assert.deepEqual(await into('fresh/taken'), ['refuse target-exists']);
  assert.deepEqual(await into('fresh/taken', '--force'), ['warn target-exists']);

  await shell(`(zfs send tank/big@${big} | head -c 8M | zfs receive -s -u fresh/partial) || true`);
  assert.deepEqual(await into('fresh/partial'), ['refuse partial']);
  assert.deepEqual(await into('fresh/partial', '--force'), ['warn partial']);
  const own = ['restore', 'tank/big', '--to', 'fresh/partial'];
  assert.deepEqual(await findingsOf(lab, ...own), ['warn partial-own']);
});

test('a target that went on by itself', async () => {
  await must('zfs', 'create', 'fresh/own');
  await lab.restore('tank/fs', '--to', 'fresh/own/fs', '--snapshot', first);
  await must('zfs', 'set', 'mountpoint=/run/newer', 'fresh/own/fs');
  await must('zfs', 'mount', 'fresh/own/fs');
  await writeFile('/run/newer/mine', 'data');
  await must('zfs', 'unmount', 'fresh/own/fs');
  await must('zpool', 'sync', 'fresh');
  assert.deepEqual(await into('fresh/own/fs'), ['warn target-written']);
  await must('zfs', 'snapshot', 'fresh/own/fs@mine');
  assert.deepEqual(await into('fresh/own/fs', '--force'), ['warn target-newer']);
  // Alone, it is told in the planner's words; with something else, in the list of all.
  assert.deepEqual(await into('fresh/own/fs'), ['refuse chain.target-has-newer']);
  await must('zfs', 'create', 'fresh/own/big');
  assert.deepEqual(await findingsOf(lab, 'restore', '--set', set, '--to', 'fresh/own'), [
    'refuse target-exists',
    'refuse target-newer',
  ]);
  assert.deepEqual(await snapshotsOf('fresh/own/fs'), [first, 'mine']);
});

test('a pool or a quota that has no room, or hardly any', async () => {
  const restore = ['restore', 'tank/big', '--to', 'fresh/room/big'];
  await must('zfs', 'create', '-o', 'quota=20M', 'fresh/room');
  assert.deepEqual(await findingsOf(lab, ...restore), ['refuse no-space']);
  const { exit, stdout } = await lab.zkeep([...restore, '--json']);
  assert.equal(exit, 9, String(stdout));
  await must('zfs', 'set', 'quota=28M', 'fresh/room');
  assert.deepEqual(await findingsOf(lab, ...restore), ['warn tight-space']);
  await must('zfs', 'set', 'quota=none', 'fresh/room');
  assert.deepEqual(await findingsOf(lab, ...restore), []);
});

test('a feature that the pool does not have enabled', async () => {
  const options = ['-d', '-o', 'feature@extensible_dataset=enabled'];
  await lab.pool('bare', { options, size: 128 });
  const found = await into('bare/fs');
  assert.ok(found.length > 0 && found.every((one) => one === 'refuse feature-disabled'), found.join());
});

/** Keeps a made stream with these feature bits, and gives its file. */
async function imported(name: string, guid: bigint, ...bits: number[]): Promise<string> {
  const features = bits.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
  const made = { toGuid: guid, toName: `tank/${name}@one`, features, blocks: [Buffer.alloc(4096, 1)] };
  const path = join(lab.folder, `${name}.zfs`);
  await writeFile(path, Buffer.concat([...makeStream(made)]));
  await lab.json(ImportDocument, 'import', '--dataset', `made/${name}`, '--file', path);
  return path;
}

test('a stream that this ZFS does not know, as zfs receive itself says', async () => {
  const known = await knownFeatures();
  const newer = [FEATURES.LONGNAME, FEATURES.LARGE_MICROZAP].filter(({ pool }) => !known.has(pool));
  const files = [await imported('future', 101n, 40)];
  assert.deepEqual(await findingsOf(lab, 'restore', 'made/future', '--to', 'fresh/future'), [
    'refuse stream-unreceivable',
  ]);
  for (const { bit, pool } of newer) {
    files.push(await imported(pool, BigInt(200 + bit), FEATURES.SA_SPILL.bit, bit));
    assert.deepEqual(await findingsOf(lab, 'restore', `made/${pool}`, '--to', `fresh/${pool}`), [
      'refuse feature-unknown',
    ]);
  }
  for (const [at, path] of files.entries()) {
    assert.notEqual((await run(['zfs', 'receive', '-u', `fresh/made-${at}`], { inputFile: path })).exit, 0);
  }
});

test('a stream of a newer ZFS', async () => {
  // All but the version is the real one's.
  const folder = join(lab.folder, 'newer');
  await mkdir(folder);
  const real = await shell('command -v zfs');
  const script = `#!/bin/sh\n[ "$*" = version ] || exec ${real} "$@"\necho zfs-9.1.0-1; echo zfs-kmod-9.1.0-1\n`;
  await writeFile(join(folder, 'zfs'), script);
  await chmod(join(folder, 'zfs'), 0o755);
  await makeFilesystem('tank/newer');
  const env = { PATH: `${folder}:${process.env['PATH']}` };
  const { exit, stdout, stderr } = await lab.zkeep(['backup', 'tank/newer', '--json'], { env });
  assert.equal(exit, 0, stderr);
  assert.equal(readDocument(BackupDocument, stdout.toString('utf8')).backups[0]?.outcome, 'stored');
  const restore = ['restore', 'tank/newer', '--to', 'fresh/older'];
  assert.deepEqual(await findingsOf(lab, ...restore), ['warn zfs-older']);
});

test('keys: of what is above, and of what comes back', async () => {
  const encrypted = '-o encryption=on -o keyformat=passphrase';
  await shell(
    `echo 12345678 | zfs create ${encrypted} fresh/locked; zfs unmount fresh/locked; zfs unload-key fresh/locked`,
  );
  assert.deepEqual(await into('fresh/locked/fs'), ['refuse key-not-loaded']);
  const plain = await run(['bash', '-c', `zfs send tank/fs@${second} | zfs receive -u fresh/locked/fs`]);
  assert.notEqual(plain.exit, 0);
  await shell(`echo 12345678 | zfs create ${encrypted} tank/secret`);
  await lab.backup('tank/secret');
  assert.deepEqual(await findingsOf(lab, 'restore', 'tank/secret', '--to', 'fresh/secret'), [
    'warn key-needed',
  ]);
});
