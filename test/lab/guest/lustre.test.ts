/** Lustre's targets: real streams of an MGT and an MDT, and a pool made as mkfs.lustre makes one. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { parseAttributes } from '../../../catalog/attributes/attributes.ts';
import { type Guid, guidOfDecimal } from '../../../catalog/words.ts';
import { CLONE } from './parts/clone.ts';
import { must, shell } from './parts/command.ts';
import { ImportDocument, ShowDocument } from './parts/documents.ts';
import { assertClean, Lab } from './parts/lab.ts';
import { guidOf, holdsOf, oneFeatureLess, property, snapshotsOf } from './parts/pool.ts';
import { fill, treeOf } from './parts/tree.ts';

/** The GUIDs of `s1` and the names that the recorded pools had (test/fixtures/streams). */
const RECORDED: [string, string, Guid][] = [
  ['mgt', 'mgspool/mgt', guidOfDecimal('8532199743824507815')],
  ['mdt0', 'mdtpool/mdt0', guidOfDecimal('9536304692439458070')],
];

const lab = await Lab.open();
after(() => lab.close());
before(async () => {
  await lab.pool('fresh');
});

/** A recorded stream, unpacked into the temporary folder. */
async function recorded(name: string): Promise<string> {
  const file = join(lab.folder, `${name}.zfs`);
  await writeFile(
    file,
    gunzipSync(await readFile(join(CLONE, `test/fixtures/streams/lustre-${name}.zfs.gz`))),
  );
  return file;
}

async function importFile(dataset: string, file: string) {
  const { backups } = await lab.json(ImportDocument, 'import', '--dataset', dataset, '--file', file);
  assert.deepEqual(
    backups.map(({ outcome }) => outcome),
    ['stored'],
  );
  return backups[0];
}

for (const [name, dataset, guid] of RECORDED) {
  test(`the recorded streams of ${dataset} are imported and come back as zfs receive alone makes them`, async () => {
    const files = [await recorded(`${name}-full-s1`), await recorded(`${name}-incr-s1-s2`)];
    const stored = [];
    for (const file of files) stored.push(await importFile(dataset, file));
    assert.deepEqual(
      stored.map((backup) => backup?.kind),
      ['full', 'incremental'],
    );
    assert.deepEqual([stored[0]?.to, stored[1]?.from], [guid, guid]);

    await lab.restore(dataset, '--to', `fresh/${name}`);
    for (const file of files) await shell(`zfs receive -u fresh/plain-${name} <${file}`);
    for (const snapshot of ['s1', 's2']) {
      assert.equal(
        await guidOf(`fresh/${name}@${snapshot}`),
        await guidOf(`fresh/plain-${name}@${snapshot}`),
      );
      assert.deepEqual(
        await treeOf(`fresh/${name}@${snapshot}`),
        await treeOf(`fresh/plain-${name}@${snapshot}`),
      );
    }
  });
}

test('the restored MDT carries its chain on', async () => {
  await must('zfs', 'snapshot', 'fresh/mdt0@s3');
  const { kind, from } = await lab.backup('fresh/mdt0', '--snapshot', 's3');
  assert.deepEqual([kind, from], ['incremental', await guidOf('fresh/mdt0@s2')]);
});

test('a stream with properties (-p) is a package, and its one stream is the same backup', async () => {
  const { backups } = await lab.json(
    ImportDocument,
    ...['import', '--dataset', 'other/mgt', '--file', await recorded('mgt-full-p-s1')],
  );
  assert.deepEqual(
    backups.map(({ to }) => to),
    [RECORDED[0]?.[2]],
  );
});

test('a pool as mkfs.lustre makes it: never mounted, its own properties stored as local ones', async () => {
  const pool = ['-o', 'multihost=on', ...(await oneFeatureLess()), '-O', 'canmount=off'];
  await lab.pool('mgspool', { options: pool, size: 256 });
  const made = ['-o', 'canmount=off', '-o', 'xattr=sa', '-o', 'dnodesize=auto', '-o', 'compression=off'];
  await must('zfs', 'create', ...made, 'mgspool/mgt');
  const lustre = {
    'lustre:version': '1',
    'lustre:flags': '36',
    'lustre:index': '65535',
    'lustre:svname': 'MGS',
    'lustre:mgsnode': '10.0.2.15@tcp,10.0.2.16@tcp:10.0.2.17@tcp',
  };
  await must('zfs', 'set', ...Object.entries(lustre).map(([key, value]) => `${key}=${value}`), 'mgspool/mgt');
  await mkdir('/run/mgt', { recursive: true });
  await must('mount', '-t', 'zfs', '-o', 'zfsutil', 'mgspool/mgt', '/run/mgt');
  await fill('/run/mgt');
  await must('umount', '/run/mgt');

  const { backup, snapshot } = await lab.backup('mgspool/mgt');
  const { attributes } = await lab.json(ShowDocument, 'show', String(backup), '--attributes');
  const { outputs } = parseAttributes(attributes);
  const printed = outputs.find(({ command }) => command.join(' ') === 'zfs get -Hp -o all all mgspool/mgt');
  for (const [key, value] of [...Object.entries(lustre), ['canmount', 'off'], ['dnodesize', 'auto']]) {
    assert.ok(printed?.output.includes(`mgspool/mgt\t${key}\t${value}\t-\tlocal\n`), `${key} is ${value}`);
  }
  await lab.restore('mgspool/mgt', '--to', 'fresh/mgt-again');
  assert.deepEqual(await treeOf(`fresh/mgt-again@${snapshot}`), await treeOf(`mgspool/mgt@${snapshot}`));
  assert.deepEqual(await snapshotsOf('mgspool/mgt'), [snapshot]);
  assert.deepEqual(await holdsOf('mgspool/mgt'), []);
  assert.equal(await property('mgspool/mgt', 'lustre:flags'), '36');
});

test('all that was stored verifies', async () => {
  await assertClean(lab);
});
