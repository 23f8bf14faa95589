/** What goes wrong beside the source: each time a clear error, nothing half-done stored, nothing left behind. */
import assert from 'node:assert/strict';
import { copyFile, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { childOf, eventually, must, run } from './parts/command.ts';
import { assertClean, errorOf, Lab, segmentStored } from './parts/lab.ts';
import { bookmarksOf, holdsOf, makeFilesystem, snapshotsOf } from './parts/pool.ts';
import { fillRandom, treeOf } from './parts/tree.ts';

/** So large that a backup is still at it when its first segment is stored, MiB. */
const LARGE = 56;

const lab = await Lab.open();
after(() => lab.close());
before(async () => {
  await lab.pool('tank');
  const folder = await makeFilesystem('tank/fs');
  await fillRandom(join(folder, 'file'), LARGE);
});

/** What zkeep may leave at a source, and what the repository lists of it. */
async function stateOf(dataset: string): Promise<Record<string, string[]>> {
  const [snapshots, holds, bookmarks] = [
    await snapshotsOf(dataset),
    await holdsOf(dataset),
    await bookmarksOf(dataset),
  ];
  const listed = await lab.zkeep(['list', dataset, '--json']);
  return { snapshots, holds, bookmarks, stored: listed.exit === 3 ? [] : await lab.stored(dataset) };
}

const NOTHING = { snapshots: [], holds: [], bookmarks: [], stored: [] };

/** The process of `zfs send` below an agent that is in the middle of its work. */
async function sendOf(agent: number): Promise<number> {
  return eventually('zfs send', () => childOf(agent, 'zfs', 'send', '-L'));
}

for (const [what, args, exit] of [
  ['a dataset that is not there', ['tank/none'], 3],
  ['a pool that is not there', ['nopool/fs'], 3],
  ['a snapshot that is not there', ['tank/fs', '--snapshot', 'none'], 3],
  ['a name that no dataset can have', ['tank/fs;reboot'], 2],
  ['a name that could be an option', ['-o'], 2],
  ['no dataset at all', [], 2],
] as const) {
  test(`${what} is an error in words, and nothing was done`, async () => {
    const ended = await lab.zkeep(['backup', ...args, '--json']);
    assert.equal(ended.exit, exit, ended.stderr);
    assert.deepEqual(await stateOf('tank/fs'), NOTHING);
  });
}

test('one dataset that is not there does not leave the other one with half a set', async () => {
  const ended = await lab.zkeep(['backup', 'tank/fs', 'tank/none', '--json']);
  assert.equal(ended.exit, 3, ended.stdout.toString());
  assert.deepEqual(await stateOf('tank/fs'), NOTHING);
});

test('without rights nothing is begun', async () => {
  await must('chmod', 'o+x', '/root');
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
  const env = [`ZKEEP_SERVICE=${lab.service.url}`, `ZKEEP_TOKEN=${lab.service.token}`, 'HOME=/tmp'];
  const zkeep = join(import.meta.dirname, '../../../bin/zkeep');
  const ended = await run(['setpriv', ...nobody, 'env', ...env, zkeep, 'backup', 'tank/fs', '--json']);
  assert.equal(ended.exit, 8, ended.stderr);
  assert.equal(errorOf(ended).kind, 'denied');
  assert.deepEqual(await stateOf('tank/fs'), NOTHING);
});

test('zfs send that dies midway is no backup', async () => {
  const agent = lab.start(['backup', 'tank/fs', '--json']);
  await segmentStored(lab, 0);
  process.kill(await sendOf(agent.pid), 'SIGKILL');
  const ended = await agent.ended;
  assert.equal(ended.exit, 1, ended.stderr);
  assert.match(errorOf(ended).message, /SIGKILL/);
  assert.deepEqual(await stateOf('tank/fs'), NOTHING);
});

test('an interrupted agent (Ctrl-C) leaves nothing', async () => {
  const { length } = await lab.service.keys('segments/');
  const agent = lab.start(['backup', 'tank/fs', '--json']);
  await segmentStored(lab, length);
  agent.kill('SIGINT');
  assert.equal((await agent.ended).exit, 130);
  assert.deepEqual(await stateOf('tank/fs'), NOTHING);
});

test('a second agent at the same dataset is told that the first one is at it', async () => {
  const { length } = await lab.service.keys('segments/');
  const first = lab.start(['backup', 'tank/fs', '--json']);
  await segmentStored(lab, length);
  const second = await lab.zkeep(['backup', 'tank/fs', '--json']);
  assert.equal(second.exit, 6, second.stderr);
  assert.equal(errorOf(second).kind, 'busy');
  const { exit, stderr } = await first.ended;
  assert.equal(exit, 0, stderr);
  const { snapshots, holds, stored } = await stateOf('tank/fs');
  assert.equal(stored?.length, 1);
  assert.deepEqual(snapshots, stored);
  assert.ok(holds && holds.length <= 1, String(holds));
});

test('an agent that was killed and is started again stores its backup, and nothing of the first try is left', async () => {
  const folder = await makeFilesystem('tank/killed');
  await fillRandom(join(folder, 'file'), LARGE);
  const { length } = await lab.service.keys('segments/');
  const agent = lab.start(['backup', 'tank/killed', '--json']);
  await segmentStored(lab, length);
  agent.kill('SIGKILL');
  assert.equal((await agent.ended).signal, 'SIGKILL');
  assert.equal((await lab.zkeep(['list', 'tank/killed', '--json'])).exit, 3, 'half a backup is not listed');
  const again = await lab.backup('tank/killed');
  const { snapshots, holds, stored } = await stateOf('tank/killed');
  assert.deepEqual(stored, [again.snapshot]);
  assert.deepEqual(snapshots, stored);
  assert.ok(holds && holds.length <= 1, String(holds));
  await lab.pool('fresh');
  await lab.restore('tank/killed', '--to', 'fresh/killed');
  assert.deepEqual(
    await treeOf(`fresh/killed@${again.snapshot}`),
    await treeOf(`tank/killed@${again.snapshot}`),
  );
  await must('zpool', 'destroy', 'fresh');
});

test('a pool whose device goes away midway is an error, and the backup is made when it is back', async () => {
  const pool = await lab.pool('frail', { options: ['-o', 'failmode=continue'], size: 256 });
  const folder = await makeFilesystem('frail/fs', '-o', 'primarycache=metadata');
  await fillRandom(join(folder, 'file'), LARGE);
  await must('zpool', 'export', 'frail');
  await must('zpool', 'import', '-o', 'cachefile=none', '-d', lab.folder, 'frail');
  await copyFile(pool.file, `${pool.file}.copy`);
  const { length } = await lab.service.keys('segments/');
  const agent = lab.start(['backup', 'frail/fs', '--json']);
  await segmentStored(lab, length);
  await truncate(pool.file, 0);
  const ended = await agent.ended;
  assert.ok(ended.exit === 1 || ended.exit === 10, `${ended.exit} ${ended.stderr}`);
  assert.equal((await lab.zkeep(['list', 'frail/fs', '--json'])).exit, 3, 'half a backup is not listed');
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
  assert.deepEqual(await lab.stored('gone/fs'), [snapshot]);
});

test('all that was stored verifies', async () => {
  await assertClean(lab);
});
