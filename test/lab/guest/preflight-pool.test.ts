/** What stands in the way of a new pool is found before it is made: each kind on real devices, which ZFS itself refuses. */
import assert from 'node:assert/strict';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { must, run, shell } from './parts/command.ts';
import { Loops, partition, sparseFile } from './parts/devices.ts';
import { findingsOf } from './parts/findings.ts';
import { Lab } from './parts/lab.ts';

const lab = await Lab.open();
const loops = new Loops();
after(async () => {
  await loops.close();
  await lab.close();
});

const file = (name: string, mebibytes = 256) => sparseFile(join(lab.folder, name), mebibytes);
let [good, other] = ['', ''];
before(async () => {
  await shell('[ -s /etc/hostid ] || zgenhostid "$(hostid)"');
  [good, other] = await Promise.all([file('good.img'), file('other.img')]);
  // As Lustre's mkfs makes it, of disks with small sectors.
  const disks = await Promise.all([file('old-1.img'), file('old-2.img')]);
  const how = ['-o', 'ashift=9', '-o', 'multihost=on', '-o', 'cachefile=none', '-O', 'canmount=off'];
  await must('zpool', 'create', ...how, 'mgspool', 'mirror', ...disks);
  await must('zfs', 'create', '-o', 'canmount=off', 'mgspool/mgt');
  await lab.backup('mgspool/mgt');
  await must('zpool', 'destroy', 'mgspool');
  await Promise.all(disks.map((disk) => rm(disk)));
});

/** What the preflight finds in the way of a pool `made` of these vdevs. */
const create = (vdevs: string, to = 'made/mgt', ...more: string[]) =>
  findingsOf(lab, 'restore', 'mgspool/mgt', '--to', to, '--create-pool', vdevs, ...more);

/** That it is right: without -f, ZFS makes no such pool. */
async function zfsRefuses(vdevs: string, ...options: string[]): Promise<void> {
  const { exit } = await run(['zpool', 'create', ...options, 'made', ...vdevs.split(' ')]);
  if (exit === 0) await must('zpool', 'destroy', 'made');
  assert.notEqual(exit, 0, `zpool create takes ${vdevs}`);
}

/** A pool by this name on a loop device, exported. */
async function exported(t: TestContext, name: string): Promise<string> {
  const device = await loops.over(await file(`${name}-exported.img`));
  await must('zpool', 'create', '-f', '-m', 'none', name, device);
  await must('zpool', 'export', name);
  t.after(() => run(['zpool', 'labelclear', '-f', device]));
  return device;
}

test('nothing stands in the way of free disks; fewer than there were are warned of', async () => {
  assert.deepEqual(await create(`mirror ${good} ${other}`), []);
  assert.deepEqual(await create(good), ['warn pool-differs']);
});

test('a name that is taken: by a pool, by one that could be imported, by a folder', async (t) => {
  await lab.pool('taken', { size: 64 });
  assert.deepEqual(await create(good, 'taken/mgt'), ['refuse pool-exists']);
  await exported(t, 'made');
  assert.deepEqual(await create(good), ['refuse pool-importable']);

  t.after(() => rm('/full', { recursive: true }));
  await mkdir('/full');
  await writeFile('/full/file', '');
  assert.deepEqual(await create(good, 'full/mgt'), ['refuse folder-in-use']);
  assert.notEqual((await run(['zpool', 'create', 'full', good])).exit, 0);
});

test('a host without a hostid makes no pool with multihost=on', async (t) => {
  t.after(() => rename('/etc/hostid.away', '/etc/hostid'));
  await rename('/etc/hostid', '/etc/hostid.away');
  assert.deepEqual(await create(good), ['refuse no-hostid']);
  await zfsRefuses(good, '-o', 'multihost=on');
});

test('what is missing, is no disk, is read-only, is too small, or is named twice', async () => {
  const small = await file('small.img', 32);
  const readonly = await loops.over(await file('readonly.img'), '--read-only');
  for (const [vdevs, code] of [
    ['/no/such/disk', 'vdev-missing'],
    ['no-such-disk', 'vdev-missing'],
    ['/dev/null', 'vdev-unfit'],
    [lab.folder, 'vdev-unfit'],
    [readonly, 'vdev-readonly'],
    [small, 'vdev-too-small'],
    [`mirror ${good} ${good}`, 'vdev-twice'],
  ] as const) {
    assert.deepEqual(await create(vdevs), [`refuse ${code}`], vdevs);
    await zfsRefuses(vdevs);
  }
});

test('what somebody else uses: a pool, a mount, swap, a device built upon it', async (t) => {
  const { file: inPool } = await lab.pool('using', { size: 64 });
  const [mounted, swap, held] = await Promise.all(
    ['mounted', 'swap', 'held'].map(async (name) => loops.over(await file(`${name}.img`))),
  );
  const parted = await loops.over(await partition(await file('parted.img')), '--partscan');
  assert.ok(mounted && swap && held);
  await shell(`busybox mke2fs ${mounted}; mkdir -p /run/mounted; mount ${mounted} /run/mounted`);
  t.after(() => must('umount', '/run/mounted'));
  // Of this one it is a partition that is mounted.
  const part = `${parted}p1`;
  await shell(`for i in {1..100}; do [ -b ${part} ] && break; sleep .1; done; busybox mke2fs ${part}`);
  await shell(`mkdir -p /run/parted; mount ${part} /run/parted`);
  t.after(() => must('umount', '/run/parted'));
  await shell(`mkswap -q ${swap}; swapon ${swap}`);
  t.after(() => must('swapoff', swap));
  await must('modprobe', 'dm-mod');
  await must('dmsetup', 'create', 'upon', '--table', `0 100000 linear ${held} 0`);
  t.after(() => must('dmsetup', 'remove', 'upon'));
  for (const [vdev, code] of [
    [inPool, 'vdev-in-pool'],
    [mounted, 'vdev-mounted'],
    [parted, 'vdev-mounted'],
    [swap, 'vdev-mounted'],
    [held, 'vdev-held'],
  ] as const) {
    assert.deepEqual(await create(vdev), [`refuse ${code}`], vdev);
    await zfsRefuses(vdev);
  }
});

test('what still holds something: a file system, swap space, the label of a pool that is not here', async (t) => {
  const ext2 = await loops.over(await file('ext2.img'));
  const swap = await file('swapspace.img');
  await shell(`busybox mke2fs ${ext2}; mkswap -q ${swap}`);
  const label = await exported(t, 'elsewhere');
  for (const [vdev, code] of [
    [ext2, 'vdev-holds-data'],
    [swap, 'vdev-holds-data'],
    [label, 'vdev-label'],
  ] as const) {
    assert.deepEqual(await create(vdev), [`refuse ${code}`], vdev);
  }
  await zfsRefuses(ext2);
  await zfsRefuses(label);

  const gone = await file('gone.img');
  await must('zpool', 'create', '-m', 'none', 'gone', gone);
  await must('zpool', 'destroy', 'gone');
  assert.deepEqual(await create(`mirror ${good} ${gone}`), ['warn vdev-label']);
});

test('disks with larger sectors than the pool had', async (t) => {
  const large = await loops.over(await file('large.img'), '--sector-size', '4096');
  // Older versions of ZFS refuse this; later ones write larger sectors, and go on telling ashift=9.
  assert.deepEqual(await create(large), ['refuse ashift-too-small']);
  assert.deepEqual(await create(large, 'made/mgt', '--ashift', '12'), ['warn pool-differs']);
  // A disk in memory: spoken to in sectors of 512 bytes, it works in pages.
  await must('modprobe', 'brd', 'rd_nr=2', `rd_size=${128 * 1024}`);
  t.after(() => run(['rmmod', 'brd']));
  assert.deepEqual(await create('mirror /dev/ram0 /dev/ram1'), ['warn ashift-slow', 'warn ashift-slow']);
});

test('what only zpool knows is told in its words', async () => {
  const larger = await file('larger.img', 512);
  assert.deepEqual(await create(`mirror ${good} ${larger}`), ['refuse pool-refused']);
  await zfsRefuses(`mirror ${good} ${larger}`);
});

test('a pool whose making failed leaves nothing that counts', async () => {
  const [one, two] = await Promise.all([file('failed-1.img'), file('failed-2.img')]);
  // ZFS finds out late, when it has written its labels.
  await zfsRefuses(`mirror ${one} ${one}`);
  assert.match(await must('zdb', '-l', one), /txg: 0/);
  assert.deepEqual(await create(`mirror ${one} ${two}`), []);
});

test('all at once is told at once, and nothing was made by any of it', async () => {
  await lab.pool('another', { size: 64 });
  assert.deepEqual(await create(`mirror /no/such/disk ${lab.folder}`, 'another/mgt'), [
    'refuse pool-exists',
    'refuse vdev-missing',
    'refuse vdev-unfit',
  ]);
  assert.equal((await run(['zpool', 'list', 'made'])).exit, 1);
});
