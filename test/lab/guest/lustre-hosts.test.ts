/** A Lustre file system over two hosts: two agents with pools of their own, and one service between them. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, type Running, run } from './parts/command.ts';
import { BackupDocument, readDocument, SetRestoreDocument, TargetsDocument } from './parts/documents.ts';
import { assertClean, errorOf, Lab } from './parts/lab.ts';
import { LustreHost, makeTarget } from './parts/lustre-hosts.ts';
import { snapshotsOf, withSnapshot } from './parts/pool.ts';
import { StandInLctl } from './parts/stand-in-lctl.ts';
import { fill, treeOf } from './parts/tree.ts';

const MDTS = ['lustrefs-MDT0000', 'lustrefs-MDT0001'];
const TARGETS = ['mgspool/mgt', 'mdtpool/mdt0', 'mds2pool/mdt1'];

const lab = await Lab.open();
const lctl = await StandInLctl.open(lab.folder, MDTS);
const mds1 = await LustreHost.open(lab.folder, 'mds1', ['mgspool', 'mdtpool'], lctl.folder);
const mds2 = await LustreHost.open(lab.folder, 'mds2', ['mds2pool']);
const ldev = join(lab.folder, 'ldev.conf');
/** Where the targets are mounted. */
const places: string[] = [];
after(async () => {
  for (const place of places) await run(['umount', place]);
  await lab.close();
});

before(async () => {
  for (const pool of ['mgspool', 'mdtpool', 'mds2pool', 'fresh']) await lab.pool(pool, { size: 256 });
  const mdt = (index: string) => ({
    flags: '33',
    index,
    fsname: 'lustrefs',
    svname: `lustrefs-MDT000${index}`,
  });
  const properties = [{ flags: '36', index: '65535', svname: 'MGS' }, mdt('0'), mdt('1')];
  for (const [at, dataset] of TARGETS.entries()) {
    places.push(await makeTarget(dataset, properties[at] ?? {}, lab.folder));
  }
  for (const place of places) await fill(place);
  const lines = [
    'mds1 - MGS zfs:mgspool/mgt',
    'mds1 - lustrefs-MDT0000 zfs:mdtpool/mdt0',
    'mds2 - lustrefs-MDT0001 zfs:mds2pool/mdt1',
  ];
  await writeFile(ldev, `${lines.join('\n')}\n`);
});

/** Long, for a machine that is slow: only where a host is killed does anybody wait so long. */
const PATIENT = { longest: 600_000 };
const words = (...more: string[]) => ['backup', '--lustre', 'lustrefs', '--json', '--wait', '300', ...more];
const open = (barrier = '300'): Running =>
  lab.start(words('--barrier-timeout', barrier), { ...mds1.options(ldev), ...PATIENT });
const joinIn = (): Running => lab.start(words('--join'), { ...mds2.options(ldev), ...PATIENT });

async function setOf({ ended }: Running) {
  const { exit, stdout, stderr } = await ended;
  assert.equal(exit, 0, `${stdout} ${stderr}`);
  return readDocument(BackupDocument, stdout.toString('utf8'));
}

const snapshots = async () => (await Promise.all(TARGETS.map(snapshotsOf))).flat();

test('each host finds its own targets, where ldev.conf has them', async () => {
  for (const [host, mine] of [
    [mds1, TARGETS.slice(0, 2).toSorted()],
    [mds2, TARGETS.slice(2)],
  ] as const) {
    const { exit, stdout, stderr } = await lab.zkeep(['lustre', 'targets', '--json'], host.options(ldev));
    assert.equal(exit, 0, stderr);
    const { targets, problems } = readDocument(TargetsDocument, stdout.toString('utf8'));
    assert.deepEqual(
      targets.map(({ dataset }) => dataset),
      mine,
    );
    // No Lustre runs: they are mounted by hand.
    const expected = /zfs has mounted it/;
    const told = [...problems, ...targets.flatMap((target) => target.problems)];
    assert.deepEqual(
      told.filter((words) => !expected.test(words)),
      [],
    );
  }
});

test('both store one set of one moment, while the file system changes, and it comes back as one', async (t) => {
  const [, ...mdts] = places;
  const changing = lctl.change(mdts.map((place) => join(place, 'counter')));
  t.after(() => changing.kill('SIGKILL'));
  await lctl.begin('init');
  const [one, other] = await Promise.all([open(), joinIn()].map(setOf));
  assert.ok(one && other && one.set);
  assert.equal(other.set, one.set);
  const stored = [...one.backups, ...other.backups];
  assert.deepEqual(
    stored.map(({ dataset }) => dataset),
    TARGETS,
  );
  assert.deepEqual(await lctl.calls(), [
    'barrier_stat -s lustrefs',
    'barrier_freeze lustrefs 300',
    'barrier_stat -s lustrefs',
    'barrier_thaw lustrefs',
  ]);
  const hosts = stored.map(async ({ backup }) => {
    const { set, source } = await lab.service.manifest(backup);
    return `${source.host} ${set}`;
  });
  assert.deepEqual(
    await Promise.all(hosts),
    ['mds1', 'mds1', 'mds2'].map((host) => `${host} ${one.set}`),
  );

  const counters = stored.slice(1).map(({ dataset, snapshot }) => `${dataset}@${snapshot}`);
  const counted: string[] = [];
  for (const snapshot of counters) {
    counted.push(await withSnapshot(snapshot, (folder) => readFile(join(folder, 'counter'), 'utf8')));
  }
  assert.ok(Number(counted[0]) > 0);
  assert.equal(counted[0], counted[1], 'both MDTs are of one moment');

  const back = await lab.json(SetRestoreDocument, 'restore', '--set', one.set, '--to', 'fresh/back');
  assert.deepEqual(
    back.restores.map(({ target }) => target),
    ['mdt0', 'mdt1', 'mgt'].map((name) => `fresh/back/${name}`),
  );
  for (const { dataset, snapshot } of stored) {
    const restored = `fresh/back/${dataset.split('/')[1]}@${snapshot}`;
    assert.deepEqual(await treeOf(restored), await treeOf(`${dataset}@${snapshot}`));
  }
  const again = await lab.zkeep([
    'restore',
    '--set',
    one.set,
    '--host',
    'mds2',
    '--to',
    'fresh/mds2',
    '--json',
  ]);
  assert.equal(again.exit, 0, `${again.stdout}`);
  assert.deepEqual(
    readDocument(SetRestoreDocument, again.stdout.toString('utf8')).restores.map(({ target }) => target),
    ['fresh/mds2/mdt1'],
  );
});

test('a host that is killed before its snapshot: the other one thaws, and takes back what it took', async () => {
  const before = await snapshots();
  await lctl.begin('init');
  await mds2.hold();
  const [opener, joiner] = [open('60'), joinIn()];
  await mds2.untilHeld();
  joiner.kill('SIGKILL');
  const ended = await opener.ended;
  assert.deepEqual([ended.exit, errorOf(ended).code], [10, 'lustre.too-late'], ended.stderr);
  assert.equal((await lctl.calls()).at(-1), 'barrier_thaw lustrefs');
  assert.deepEqual(await snapshots(), before);
  // Its zfs, which nobody waits for any more, takes the snapshot all the same.
  await mds2.letGo();
  await eventually('the late snapshot', async () => (await snapshots()).length === before.length + 1);
});

test('an opener that is killed under its barrier: the other one takes back what it took, and the next set is made', async () => {
  const [before, late] = [await snapshots(), await snapshotsOf('mds2pool/mdt1')];
  await lctl.begin('init');
  await lctl.hold();
  const [opener, joiner] = [open('60'), joinIn()];
  await lctl.untilHeld();
  assert.equal((await snapshots()).length, before.length + TARGETS.length);
  opener.kill('SIGKILL');
  await opener.ended;
  await lctl.letGo();
  const ended = await joiner.ended;
  assert.deepEqual([ended.exit, errorOf(ended).code], [4, 'lustre.set-failed'], ended.stderr);
  assert.deepEqual(await snapshotsOf('mds2pool/mdt1'), late);

  // Of a process that was killed nobody but the barrier's own time-out thaws.
  await lctl.begin('expired');
  const [again, other] = [open(), joinIn()];
  const sets = await Promise.all([again, other].map(setOf));
  assert.equal(sets[0]?.set, sets[1]?.set);
  assert.deepEqual(
    sets.flatMap(({ backups }) => backups.map(({ kind, outcome }) => `${kind} ${outcome}`)),
    TARGETS.map(() => 'incremental stored'),
  );
  const [said, alsoSaid] = [(await again.ended).stderr, (await other.ended).stderr];
  assert.match(said, /the last barrier ended by its own time-out/);
  for (const dataset of TARGETS.slice(0, 2))
    assert.match(said, new RegExp(`${dataset}@zkeep-\\w+ is not stored`));
  assert.match(alsoSaid, new RegExp(`mds2pool/mdt1@${late.at(-1)} is not stored`));
});

test('all that was stored verifies', async () => {
  await assertClean(lab);
});
