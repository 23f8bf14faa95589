/** What goes wrong at the service and its store while a backup is on its way. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { must } from './parts/command.ts';
import { assertClean, errorOf, Lab, segmentStored } from './parts/lab.ts';
import { holdsOf, makeFilesystem, snapshotsOf } from './parts/pool.ts';
import { fillRandom, treeOf } from './parts/tree.ts';

const LARGE = 56;
/** A disk of its own for the service, so that it can be full, MiB. */
const DISK = '/run/service-disk';

await mkdir(DISK, { recursive: true });
await must('mount', '-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', DISK);
const lab = await Lab.open({ data: join(DISK, 'service') });
after(async () => {
  await lab.close();
  await must('umount', DISK);
});
before(async () => {
  await lab.pool('tank');
  await lab.pool('fresh');
  const folder = await makeFilesystem('tank/fs');
  await fillRandom(join(folder, 'file'), LARGE);
});

async function comesBack(snapshot: unknown, target: string): Promise<void> {
  await lab.restore('tank/fs', '--to', target, '--snapshot', String(snapshot));
  assert.deepEqual(await treeOf(`${target}@${snapshot}`), await treeOf(`tank/fs@${snapshot}`));
}

test('a store that is full says so, and takes the backup when there is room again', async () => {
  const ended = await lab.zkeep(['backup', 'tank/fs', '--json']);
  assert.deepEqual([ended.exit, errorOf(ended).kind], [9, 'full'], ended.stderr);
  assert.equal((await lab.zkeep(['list', 'tank/fs', '--json'])).exit, 3);
  assert.deepEqual([await snapshotsOf('tank/fs'), await holdsOf('tank/fs')], [[], []]);
  await assertClean(lab);
  await must('mount', '-o', 'remount,size=900m', DISK);
  const { snapshot } = await lab.backup('tank/fs');
  await comesBack(snapshot, 'fresh/roomy');
});

for (const [how, signal] of [
  ['stopped', 'SIGTERM'],
  ['killed', 'SIGKILL'],
] as const) {
  test(`a service that is ${how} midway and started again gets the whole backup`, async () => {
    const { length } = await lab.service.keys('segments/');
    const agent = lab.start(['backup', 'tank/fs', '--full', '--json']);
    await segmentStored(lab, length);
    await lab.service.stop(signal);
    await sleep(2_000);
    await lab.service.start();
    const { exit, stdout, stderr } = await agent.ended;
    assert.equal(exit, 0, `${stdout} ${stderr}`);
    const { backups } = JSON.parse(stdout.toString());
    await comesBack(backups[0].snapshot, `fresh/${how}`);
    await assertClean(lab);
  });

  test(`a service that is ${how} during a restore and started again gives the rest`, async () => {
    const [snapshot] = await lab.stored('tank/fs');
    const agent = lab.start([
      'restore',
      'tank/fs',
      '--to',
      `fresh/again-${how}`,
      '--snapshot',
      String(snapshot),
      '--json',
    ]);
    await sleep(1_500);
    await lab.service.stop(signal);
    await sleep(1_000);
    await lab.service.start();
    const { exit, stdout, stderr } = await agent.ended;
    assert.equal(exit, 0, `${stdout} ${stderr}`);
    assert.deepEqual(await treeOf(`fresh/again-${how}@${snapshot}`), await treeOf(`tank/fs@${snapshot}`));
  });
}

test('a service that never answers is unavailable, and the source is as it was', async () => {
  const before = [await snapshotsOf('tank/fs'), await holdsOf('tank/fs')];
  await lab.service.stop();
  const ended = await lab.zkeep(['backup', 'tank/fs', '--json']);
  await lab.service.start();
  assert.deepEqual([ended.exit, errorOf(ended).kind], [10, 'unavailable']);
  assert.deepEqual([await snapshotsOf('tank/fs'), await holdsOf('tank/fs')], before);
});

test('a wrong token is denied', async () => {
  const ended = await lab.zkeep(['backup', 'tank/fs', '--json'], { env: { ZKEEP_TOKEN: 'zkeep_wrong' } });
  assert.deepEqual([ended.exit, errorOf(ended).kind], [8, 'denied']);
});

test('all that was stored verifies', async () => {
  await assertClean(lab);
});
