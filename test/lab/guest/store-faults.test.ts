/** What goes wrong at the service and its store while a backup or a restore is on its way. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { childOf, eventually, must } from './parts/command.ts';
import { BackupDocument } from './parts/documents.ts';
import { assertClean, assertWhole, errorOf, Lab } from './parts/lab.ts';
import { startToTheMiddle } from './parts/midway.ts';
import { holdsOf, makeFilesystem, property, snapshotsOf } from './parts/pool.ts';
import { fillRandom, fillText, treeOf } from './parts/tree.ts';

/** Five segments, MiB. */
const LARGE = 80;
/** A disk of its own for the service, so that it can be full. */
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
  await fillText(join(await makeFilesystem('tank/fs', '-o', 'compression=off'), 'file'), LARGE);
  await fillRandom(join(await makeFilesystem('tank/random'), 'file'), 48);
});

test('a store that is full is waited for so long, and said to be; with room in it the next run goes on', async () => {
  const ended = await lab.zkeep(['backup', 'tank/random', '--patience', '3s', '--json']);
  assert.deepEqual([ended.exit, errorOf(ended).kind], [9, 'full'], ended.stderr);
  assert.deepEqual(await lab.service.snapshots('tank/random'), []);
  const [kept, ...more] = await snapshotsOf('tank/random');
  assert.deepEqual([await holdsOf('tank/random'), more], [[`${kept} zkeep`], []]);
  await assertWhole(lab);
  await must('mount', '-o', 'remount,size=900m', DISK);
  const { backups } = await lab.json(BackupDocument, 'backup', 'tank/random');
  assert.deepEqual(
    backups.map(({ snapshot, resumed }) => [snapshot === kept, resumed?.how]),
    [
      [true, 'resumed'],
      [false, undefined],
    ],
  );
});

test('a service that is stopped and later killed midway, and started again each time, gets the whole backup', async () => {
  const { agent, oneMore, goOn } = await startToTheMiddle(lab, 'tank/fs');
  await lab.service.stop('SIGTERM');
  await lab.service.start();
  await oneMore();
  await lab.service.stop('SIGKILL');
  await lab.service.start();
  goOn();
  const { exit, stdout, stderr } = await agent.ended;
  assert.equal(exit, 0, `${stdout} ${stderr}`);
  assert.deepEqual(await lab.service.snapshots('tank/fs'), await snapshotsOf('tank/fs'));
  await assertWhole(lab);
});

test('a service that is killed during a restore and started again gives the rest', async () => {
  const agent = lab.start(['restore', 'tank/fs', '--to', 'fresh/fs', '--json']);
  await eventually('zfs receive', () => childOf(agent.pid, 'zfs', 'receive'));
  await lab.service.stop('SIGKILL');
  await lab.service.start();
  const { exit, stdout, stderr } = await agent.ended;
  assert.equal(exit, 0, `${stdout} ${stderr}`);
  const [snapshot] = await snapshotsOf('tank/fs');
  assert.deepEqual(await snapshotsOf('fresh/fs'), [snapshot]);
  assert.equal(await property('fresh/fs', 'receive_resume_token'), '-');
  assert.deepEqual(await treeOf(`fresh/fs@${snapshot}`), await treeOf(`tank/fs@${snapshot}`));
});

test('a wrong token is denied', async () => {
  const ended = await lab.zkeep(['backup', 'tank/fs', '--json'], { env: { ZKEEP_TOKEN: 'zkeep_wrong' } });
  assert.deepEqual([ended.exit, errorOf(ended).kind], [8, 'denied']);
});

test('all that was stored verifies', async () => {
  await assertClean(lab);
});
