/** The lab's own judges: they find equal what ZFS alone sends and receives, and see every difference. */
import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { must, shell } from './parts/command.ts';
import { makeFilesystem, makePool, volumeDigest } from './parts/pool.ts';
import { change, fill, treeOf } from './parts/tree.ts';

const folder = await mkdtemp('/tmp/judges-');
const pool = await makePool(folder, 'tank');
let root = '';
before(async () => {
  root = await makeFilesystem('tank/fs');
  await fill(root);
  await must('zfs', 'snapshot', 'tank/fs@start');
});
after(async () => {
  await pool.destroy();
  await rm(folder, { recursive: true });
});

test('a tree that was sent and received is equal', async () => {
  await change(root, 1);
  await must('zfs', 'snapshot', 'tank/fs@changed');
  await shell('zfs send -Lc tank/fs@start | zfs receive -u tank/copy');
  await shell('zfs send -Lc -i @start tank/fs@changed | zfs receive -u tank/copy');
  for (const name of ['start', 'changed']) {
    assert.deepEqual(await treeOf(`tank/copy@${name}`), await treeOf(`tank/fs@${name}`));
  }
  assert.notDeepEqual(await treeOf('tank/fs@changed'), await treeOf('tank/fs@start'));
});

const differences: [string, (file: string) => Promise<unknown>][] = [
  ['a byte', (file) => writeFile(file, 'X', { flag: 'r+' })],
  ['a mode', (file) => chmod(file, 0o600)],
  ['a time', (file) => utimes(file, 1, 1)],
  ['an extended attribute', (file) => must('setfattr', '-n', 'user.small', '-v', 'other', file)],
  ['an attribute less', (file) => must('setfattr', '-x', 'user.small', file)],
  ['a file less', (file) => rm(file)],
];
for (const [number, [what, alter]] of differences.entries()) {
  test(`a tree is not equal after ${what}`, async () => {
    await must('zfs', 'rollback', '-r', 'tank/fs@start');
    await alter(join(root, 'text'));
    await must('zfs', 'snapshot', `tank/fs@altered${number}`);
    assert.notDeepEqual(await treeOf(`tank/fs@altered${number}`), await treeOf('tank/fs@start'));
  });
}

test('a volume is compared by its bytes', async () => {
  await must('zfs', 'create', '-V', '4M', 'tank/vol');
  await must('zfs', 'snapshot', 'tank/vol@zero');
  await shell('head -c 1M /dev/urandom | dd of=/dev/zvol/tank/vol bs=1M seek=1 conv=fsync status=none');
  await must('zfs', 'snapshot', 'tank/vol@random');
  await shell('zfs send tank/vol@random | zfs receive -u tank/volcopy');
  assert.equal(await volumeDigest('tank/volcopy@random'), await volumeDigest('tank/vol@random'));
  assert.notEqual(await volumeDigest('tank/vol@zero'), await volumeDigest('tank/vol@random'));
});
