/** The whole road on a real pool: a chain of backups in, every point in time back out, and on from there. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Guid } from '../../../catalog/words.ts';
import { must, run } from './parts/command.ts';
import { RestorePreview, SnapshotsDocument } from './parts/documents.ts';
import { assertClean, errorOf, Lab } from './parts/lab.ts';
import { bookmarksOf, guidOf, holdsOf, makeFilesystem, property, snapshotsOf } from './parts/pool.ts';
import { change, fill, treeOf } from './parts/tree.ts';

/** A snapshot of the source as it was when it was backed up. */
interface Point {
  readonly name: string;
  readonly guid: Guid;
  /** Seconds since 1970. */
  readonly created: number;
  readonly tree: string[];
}

const lab = await Lab.open();
after(() => lab.close());
const points: Point[] = [];

async function pointOf(snapshot: string): Promise<Point> {
  const [guid, created, tree] = [
    await guidOf(snapshot),
    await property(snapshot, 'creation'),
    await treeOf(snapshot),
  ];
  return { name: snapshot.replace(/^.*@/, ''), guid, created: Number(created), tree };
}

function point(number: number): Point {
  const found = points[number];
  assert.ok(found, `there is no point ${number}`);
  return found;
}

/** A chain of four: zkeep's own snapshot, one made by hand, one on a base that is only a bookmark, one more. */
before(async () => {
  await lab.pool('tank');
  await lab.pool('fresh');
  const folder = await makeFilesystem('tank/home');
  await fill(folder);
  const first = await lab.backup('tank/home');
  assert.equal(first.kind, 'full');
  points.push(await pointOf(`tank/home@${first.snapshot}`));

  await change(folder, 1);
  await must('zfs', 'snapshot', 'tank/home@by-hand');
  const second = await lab.backup('tank/home', '--snapshot', 'by-hand');
  assert.deepEqual([second.kind, second.from], ['incremental', point(0).guid]);
  points.push(await pointOf('tank/home@by-hand'));

  // A snapshot that zkeep did not take is its maker's to destroy.
  await must('zfs', 'destroy', 'tank/home@by-hand');
  assert.ok((await bookmarksOf('tank/home')).includes('by-hand'), 'a bookmark remembers the base');
  await change(folder, 2);
  const third = await lab.backup('tank/home');
  assert.deepEqual([third.kind, third.from], ['incremental', point(1).guid]);
  points.push(await pointOf(`tank/home@${third.snapshot}`));

  await change(folder, 3);
  const fourth = await lab.backup('tank/home');
  assert.deepEqual([fourth.kind, fourth.from], ['incremental', point(2).guid]);
  points.push(await pointOf(`tank/home@${fourth.snapshot}`));
});

test('every point in time comes back on a fresh pool, whichever way it is named', async () => {
  const ways: string[][] = [
    ['--snapshot', point(0).name],
    ['--guid', point(1).guid],
    ['--at', new Date(point(2).created * 1000).toISOString()],
    [],
  ];
  for (const [number, way] of ways.entries()) {
    const target = `fresh/way${number}`;
    const expected = point(number);
    const restored = await lab.restore('tank/home', '--to', target, ...way);
    assert.equal(restored.guid, expected.guid, way.join(' '));
    assert.equal(await guidOf(`${target}@${expected.name}`), expected.guid);
    assert.deepEqual(await treeOf(`${target}@${expected.name}`), expected.tree);
    assert.equal(await property(target, 'mounted'), 'no');
    assert.notEqual(await property(target, 'canmount'), 'on');
  }
});

test('with the whole chain come all snapshots on the way', async () => {
  const names = points.map(({ name }) => name);
  assert.deepEqual(await snapshotsOf('fresh/way3'), names);
  for (const { name, tree } of points) assert.deepEqual(await treeOf(`fresh/way3@${name}`), tree);
});

test('a target that stands further back gets only what it lacks', async () => {
  const restored = await lab.restore('tank/home', '--to', 'fresh/way1', '--snapshot', point(2).name);
  assert.deepEqual(
    restored.received.map(({ guid }) => guid),
    [point(2).guid],
  );
  assert.deepEqual(await treeOf(`fresh/way1@${point(2).name}`), point(2).tree);
  const again = await lab.restore('tank/home', '--to', 'fresh/way1', '--snapshot', point(2).name);
  assert.deepEqual(again.received, []);
});

test('a dry run names the commands and changes nothing', async () => {
  const preview = await lab.json(RestorePreview, 'restore', 'tank/home', '--to', 'fresh/dry', '--dry-run');
  assert.deepEqual(
    preview.plan.steps.map(({ to }) => to),
    points.map(({ guid }) => guid),
  );
  const receives = preview.commands.filter((command) => command.join(' ').startsWith('zfs receive -s -u '));
  assert.equal(receives.length, points.length, JSON.stringify(preview.commands));
  assert.deepEqual(await snapshotsOf('fresh/dry'), []);
  const before = [await snapshotsOf('tank/home'), await holdsOf('tank/home'), await bookmarksOf('tank/home')];
  const { exit } = await lab.zkeep(['backup', 'tank/home', '--dry-run']);
  assert.equal(exit, 0);
  assert.deepEqual(
    [await snapshotsOf('tank/home'), await holdsOf('tank/home'), await bookmarksOf('tank/home')],
    before,
  );
});

test('a snapshot that is stored already is not stored twice', async () => {
  const again = await lab.backup('tank/home', '--snapshot', point(3).name);
  assert.equal(again.outcome, 'already');
  assert.deepEqual(
    await lab.service.snapshots('tank/home'),
    points.map(({ name }) => name),
  );
});

test('a moment before the first snapshot is missing', async () => {
  const at = new Date((point(0).created - 60) * 1000).toISOString();
  const ended = await lab.zkeep(['restore', 'tank/home', '--to', 'fresh/never', '--at', at, '--json']);
  assert.equal(ended.exit, 3);
  assert.equal(errorOf(ended).kind, 'missing');
});

test('zkeep keeps no hold on the source: bookmarks remember the bases', async () => {
  assert.deepEqual(await holdsOf('tank/home'), []);
});

test('the restored pool carries the same lineage on when the source is gone', async () => {
  await must('zpool', 'destroy', 'tank');
  await must('zfs', 'set', 'canmount=on', 'mountpoint=/run/carried-on', 'fresh/way3');
  await run(['zfs', 'mount', 'fresh/way3']);
  await change('/run/carried-on', 4);
  const next = await lab.backup('fresh/way3');
  assert.deepEqual([next.kind, next.from], ['incremental', point(3).guid]);
  const { snapshots } = await lab.json(SnapshotsDocument, 'list', 'fresh/way3');
  const former = await lab.json(SnapshotsDocument, 'list', 'tank/home');
  assert.equal(new Set([...snapshots, ...former.snapshots].map(({ lineage }) => lineage)).size, 1);

  const tree = await treeOf(`fresh/way3@${next.snapshot}`);
  await lab.pool('third');
  const restored = await lab.restore('fresh/way3', '--to', 'third/home');
  assert.equal(restored.received.length, 5);
  assert.deepEqual(await treeOf(`third/home@${next.snapshot}`), tree);
});

test('all that was stored verifies', async () => {
  await assertClean(lab);
});
