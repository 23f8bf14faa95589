/** Kinds of datasets: trees of them as one set, volumes, encrypted ones, large blocks. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { must, run, shell } from './parts/command.ts';
import { BackupDocument, ShowDocument } from './parts/documents.ts';
import { assertClean, Lab } from './parts/lab.ts';
import { guidOf, holdsOf, makeFilesystem, property, volumeDigest } from './parts/pool.ts';
import { change, fill, fillRandom, treeOf } from './parts/tree.ts';

const lab = await Lab.open();
after(() => lab.close());
before(async () => {
  await lab.pool('tank');
  await lab.pool('fresh');
});

/** Restores a stored snapshot and compares GUID and contents with the source's. */
async function comesBack(dataset: string, snapshot: string, target: string): Promise<void> {
  await lab.restore(dataset, '--to', target, '--snapshot', snapshot);
  assert.equal(await guidOf(`${target}@${snapshot}`), await guidOf(`${dataset}@${snapshot}`));
  if ((await property(dataset, 'type')) === 'volume') {
    assert.equal(await volumeDigest(`${target}@${snapshot}`), await volumeDigest(`${dataset}@${snapshot}`));
  } else {
    assert.deepEqual(await treeOf(`${target}@${snapshot}`), await treeOf(`${dataset}@${snapshot}`));
  }
}

test('a tree of file systems and volumes is stored as one set of one moment, twice, and comes back', async () => {
  const root = await makeFilesystem('tank/tree');
  const child = await makeFilesystem('tank/tree/child');
  await must('zfs', 'create', '-V', '8M', 'tank/tree/vol');
  const datasets = ['tank/tree', 'tank/tree/child', 'tank/tree/vol'];
  const rounds: string[] = [];
  for (const round of [1, 2]) {
    if (round === 1) await Promise.all([fill(root), fill(child)]);
    else await Promise.all([change(root, 1), change(child, 2)]);
    await shell(
      `head -c 3M /dev/urandom | dd of=/dev/zvol/tank/tree/vol bs=1M seek=${round} status=none conv=fsync`,
    );
    const stored = await lab.json(BackupDocument, 'backup', '-r', 'tank/tree');
    assert.ok(stored.set);
    assert.deepEqual(stored.backups.map(({ dataset }) => dataset).toSorted(), datasets);
    const names = new Set(stored.backups.map(({ snapshot }) => snapshot));
    assert.equal(names.size, 1, 'all snapshots have one name');
    const [name] = names;
    const moments = await Promise.all(datasets.map((dataset) => property(`${dataset}@${name}`, 'createtxg')));
    assert.equal(new Set(moments).size, 1, 'all snapshots are of one moment');
    for (const { backup, kind } of stored.backups) {
      assert.equal(kind, round === 1 ? 'full' : 'incremental');
      const shown = await lab.json(ShowDocument, 'show', String(backup));
      assert.equal(shown.backup.set, stored.set);
    }
    rounds.push(String(name));
  }
  for (const [number, name] of rounds.entries()) {
    for (const dataset of datasets) {
      await comesBack(dataset, name, dataset.replace('tank/tree', `fresh/tree${number}`));
    }
  }
  for (const dataset of datasets) assert.ok((await holdsOf(dataset)).length <= 1);
});

test('an encrypted dataset is sent raw, its key not even loaded, and opens with its key where it comes back', async () => {
  const key = join(lab.folder, 'key');
  await writeFile(key, Buffer.alloc(32, 7));
  const options = ['-o', 'encryption=on', '-o', 'keyformat=raw', '-o', `keylocation=file://${key}`];
  const folder = await makeFilesystem('tank/secret', ...options);
  await fill(folder);
  const first = await lab.backup('tank/secret');
  await change(folder, 1);
  await must('zfs', 'unmount', 'tank/secret');
  await must('zfs', 'unload-key', 'tank/secret');
  const second = await lab.backup('tank/secret');
  await must('zfs', 'load-key', 'tank/secret');
  assert.deepEqual([first.kind, second.kind], ['full', 'incremental']);
  const { manifest } = await lab.json(ShowDocument, 'show', String(second.backup));
  assert.deepEqual(manifest.send_flags, ['-w']);

  await lab.restore('tank/secret', '--to', 'fresh/secret');
  assert.equal(await property('fresh/secret', 'keystatus'), 'unavailable');
  await must('zfs', 'load-key', '-L', `file://${key}`, 'fresh/secret');
  for (const { snapshot } of [first, second]) {
    assert.equal(await guidOf(`fresh/secret@${snapshot}`), await guidOf(`tank/secret@${snapshot}`));
    assert.deepEqual(await treeOf(`fresh/secret@${snapshot}`), await treeOf(`tank/secret@${snapshot}`));
  }
});

test('large and compressed blocks come back as they were', async () => {
  const folder = await makeFilesystem('tank/large', '-o', 'recordsize=1M', '-o', 'compression=zstd');
  await fillRandom(join(folder, 'random'), 3);
  await shell("yes 'the same line again' | head -c 5M >lines", folder);
  const first = await lab.backup('tank/large');
  await shell(
    'printf changed | dd of=random bs=1 seek=1500000 conv=notrunc status=none; echo more >>lines',
    folder,
  );
  const second = await lab.backup('tank/large');
  const { manifest } = await lab.json(ShowDocument, 'show', String(second.backup));
  assert.deepEqual(manifest.send_flags, ['-L', '-c']);
  await comesBack('tank/large', String(first.snapshot), 'fresh/large0');
  await comesBack('tank/large', String(second.snapshot), 'fresh/large1');
});

test('the flags of a chain stay when the dataset could do with others', async () => {
  const folder = await makeFilesystem('tank/small', '-o', 'recordsize=128K');
  await fillRandom(join(folder, 'file'), 1);
  await lab.backup('tank/small');
  await must('zfs', 'set', 'recordsize=1M', 'tank/small');
  await fillRandom(join(folder, 'file'), 2);
  const { snapshot, kind } = await lab.backup('tank/small');
  assert.equal(kind, 'incremental');
  await comesBack('tank/small', String(snapshot), 'fresh/small');
});

test('two datasets of different pools in one command', async () => {
  const other = await lab.pool('other');
  await Promise.all([fill(await makeFilesystem('other/a')), fill(await makeFilesystem('tank/b'))]);
  const { backups } = await lab.json(BackupDocument, 'backup', 'other/a', 'tank/b');
  assert.deepEqual(
    backups.map(({ outcome }) => outcome),
    ['stored', 'stored'],
  );
  for (const { dataset, snapshot } of backups) {
    await comesBack(dataset, String(snapshot), `fresh/${dataset.replace('/', '-')}`);
  }
  await other.destroy();
});

test('an incremental that holds no change comes back too', async () => {
  await run(['zfs', 'create', 'tank/still']);
  await lab.backup('tank/still');
  const { snapshot, kind } = await lab.backup('tank/still');
  assert.equal(kind, 'incremental');
  await comesBack('tank/still', String(snapshot), 'fresh/still');
});

test('all that was stored verifies', async () => {
  await assertClean(lab);
});
