/** A pool whose only device is taken away while it is read or written: it waits for it, zkeep does not. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, must, type Running, run } from './parts/command.ts';
import { FrailDevice } from './parts/frail-device.ts';
import { assertClean, errorOf, Lab } from './parts/lab.ts';
import { startToTheMiddle } from './parts/midway.ts';
import { makeFilesystem, property } from './parts/pool.ts';
import { fillText, treeOf } from './parts/tree.ts';

/** Twelve segments, MiB: more than zfs send and zkeep read ahead. */
const LARGE = 192;
/** What is restored, MiB. */
const SMALL = 64;

const lab = await Lab.open();
const device = await FrailDevice.make(lab.folder, 'frail', 1024);
after(async () => {
  await device.giveBack();
  await run(['zpool', 'clear', 'frail']);
  await run(['zpool', 'destroy', '-f', 'frail']);
  await device.remove();
  await lab.close();
});
before(async () => {
  await lab.pool('tank', { size: 1024 });
  const usual = ['-o', 'cachefile=none', '-o', 'failmode=wait', '-O', 'compression=off'];
  await must('zpool', 'create', ...usual, '-m', join(lab.folder, 'frail'), 'frail', device.path);
});

/** What hangs cannot be killed: only this ends it. */
async function healed(): Promise<void> {
  await device.giveBack();
  await must('zpool', 'clear', 'frail');
  await eventually(
    'a healthy pool',
    async () => (await must('zpool', 'list', '-Ho', 'health', 'frail')) === 'ONLINE',
  );
}

/** It must end by itself, while the pool still waits. */
async function endsAsSuspended(agent: Running): Promise<void> {
  const ended = await agent.ended;
  assert.deepEqual([ended.exit, errorOf(ended).code], [10, 'zfs.suspended'], ended.stderr);
  assert.equal(await must('zpool', 'list', '-Ho', 'health', 'frail'), 'SUSPENDED');
}

test('a backup of a pool that lost its device ends and says so; with the device back the next one stores it', async () => {
  await fillText(join(await makeFilesystem('frail/fs'), 'file'), LARGE);
  // What is in memory would be sent without the device.
  await must('zpool', 'export', 'frail');
  await must('zpool', 'import', '-o', 'cachefile=none', '-d', '/dev/mapper', 'frail');
  const { agent, goOn } = await startToTheMiddle(lab, 'frail/fs');
  await device.takeAway();
  goOn();
  await endsAsSuspended(agent);
  assert.deepEqual(await lab.service.snapshots('frail/fs'), []);

  await healed();
  await lab.backup('frail/fs');
  const snapshot = (await lab.service.snapshots('frail/fs')).at(-1);
  await lab.restore('frail/fs', '--to', 'tank/back');
  assert.deepEqual(await treeOf(`tank/back@${snapshot}`), await treeOf(`frail/fs@${snapshot}`));
});

test('a restore onto a pool that lost its device ends and says so; with the device back the next one finishes it', async () => {
  await fillText(join(await makeFilesystem('tank/fs', '-o', 'compression=off'), 'file'), SMALL);
  const { snapshot } = await lab.backup('tank/fs');
  const agent = lab.start(['restore', 'tank/fs', '--to', 'frail/back', '--json']);
  await eventually('a part of it', async () => {
    const { exit, stdout } = await run(['zfs', 'get', '-Hpo', 'value', 'used', 'frail/back']);
    return exit === 0 && Number(stdout) > 2_000_000;
  });
  await device.takeAway();
  await endsAsSuspended(agent);

  await healed();
  await eventually('the end of zfs receive', async () => {
    const { exit } = await run(['pgrep', '-x', 'zfs']);
    return exit !== 0;
  });
  await lab.restore('tank/fs', '--to', 'frail/back');
  assert.equal(await property('frail/back', 'receive_resume_token'), '-');
  assert.deepEqual(await treeOf(`frail/back@${snapshot}`), await treeOf(`tank/fs@${snapshot}`));
});

test('all that was stored verifies', async () => {
  await assertClean(lab);
});
