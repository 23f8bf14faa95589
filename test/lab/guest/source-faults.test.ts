/** What goes wrong beside the source: each time a clear error, nothing half-done listed, and nothing lost that goes on. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { must, shell } from './parts/command.ts';
import { BackupDocument } from './parts/documents.ts';
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
  return { snapshots: [snapshot], holds: [], bookmarks: [snapshot], stored: [snapshot] };
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

/** What an interrupted backup keeps, and nothing else: the snapshot that it took, held. */
async function isKept(dataset: string): Promise<void> {
  const { snapshots, ...rest } = await stateOf(dataset);
  assert.equal(snapshots?.length, 1);
  assert.deepEqual(rest, { holds: [`${snapshots?.[0]} zkeep`], bookmarks: [], stored: [] });
  await assertWhole(lab);
}

test('zfs send that dies midway is no backup, and what is stored of it waits for the next run or its end', async () => {
  const { agent, send, goOn } = await startToTheMiddle(lab, 'tank/fs');
  process.kill(send, 'SIGKILL');
  goOn();
  const ended = await agent.ended;
  assert.equal(ended.exit, 1, ended.stderr);
  const { message, advice } = errorOf(ended);
  assert.match(message, /SIGKILL/);
  assert.match(String(advice), /zkeep backup tank\/fs goes on from .*--abandon/);
  await isKept('tank/fs');
  const abandoned = await lab.zkeep(['backup', '--abandon', 'tank/fs', '--json']);
  assert.equal(abandoned.exit, 0, abandoned.stderr);
  assert.deepEqual(await stateOf('tank/fs'), NOTHING);
});

test('an agent that was interrupted (Ctrl-C) is gone on with by the next run', async () => {
  const folder = await makeFilesystem('tank/interrupted', '-o', 'compression=off');
  await fillText(join(folder, 'file'), LARGE);
  const { agent, goOn } = await startToTheMiddle(lab, 'tank/interrupted');
  agent.kill('SIGINT');
  goOn();
  assert.equal((await agent.ended).exit, 130);
  await isKept('tank/interrupted');
  await goesOn('tank/interrupted');
});

/** The next run finishes what was interrupted behind what is stored, and then stores a snapshot of its own on it. */
async function goesOn(dataset: string): Promise<void> {
  const [first = ''] = await snapshotsOf(dataset);
  const { backups } = await lab.json(BackupDocument, 'backup', dataset);
  assert.deepEqual(
    backups.map(({ kind, outcome, resumed }) => [kind, outcome, resumed?.how]),
    [
      ['full', 'stored', 'resumed'],
      ['incremental', 'stored', undefined],
    ],
  );
  assert.ok((backups[0]?.resumed?.kept ?? 0) >= 16 * 2 ** 20);
  assert.ok((backups[0]?.resumed?.sent_again ?? 0) <= 2 * 16 * 2 ** 20);
  const second = String(backups[1]?.snapshot);
  assert.deepEqual(await stateOf(dataset), {
    snapshots: [first, second],
    holds: [],
    bookmarks: [first, second],
    stored: [first, second],
  });
  const segments = (await lab.service.keys(`segments/${backups[0]?.backup}/`)).map((key) =>
    join(lab.service.repository, key),
  );
  const sent = join(lab.folder, 'sent.zfs');
  await shell(
    `zfs send -L -c ${dataset}@${first} >${sent}; cat ${segments.join(' ')} | zstd -dcq | cmp - ${sent}; rm ${sent}`,
  );
  const target = `fresh/${dataset.split('/')[1]}`;
  await lab.restore(dataset, '--to', target);
  for (const name of [first, second])
    assert.deepEqual(await treeOf(`${target}@${name}`), await treeOf(`${dataset}@${name}`));
}

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

test('an agent that was killed is gone on with by the next run', async () => {
  const folder = await makeFilesystem('tank/killed', '-o', 'compression=off');
  await fillText(join(folder, 'file'), LARGE);
  const { agent } = await startToTheMiddle(lab, 'tank/killed');
  agent.kill('SIGKILL');
  assert.equal((await agent.ended).signal, 'SIGKILL');
  await isKept('tank/killed');
  await goesOn('tank/killed');
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
  await isKept('frail/fs');
  const again = await lab.zkeep(['backup', 'frail/fs', '--json']);
  assert.notEqual(again.exit, 0);
  assert.deepEqual(await lab.service.snapshots('frail/fs'), []);
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
