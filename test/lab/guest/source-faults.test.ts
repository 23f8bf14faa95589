/** What goes wrong beside the source: each time a clear error, nothing half-done stored, nothing left behind. */
import assert from 'node:assert/strict';
import { copyFile, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { childOf, eventually, must, run } from './parts/command.ts';
import { assertClean, assertWhole, errorOf, Lab, segmentStored } from './parts/lab.ts';
import { bookmarksOf, holdsOf, makeFilesystem, snapshotsOf } from './parts/pool.ts';
import { fillRandom, treeOf } from './parts/tree.ts';

/** So large that a backup is still at it when its first segment is stored, MiB. */
const LARGE = 48;

const lab = await Lab.open();
after(() => lab.close());
before(async () => {
  await lab.pool('tank');
  await lab.pool('fresh');
  const folder = await makeFilesystem('tank/fs');
  await fillRandom(join(folder, 'file'), LARGE);
});

/** What zkeep may leave at a source, and what the service lists of it. */
async function stateOf(dataset: string): Promise<Record<string, string[]>> {
  return {
    snapshots: await snapshotsOf(dataset),
    holds: await holdsOf(dataset),
    bookmarks: await bookmarksOf(dataset),
    stored: await lab.service.snapshots(dataset),
  };
}

const NOTHING = { snapshots: [], holds: [], bookmarks: [], stored: [] };

/** After one good backup by a snapshot that zkeep took. */
function onlyThis(snapshot: string): Record<string, string[]> {
  return { snapshots: [snapshot], holds: [`${snapshot} zkeep`], bookmarks: [snapshot], stored: [snapshot] };
}

/** Starts a backup and waits until it is in the middle of its work. */
async function midway(dataset: string) {
  const { length } = await lab.service.keys('segments/');
  const agent = lab.start(['backup', dataset, '--json']);
  await segmentStored(lab, length);
  return agent;
}

for (const [what, args, exit] of [
  ['a dataset that is not there', ['tank/none'], 3],
  ['a pool that is not there', ['nopool/fs'], 3],
  ['a snapshot that is not there', ['tank/fs', '--snapshot', 'none'], 3],
  ['a name that no dataset can have', ['tank/fs;reboot'], 2],
  ['a dataset that is there beside one that is not', ['tank/fs', 'tank/none'], 3],
] as const) {
  test(`${what}: an error in words, and nothing was done`, async () => {
    const ended = await lab.zkeep(['backup', ...args, '--json']);
    assert.equal(ended.exit, exit, ended.stderr);
    assert.ok(errorOf(ended).advice);
    assert.deepEqual(await stateOf('tank/fs'), NOTHING);
  });
}

test('without rights nothing is begun', async () => {
  const ended = await lab.zkeep(['backup', 'tank/fs', '--json'], { as: 'nobody' });
  assert.deepEqual([ended.exit, errorOf(ended).kind], [8, 'denied'], ended.stderr);
  assert.deepEqual(await stateOf('tank/fs'), NOTHING);
});

test('zfs send that dies midway is no backup', async () => {
  const agent = await midway('tank/fs');
  const send = await eventually('zfs send', () => childOf(agent.pid, 'zfs', 'send', '-L'));
  process.kill(send, 'SIGKILL');
  const ended = await agent.ended;
  assert.equal(ended.exit, 1, ended.stderr);
  assert.match(errorOf(ended).message, /SIGKILL/);
  assert.deepEqual(await stateOf('tank/fs'), NOTHING);
  await assertWhole(lab);
});

test('an interrupted agent (Ctrl-C) leaves nothing', async () => {
  const agent = await midway('tank/fs');
  agent.kill('SIGINT');
  assert.equal((await agent.ended).exit, 130);
  assert.deepEqual(await stateOf('tank/fs'), NOTHING);
  await assertWhole(lab);
});

test('a second agent at the same dataset is told that the first one is at it', async () => {
  const first = await midway('tank/fs');
  // Stopped, so that it is still at it when the second one comes, however slow that is to start.
  first.kill('SIGSTOP');
  const second = await lab.zkeep(['backup', 'tank/fs', '--json']);
  first.kill('SIGCONT');
  assert.deepEqual([second.exit, errorOf(second).kind], [6, 'busy'], second.stderr);
  const { exit, stderr } = await first.ended;
  assert.equal(exit, 0, stderr);
  const [stored = ''] = await lab.service.snapshots('tank/fs');
  assert.deepEqual(await stateOf('tank/fs'), onlyThis(stored));
  await assertWhole(lab);
});

test('an agent that was killed and is started again stores its backup, and nothing of the first try stays', async () => {
  const folder = await makeFilesystem('tank/killed');
  await fillRandom(join(folder, 'file'), LARGE);
  const agent = await midway('tank/killed');
  agent.kill('SIGKILL');
  assert.equal((await agent.ended).signal, 'SIGKILL');
  assert.deepEqual(await lab.service.snapshots('tank/killed'), [], 'half a backup is not listed');
  await assertWhole(lab);
  const { snapshot } = await lab.backup('tank/killed');
  assert.deepEqual(await stateOf('tank/killed'), onlyThis(String(snapshot)));
  await lab.restore('tank/killed', '--to', 'fresh/killed');
  assert.deepEqual(await treeOf(`fresh/killed@${snapshot}`), await treeOf(`tank/killed@${snapshot}`));
});

test('a pool whose device goes away midway is an error, and the backup is made when it is back', async () => {
  const pool = await lab.pool('frail', { options: ['-o', 'failmode=continue'], size: 256 });
  const folder = await makeFilesystem('frail/fs', '-o', 'primarycache=metadata');
  await fillRandom(join(folder, 'file'), LARGE);
  await must('zpool', 'export', 'frail');
  await must('zpool', 'import', '-o', 'cachefile=none', '-d', lab.folder, 'frail');
  await copyFile(pool.file, `${pool.file}.copy`);
  const agent = await midway('frail/fs');
  await truncate(pool.file, 0);
  const ended = await agent.ended;
  assert.ok(ended.exit === 1 || ended.exit === 10, `${ended.exit} ${ended.stderr}`);
  assert.deepEqual(await lab.service.snapshots('frail/fs'), [], 'half a backup is not listed');
  await assertWhole(lab);
  await writeFile(pool.file, await readFile(`${pool.file}.copy`));
  await run(['zpool', 'clear', 'frail']);
});

test('a pool that was exported or destroyed is missing', async () => {
  await lab.pool('gone', { size: 128 });
  await makeFilesystem('gone/fs');
  const { snapshot } = await lab.backup('gone/fs');
  await must('zpool', 'export', 'gone');
  const exported = await lab.zkeep(['backup', 'gone/fs', '--json']);
  assert.deepEqual([exported.exit, errorOf(exported).kind], [3, 'missing']);
  await must('zpool', 'import', '-o', 'cachefile=none', '-d', lab.folder, 'gone');
  await must('zpool', 'destroy', 'gone');
  const destroyed = await lab.zkeep(['backup', 'gone/fs', '--json']);
  assert.deepEqual([destroyed.exit, errorOf(destroyed).kind], [3, 'missing']);
  assert.deepEqual(await lab.service.snapshots('gone/fs'), [snapshot]);
});

test('all that was stored verifies', async () => {
  await assertClean(lab);
});
