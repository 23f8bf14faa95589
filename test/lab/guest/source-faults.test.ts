/** What goes wrong beside the source: each time a clear error, nothing half-done stored, nothing left behind. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { must } from './parts/command.ts';
import { assertClean, assertWhole, errorOf, Lab } from './parts/lab.ts';
import { startToTheMiddle } from './parts/midway.ts';
import { bookmarksOf, holdsOf, makeFilesystem, snapshotsOf } from './parts/pool.ts';
import { fillText, treeOf } from './parts/tree.ts';

/** Four segments, MiB. */
const LARGE = 64;

const lab = await Lab.open();
after(() => lab.close());
before(async () => {
  await lab.pool('tank');
  await lab.pool('fresh');
  const folder = await makeFilesystem('tank/fs', '-o', 'compression=off');
  await fillText(join(folder, 'file'), LARGE);
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
  const { agent, send, goOn } = await startToTheMiddle(lab, 'tank/fs');
  process.kill(send, 'SIGKILL');
  goOn();
  const ended = await agent.ended;
  assert.equal(ended.exit, 1, ended.stderr);
  assert.match(errorOf(ended).message, /SIGKILL/);
  assert.deepEqual(await stateOf('tank/fs'), NOTHING);
  await assertWhole(lab);
});

test('an interrupted agent (Ctrl-C) leaves nothing', async () => {
  const { agent, goOn } = await startToTheMiddle(lab, 'tank/fs');
  agent.kill('SIGINT');
  goOn();
  assert.equal((await agent.ended).exit, 130);
  assert.deepEqual(await stateOf('tank/fs'), NOTHING);
  await assertWhole(lab);
});

test('a second agent at the same dataset is told that the first one is at it', async () => {
  const { agent, goOn } = await startToTheMiddle(lab, 'tank/fs');
  const second = await lab.zkeep(['backup', 'tank/fs', '--json']);
  assert.deepEqual([second.exit, errorOf(second).kind], [6, 'busy'], second.stderr);
  goOn();
  const { exit, stderr } = await agent.ended;
  assert.equal(exit, 0, stderr);
  const [stored = ''] = await lab.service.snapshots('tank/fs');
  assert.deepEqual(await stateOf('tank/fs'), onlyThis(stored));
  await assertWhole(lab);
});

test('an agent that was killed and is started again stores its backup, and lets go of its first snapshot', async () => {
  const folder = await makeFilesystem('tank/killed', '-o', 'compression=off');
  await fillText(join(folder, 'file'), LARGE);
  const { agent } = await startToTheMiddle(lab, 'tank/killed');
  agent.kill('SIGKILL');
  assert.equal((await agent.ended).signal, 'SIGKILL');
  assert.deepEqual(await lab.service.snapshots('tank/killed'), [], 'half a backup is not listed');
  await assertWhole(lab);
  const { snapshot } = await lab.backup('tank/killed');
  const [first = '', ...others] = await snapshotsOf('tank/killed');
  assert.deepEqual(others, [snapshot]);
  const { snapshots, ...rest } = onlyThis(String(snapshot));
  assert.deepEqual(await stateOf('tank/killed'), { snapshots: [first, ...(snapshots ?? [])], ...rest });
  await lab.restore('tank/killed', '--to', 'fresh/killed');
  assert.deepEqual(await treeOf(`fresh/killed@${snapshot}`), await treeOf(`tank/killed@${snapshot}`));
});

test('a pool that cannot read its data any more is an error, and half a backup is not listed', async () => {
  const pool = await lab.pool('frail', { options: ['-o', 'failmode=continue'], size: 256 });
  const folder = await makeFilesystem('frail/fs', '-o', 'compression=off');
  await fillText(join(folder, 'file'), LARGE);
  await must('zpool', 'export', 'frail');
  // Of the data there is one copy, of the metadata are two: the pool lives, its file does not.
  const device = await readFile(pool.file);
  const hole = device.indexOf(`this is mebibyte ${String(LARGE - 10).padStart(6)} of it`);
  assert.ok(hole > 0);
  await writeFile(pool.file, device.fill('spoilt', hole, hole + 1024 * 1024));
  await must('zpool', 'import', '-o', 'cachefile=none', '-d', lab.folder, 'frail');
  const ended = await lab.zkeep(['backup', 'frail/fs', '--json']);
  assert.equal(ended.exit, 1, `${ended.stdout} ${ended.stderr}`);
  assert.match(errorOf(ended).message, /Input\/output error|I\/O/);
  assert.deepEqual(await stateOf('frail/fs'), NOTHING);
  await assertWhole(lab);
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
