/** What zkeep leaves on a source and what it lets go, on real ZFS: refreshes, kills, clones and holds of others. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, must } from './parts/command.ts';
import { BackupDocument } from './parts/documents.ts';
import { assertClean, Lab } from './parts/lab.ts';
import { bookmarksOf, holdsOf, makeFilesystem, snapshotsOf } from './parts/pool.ts';
import { change, fill, fillText, treeOf } from './parts/tree.ts';

/** Four segments, MiB. */
const LARGE = 64;

const lab = await Lab.open();
let folder: string;
let large: string;
after(() => lab.close());
before(async () => {
  await lab.pool('tank');
  await lab.pool('fresh');
  folder = await makeFilesystem('tank/fs');
  await fill(folder);
  large = await makeFilesystem('tank/large', '-o', 'compression=off');
});

async function leftAt(dataset: string): Promise<{ snapshots: string[]; holds: string[]; bookmarks: number }> {
  const bookmarks = (await bookmarksOf(dataset)).length;
  return { snapshots: await snapshotsOf(dataset), holds: await holdsOf(dataset), bookmarks };
}

test('a refresh leaves a bookmark, and the next one is sent on it', async () => {
  await change(folder, 1);
  const first = await lab.backup('tank/fs', '--refresh');
  assert.match(String(first.snapshot), /^zkeep-refresh-\d{8}T\d{6}Z-\d+$/);
  assert.deepEqual(await leftAt('tank/fs'), { snapshots: [], holds: [], bookmarks: 1 });
  await change(folder, 2);
  const tree = await treeOfLive();
  const second = await lab.backup('tank/fs', '--refresh');
  assert.deepEqual([second.kind, second.from], ['incremental', first.to]);
  assert.deepEqual(await leftAt('tank/fs'), { snapshots: [], holds: [], bookmarks: 2 });
  await lab.restore('tank/fs', '--to', 'fresh/refreshed');
  assert.deepEqual(await treeOf(`fresh/refreshed@${second.snapshot}`), tree);
});

/** What is there now, by a snapshot that is gone again. */
async function treeOfLive() {
  await must('zfs', 'snapshot', 'tank/fs@look');
  try {
    return await treeOf('tank/fs@look');
  } finally {
    await must('zfs', 'destroy', 'tank/fs@look');
  }
}

test('a refresh that was killed is finished by the next backup, and its snapshot is gone then', async () => {
  await fillText(join(large, 'file'), LARGE);
  const { length: stored } = await lab.service.keys('segments/');
  const agent = lab.start(['backup', 'tank/large', '--refresh', '--json']);
  await eventually(
    'a segment in the store',
    async () => (await lab.service.keys('segments/')).length > stored,
  );
  agent.kill('SIGKILL');
  await agent.ended;
  const [left = '', ...others] = await snapshotsOf('tank/large');
  assert.deepEqual([others, await holdsOf('tank/large')], [[], [`${left} zkeep`]]);
  const { backups } = await lab.json(BackupDocument, 'backup', 'tank/large', '--keep-on-source', '0');
  assert.deepEqual(
    backups.map(({ kind, outcome, resumed, snapshot }) => [
      kind,
      outcome,
      resumed !== null,
      snapshot === left,
    ]),
    [
      ['full', 'stored', true, true],
      ['incremental', 'stored', false, false],
    ],
  );
  assert.deepEqual(await leftAt('tank/large'), { snapshots: [], holds: [], bookmarks: 2 });
});

test('a temporary snapshot of a process that is dead goes with the next backup, held or not', async () => {
  const name = 'zkeep-refresh-20261119T090000Z-4194000';
  await must('zfs', 'snapshot', `tank/fs@${name}`);
  await must('zfs', 'hold', 'zkeep', `tank/fs@${name}`);
  await lab.backup('tank/fs', '--refresh');
  assert.deepEqual((await leftAt('tank/fs')).snapshots, []);
});

test('only the newest stay on the source, and what a clone or a hold of others needs', async () => {
  const names: string[] = [];
  for (let turn = 0; turn < 4; turn++) {
    await change(folder, 3 + turn);
    names.push(String((await lab.backup('tank/fs')).snapshot));
  }
  const [cloned = '', held = '', , last = ''] = names;
  await must('zfs', 'snapshot', 'tank/fs@theirs');
  await must('zfs', 'clone', `tank/fs@${cloned}`, 'tank/clone');
  await must('zfs', 'hold', 'theirs', `tank/fs@${held}`);
  const { exit, stderr } = await lab.zkeep(['backup', 'tank/fs', '--keep-on-source', '2']);
  assert.equal(exit, 0, stderr);
  assert.match(stderr, new RegExp(`@${cloned} stays, because: .*clone`));
  assert.match(stderr, new RegExp(`@${held} stays, because it is held by theirs`));
  const there = await snapshotsOf('tank/fs');
  const newest = String(there.at(-1));
  assert.deepEqual(there, [cloned, held, last, 'theirs', newest]);
  assert.deepEqual(await holdsOf('tank/fs'), [`${held} theirs`]);
  await must('zfs', 'destroy', 'tank/clone');
  await must('zfs', 'release', 'theirs', `tank/fs@${held}`);
  const { snapshot } = await lab.backup('tank/fs', '--keep-on-source', '1');
  assert.deepEqual(await snapshotsOf('tank/fs'), ['theirs', snapshot]);
});

test('the doctor finds what is leaked and mends it', async () => {
  const [, newest = ''] = await snapshotsOf('tank/fs');
  await must('zfs', 'hold', 'zkeep', `tank/fs@${newest}`);
  const found = await lab.zkeep(['agent', 'doctor', 'tank', '--json']);
  assert.equal(found.exit, 1, found.stderr);
  const { findings } = JSON.parse(found.stdout.toString()) as { findings: { code: string }[] };
  assert.deepEqual(
    findings.map(({ code }) => code),
    ['leaked-hold'],
  );
  const fixed = await lab.zkeep(['agent', 'doctor', 'tank', '--fix']);
  assert.equal(fixed.exit, 0, fixed.stdout.toString());
  assert.deepEqual(await holdsOf('tank/fs'), []);
});

test('all that was stored verifies', async () => {
  await assertClean(lab);
});
