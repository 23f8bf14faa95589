/** What goes wrong at the target of a restore, or with what is restored: the target keeps what it had. */
import assert from 'node:assert/strict';
import { open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { childOf, eventually, must, run, shell } from './parts/command.ts';
import { readDocument, VerifyDocument } from './parts/documents.ts';
import { assertClean, errorOf, Lab } from './parts/lab.ts';
import { guidOf, makeFilesystem, property, snapshotsOf } from './parts/pool.ts';
import { change, fill, fillRandom, treeOf } from './parts/tree.ts';

const lab = await Lab.open();
after(() => lab.close());
/** Names of the stored snapshots: `a` and `b` of tank/fs, `big` of tank/big. */
let [a, b, big] = ['', '', ''];
before(async () => {
  await lab.pool('tank');
  await lab.pool('fresh');
  const folder = await makeFilesystem('tank/fs');
  await fill(folder);
  a = String((await lab.backup('tank/fs')).snapshot);
  await change(folder, 1);
  b = String((await lab.backup('tank/fs')).snapshot);
});

/** Runs a restore that must fail, and gives its error. */
async function refused(exit: number, ...args: string[]) {
  const ended = await lab.zkeep(['restore', ...args, '--json']);
  assert.equal(ended.exit, exit, `${ended.stdout} ${ended.stderr}`);
  return errorOf(ended);
}

for (const [what, ...args] of [
  ['a target without its pool', 'tank/fs', '--to', 'nopool/fs'],
  ['a target without its parent', 'tank/fs', '--to', 'fresh/no/parent'],
  ['a dataset that is not stored', 'tank/none', '--to', 'fresh/none'],
  ['a snapshot that is not stored', 'tank/fs', '--to', 'fresh/none', '--guid', '0x2a'],
]) {
  test(`${what} is missing`, async () => {
    assert.equal((await refused(3, ...args)).kind, 'missing');
    assert.deepEqual(await snapshotsOf('fresh/none'), []);
  });
}

test('a target that is another dataset is left alone, even with --force', async () => {
  const folder = await makeFilesystem('fresh/other');
  await writeFile(join(folder, 'precious'), 'data');
  await must('zfs', 'snapshot', 'fresh/other@kept');
  const guid = await guidOf('fresh/other');
  for (const force of [[], ['--force']]) {
    assert.equal((await refused(4, 'tank/fs', '--to', 'fresh/other', ...force)).kind, 'refused');
  }
  assert.equal(await guidOf('fresh/other'), guid);
  assert.deepEqual(await snapshotsOf('fresh/other'), ['kept']);
});

test('a target that was written to, or has a newer snapshot, is refused; with --force it is rolled back', async () => {
  await lab.restore('tank/fs', '--to', 'fresh/newer', '--snapshot', a);
  await must('zfs', 'set', 'canmount=on', 'mountpoint=/run/newer', 'fresh/newer');
  await run(['zfs', 'mount', 'fresh/newer']);
  await writeFile('/run/newer/newer', 'data');
  await must('zfs', 'unmount', 'fresh/newer');
  assert.equal((await refused(4, 'tank/fs', '--to', 'fresh/newer')).kind, 'refused');
  await must('zfs', 'snapshot', 'fresh/newer@mine');
  assert.equal((await refused(4, 'tank/fs', '--to', 'fresh/newer')).kind, 'refused');
  assert.deepEqual(await snapshotsOf('fresh/newer'), [a, 'mine']);
  await lab.restore('tank/fs', '--to', 'fresh/newer', '--force');
  assert.deepEqual(await snapshotsOf('fresh/newer'), [a, b]);
  assert.deepEqual(await treeOf(`fresh/newer@${b}`), await treeOf(`tank/fs@${b}`));
});

test('a pool that is too small is full, and nothing that looks whole is in it', async () => {
  const folder = await makeFilesystem('tank/big');
  await fillRandom(join(folder, 'file'), 56);
  big = String((await lab.backup('tank/big')).snapshot);
  await lab.pool('small', { size: 64 });
  assert.equal((await refused(9, 'tank/big', '--to', 'small/big')).kind, 'full');
  assert.deepEqual(await snapshotsOf('small/big'), []);
});

test('a restore that was killed midway is finished by the next one', async () => {
  const agent = lab.start(['restore', 'tank/big', '--to', 'fresh/killed', '--json']);
  await eventually('zfs receive', () => childOf(agent.pid, 'zfs', 'receive'));
  await eventually('a part of it', async () => {
    const { exit, stdout } = await run(['zfs', 'get', '-Hpo', 'value', 'used', 'fresh/killed']);
    return exit === 0 && Number(stdout) > 2_000_000;
  });
  agent.kill('SIGKILL');
  await agent.ended;
  await eventually(
    'the end of zfs receive',
    async () => (await property('fresh/killed', 'receive_resume_token')) !== '-',
  );
  assert.deepEqual(await snapshotsOf('fresh/killed'), []);
  await lab.restore('tank/big', '--to', 'fresh/killed');
  assert.deepEqual(await treeOf(`fresh/killed@${big}`), await treeOf(`tank/big@${big}`));
});

test('a partial receive of something else is left to its owner', async () => {
  await shell(`(zfs send tank/big@${big} | head -c 20M | zfs receive -s -u fresh/foreign) || true`);
  const token = await property('fresh/foreign', 'receive_resume_token');
  assert.notEqual(token, '-');
  const error = await refused(4, 'tank/fs', '--to', 'fresh/foreign');
  assert.match(`${error.message} ${error.advice}`, /receive/);
  assert.equal(await property('fresh/foreign', 'receive_resume_token'), token);
});

test('without rights at the target nothing is received', async () => {
  const ended = await lab.zkeep(['restore', 'tank/fs', '--to', 'fresh/denied', '--json'], { as: 'nobody' });
  assert.deepEqual([ended.exit, errorOf(ended).kind], [8, 'denied'], ended.stderr);
  assert.deepEqual(await snapshotsOf('fresh/denied'), []);
});

test('all that was stored verifies', async () => {
  await assertClean(lab);
});

test('a stored segment with one flipped bit is found, and never becomes a snapshot', async () => {
  const folder = await makeFilesystem('tank/flipped');
  await fill(folder);
  const { backup } = await lab.backup('tank/flipped');
  const segment = join(lab.service.repository, `segments/${backup}/00000000.zst`);
  await flip(segment, 300_000);
  assert.equal((await refused(5, 'tank/flipped', '--to', 'fresh/flipped')).kind, 'damaged');
  assert.deepEqual(await snapshotsOf('fresh/flipped'), []);
  const verified = await lab.zkeep(['verify', '--deep', '--json']);
  assert.equal(verified.exit, 5);
  const { problems } = readDocument(VerifyDocument, verified.stdout.toString());
  assert.deepEqual(
    problems.map((problem) => problem.backup),
    [backup],
  );
  await flip(segment, 300_000);
  await assertClean(lab);
  await rename(segment, `${segment}.away`);
  assert.equal((await refused(5, 'tank/flipped', '--to', 'fresh/gone')).kind, 'damaged');
});

/** Turns one bit of a file, and back when done twice. */
async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
  await file.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, at);
  await file.close();
}
