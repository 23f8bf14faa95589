/** Kinds of datasets: trees of them as one set, volumes, encrypted ones, large blocks. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Static } from 'typebox';
import { must, shell } from './parts/command.ts';
import { BackupDocument } from './parts/documents.ts';
import { assertClean, Lab } from './parts/lab.ts';
import { guidOf, holdsOf, makeFilesystem, property, volumeDigest } from './parts/pool.ts';
import { change, fill, fillRandom, treeOf } from './parts/tree.ts';

const TREE = ['tank/tree', 'tank/tree/child', 'tank/tree/vol'];
const OTHERS = ['tank/secret', 'tank/large', 'tank/still', 'other/fs'];

const lab = await Lab.open();
after(() => lab.close());
const key = join(lab.folder, 'key');

/** Two rounds: the tree with -r, the others by their names in one command, the second time with changes. */
const rounds: { tree: Static<typeof BackupDocument>; others: Static<typeof BackupDocument> }[] = [];
before(async () => {
  for (const name of ['tank', 'other', 'fresh']) await lab.pool(name);
  const folders = await makeDatasets();
  await backUp();
  for (const [number, folder] of folders.entries()) await change(folder, number + 1);
  await shell(
    'printf changed | dd of=random bs=1 seek=1500000 conv=notrunc status=none; echo more >>lines',
    join(lab.folder, 'tank/large'),
  );
  await shell('head -c 3M /dev/urandom | dd of=/dev/zvol/tank/tree/vol bs=1M seek=2 status=none conv=fsync');
  await must('zfs', 'unmount', 'tank/secret');
  await must('zfs', 'unload-key', 'tank/secret');
  await backUp();
  await must('zfs', 'load-key', 'tank/secret');
});

/** Makes all datasets and fills them; gives those folders that `fill` filled. */
async function makeDatasets(): Promise<string[]> {
  await writeFile(key, Buffer.alloc(32, 7));
  const secret = ['-o', 'encryption=on', '-o', 'keyformat=raw', '-o', `keylocation=file://${key}`];
  const folders = [
    await makeFilesystem('tank/tree'),
    await makeFilesystem('tank/tree/child'),
    await makeFilesystem('tank/secret', ...secret),
    await makeFilesystem('other/fs'),
  ];
  for (const folder of folders) await fill(folder);
  await must('zfs', 'create', '-V', '8M', 'tank/tree/vol');
  await shell('head -c 3M /dev/urandom | dd of=/dev/zvol/tank/tree/vol bs=1M seek=1 status=none conv=fsync');
  const large = await makeFilesystem('tank/large', '-o', 'recordsize=1M', '-o', 'compression=zstd');
  await fillRandom(join(large, 'random'), 3);
  await shell('seq 700000 >lines', large);
  await makeFilesystem('tank/still');
  return folders;
}

async function backUp(): Promise<void> {
  const tree = await lab.json(BackupDocument, 'backup', '-r', 'tank/tree');
  const others = await lab.json(BackupDocument, 'backup', ...OTHERS);
  rounds.push({ tree, others });
}

/** Restores the newest snapshot, and compares GUIDs and contents of both with the source's. */
async function comesBack(dataset: string, target: string): Promise<void> {
  await lab.restore(dataset, '--to', target);
  const digest = (await property(dataset, 'type')) === 'volume' ? volumeDigest : treeOf;
  if (dataset === 'tank/secret') await must('zfs', 'load-key', '-L', `file://${key}`, target);
  for (const { tree, others } of rounds) {
    const stored = [...tree.backups, ...others.backups].find((backup) => backup.dataset === dataset);
    const snapshot = stored?.snapshot;
    assert.equal(await guidOf(`${target}@${snapshot}`), stored?.to);
    assert.equal(await guidOf(`${dataset}@${snapshot}`), stored?.to);
    assert.deepEqual(await digest(`${target}@${snapshot}`), await digest(`${dataset}@${snapshot}`));
  }
}

test('a tree of file systems and volumes is one set, of one moment and one name', async () => {
  for (const { tree } of rounds) {
    assert.ok(tree.set);
    assert.deepEqual(tree.backups.map(({ dataset }) => dataset).toSorted(), TREE);
    const snapshots = tree.backups.map(({ dataset, snapshot }) => `${dataset}@${snapshot}`);
    const moments = await Promise.all(snapshots.map((snapshot) => property(snapshot, 'createtxg')));
    assert.equal(new Set(moments).size, 1, snapshots.join());
    assert.equal(new Set(tree.backups.map(({ snapshot }) => snapshot)).size, 1);
    for (const { backup } of tree.backups) assert.equal((await lab.service.manifest(backup)).set, tree.set);
  }
});

test('the first round is full, the second incremental on it, and no source is left with a hold', async () => {
  const [first, second] = rounds.map(({ tree, others }) => [...tree.backups, ...others.backups]);
  for (const [number, dataset] of [...TREE, ...OTHERS].entries()) {
    assert.deepEqual([first?.[number]?.dataset, first?.[number]?.kind], [dataset, 'full']);
    assert.deepEqual([second?.[number]?.kind, second?.[number]?.from], ['incremental', first?.[number]?.to]);
    assert.deepEqual(await holdsOf(dataset), []);
  }
});

test('the tree comes back, dataset by dataset', async () => {
  for (const dataset of TREE) await comesBack(dataset, dataset.replace('tank/', 'fresh/'));
});

test('an encrypted dataset is sent raw, its key not even loaded, and opens with its key where it comes back', async () => {
  const stored = rounds[1]?.others.backups.find(({ dataset }) => dataset === 'tank/secret');
  assert.deepEqual((await lab.service.manifest(stored?.backup)).send_flags, ['-w']);
  await comesBack('tank/secret', 'fresh/secret');
});

test('large and compressed blocks come back as they were', async () => {
  const stored = rounds[1]?.others.backups.find(({ dataset }) => dataset === 'tank/large');
  assert.deepEqual((await lab.service.manifest(stored?.backup)).send_flags, ['-L', '-c']);
  await comesBack('tank/large', 'fresh/large');
});

test('an incremental that holds no change comes back too', async () => {
  await comesBack('tank/still', 'fresh/still');
});

test('a dataset of another pool, named in the same command', async () => {
  await comesBack('other/fs', 'fresh/other');
});

test('all that was stored verifies', async () => {
  await assertClean(lab);
});
