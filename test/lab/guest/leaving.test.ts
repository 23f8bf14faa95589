/** Out again without the service, and without zkeep: the stored stream is the one that `zfs send` wrote. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CLONE } from './parts/clone.ts';
import { must, shell } from './parts/command.ts';
import { ImportDocument, readDocument, SnapshotsDocument, VerifyDocument } from './parts/documents.ts';
import { assertClean, errorOf, Lab } from './parts/lab.ts';
import { guidOf, holdsOf, makeFilesystem, snapshotsOf } from './parts/pool.ts';
import { change, fill, treeOf } from './parts/tree.ts';

const lab = await Lab.open();
after(() => lab.close());
const at = (name: string) => join(lab.folder, name);
const trees: string[][] = [];
const backups: string[] = [];

before(async () => {
  await lab.pool('tank');
  await lab.pool('fresh');
  const folder = await makeFilesystem('tank/fs');
  await fill(folder);
  for (const name of ['a', 'b', 'c']) {
    if (name !== 'a') await change(folder, name === 'b' ? 1 : 2);
    await must('zfs', 'snapshot', `tank/fs@${name}`);
    const { backup } = await lab.backup('tank/fs', '--snapshot', name);
    backups.push(String(backup));
    trees.push(await treeOf(`tank/fs@${name}`));
  }
});

/** Runs a line of bash in which `$ZKEEP` is the command, with its service and token. */
async function shellWithZkeep(line: string): Promise<string> {
  const { url, token } = lab.service;
  return shell(
    `export ZKEEP=${CLONE}/bin/zkeep ZKEEP_SERVICE=${url} ZKEEP_TOKEN=${token}; ${line}`,
    lab.folder,
  );
}

test('an export is, byte for byte, what zfs send writes', async () => {
  await shell('zfs send -L -c tank/fs@a >sent.a; zfs send -L -c -i @a tank/fs@b >sent.b', lab.folder);
  await shellWithZkeep('$ZKEEP export tank/fs --snapshot a --from nothing | cmp - sent.a');
  await shellWithZkeep('$ZKEEP export tank/fs --snapshot b --from a | cmp - sent.b');
});

test('zstream dump finds the records of an export that the manifest counts', async () => {
  await shellWithZkeep('$ZKEEP export tank/fs --snapshot b --from a --output b.zfs');
  const manifest = await lab.service.manifest(backups[1]);
  const dump = await shell('zstream dump b.zfs', lab.folder);
  const total = /Total records = (\d+)/.exec(dump)?.[1];
  const counted = Object.values(manifest.stream.records).reduce((sum, count) => sum + count, 0);
  assert.equal(Number(total), counted, dump);
});

test('zkeep export | zfs receive', async () => {
  await shellWithZkeep('$ZKEEP export tank/fs --snapshot a | zfs receive -u fresh/piped');
  await shellWithZkeep('$ZKEEP export tank/fs --snapshot b --from a | zfs receive -u fresh/piped');
  await shellWithZkeep('$ZKEEP export tank/fs --snapshot c --from b | zfs receive -u fresh/piped');
  assert.deepEqual(await treeOf('fresh/piped@c'), trees[2]);
});

test('stock tools alone: zstd -d of the segments, in order, into zfs receive', async () => {
  for (const backup of backups) {
    await shell(`cat ${lab.service.repository}/segments/${backup}/* | zstd -d | zfs receive -u fresh/stock`);
  }
  for (const [number, name] of ['a', 'b', 'c'].entries()) {
    assert.equal(await guidOf(`fresh/stock@${name}`), await guidOf(`tank/fs@${name}`));
    assert.deepEqual(await treeOf(`fresh/stock@${name}`), trees[number]);
  }
});

test('the page in the bucket names the tools that were just used', async () => {
  const page = await shell(`cat ${lab.service.repository}/README.txt`);
  for (const word of ['zstd -d', 'zfs receive', 'segments/']) assert.ok(page.includes(word), word);
});

test('with the service gone, the repository itself is listed, verified and restored', async () => {
  await lab.service.stop();
  // It tries for a minute, so it may do that meanwhile.
  const backup = lab.start(['backup', 'tank/fs', '--json']);
  const repository = ['--repository', lab.service.repository];
  const listed = await lab.json(SnapshotsDocument, 'list', 'tank/fs', ...repository);
  assert.deepEqual(listed.snapshots.map(({ name }) => name).toSorted(), ['a', 'b', 'c']);
  const verified = await lab.json(VerifyDocument, 'verify', '--deep', ...repository);
  assert.deepEqual([verified.backups, verified.problems], [3, []]);
  const without = { env: { ZKEEP_SERVICE: undefined, ZKEEP_TOKEN: undefined } };
  const restore = ['restore', 'tank/fs', '--to', 'fresh/alone', '--snapshot', 'b', ...repository];
  const { exit, stderr } = await lab.zkeep(restore, without);
  assert.equal(exit, 0, stderr);
  assert.deepEqual(await treeOf('fresh/alone@b'), trees[1]);
  await lab.restore('tank/fs', '--to', 'fresh/alone', ...repository);
  assert.deepEqual(await treeOf('fresh/alone@c'), trees[2]);

  const ended = await backup.ended;
  assert.deepEqual(
    [ended.exit, errorOf(ended).kind],
    [10, 'unavailable'],
    'without the service there is no backup',
  );
  assert.deepEqual([await snapshotsOf('tank/fs'), await holdsOf('tank/fs')], [['a', 'b', 'c'], []]);
});

test('the index can be thrown away: it is made anew from the bucket', async () => {
  await must(`${CLONE}/bin/zkeep-server`, 'rebuild', '--data', lab.service.data);
  await lab.service.start();
  assert.deepEqual(await lab.service.snapshots('tank/fs'), ['a', 'b', 'c']);
});

test('a file that zfs send wrote is imported, carried on and comes back', async () => {
  const folder = await makeFilesystem('tank/filed');
  await fill(folder);
  await shell('zfs snapshot tank/filed@one; zfs send tank/filed@one >one.zfs', lab.folder);
  const { backups: stored } = await lab.json(
    ImportDocument,
    'import',
    '--dataset',
    'old/filed',
    '--file',
    at('one.zfs'),
  );
  assert.deepEqual(
    stored.map(({ outcome, kind }) => [outcome, kind]),
    [['stored', 'full']],
  );
  await shellWithZkeep('$ZKEEP export old/filed | cmp - one.zfs');
  await lab.restore('old/filed', '--to', 'fresh/filed');
  assert.deepEqual(await treeOf('fresh/filed@one'), await treeOf('tank/filed@one'));
});

test('a package of several datasets and snapshots (-R) is split on import', async () => {
  const folder = await makeFilesystem('tank/pack');
  const child = await makeFilesystem('tank/pack/child');
  await Promise.all([fill(folder), fill(child)]);
  await must('zfs', 'snapshot', '-r', 'tank/pack@x');
  await change(child, 1);
  await must('zfs', 'snapshot', '-r', 'tank/pack@y');
  await shellWithZkeep('zfs send -R tank/pack@y | $ZKEEP import --dataset old/pack --json >import.json');
  const { backups: stored } = readDocument(ImportDocument, await readFile(at('import.json'), 'utf8'));
  const names = ['tank/pack@x', 'tank/pack@y', 'tank/pack/child@x', 'tank/pack/child@y'];
  const guids = await Promise.all(names.map(guidOf));
  assert.deepEqual(stored.map(({ to }) => to).toSorted(), guids.toSorted());
});

test('a stream that was cut, or spoilt by zfs send -e, is refused', async () => {
  await shell('zfs send tank/fs@c >whole.zfs; head -c -1 whole.zfs >cut.zfs', lab.folder);
  const cut = await lab.zkeep(['import', '--dataset', 'old/cut', '--file', at('cut.zfs'), '--json']);
  assert.equal(cut.exit, 5);
  const folder = await makeFilesystem('tank/spoilt', '-o', 'compression=on');
  await writeFile(join(folder, 'file'), 'x');
  await must('setfattr', '-n', 'user.large', '-v', 'y'.repeat(3000), join(folder, 'file'));
  await shell('zfs snapshot tank/spoilt@s; zfs send -Lec tank/spoilt@s >spoilt.zfs', lab.folder);
  const spoilt = await lab.zkeep(['import', '--dataset', 'old/spoilt', '--file', at('spoilt.zfs'), '--json']);
  assert.equal(spoilt.exit, 5, spoilt.stderr);
  for (const dataset of ['old/cut', 'old/spoilt']) {
    assert.deepEqual(await lab.service.snapshots(dataset), []);
  }
});

test('all that was stored verifies', async () => {
  await assertClean(lab);
});
