/** The recorded MGT and MDT of a live Lustre, kept with the files that people make by hand, on new pools and on. */
import assert from 'node:assert/strict';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { CLONE } from './parts/clone.ts';
import { must, run, shell } from './parts/command.ts';
import {
  BackupDocument,
  ImportDocument,
  InspectDocument,
  MigrateDocument,
  readDocument,
  SetRestoreDocument,
  TargetsDocument,
} from './parts/documents.ts';
import { assertClean, errorOf, Lab } from './parts/lab.ts';
import { guidOf, knownFeatures, property, snapshotsOf } from './parts/pool.ts';
import { StandInLctl } from './parts/stand-in-lctl.ts';
import { treeOf } from './parts/tree.ts';

/** What was recorded, and where it is restored to. */
const TARGETS = [
  { name: 'mgt', pool: 'mgspool', fresh: 'mgsnew' },
  { name: 'mdt0', pool: 'mdtpool', fresh: 'mdtnew' },
] as const;
const RESTORED = TARGETS.map(({ name, fresh }) => `${fresh}/${name}`);

const fixture = (path: string) => join(CLONE, 'test/fixtures', path);
const ofDatasets = (snapshot: string) => fixture(`attributes/lustre/zfs-get-all.${snapshot}.txt`);
const ofPools = (snapshot: string) => fixture(`attributes/lustre/zpool-get-all.${snapshot}.txt`);

const lab = await Lab.open();
after(() => lab.close());
const lctl = await StandInLctl.open(lab.folder);
before(async () => {
  await lab.pool('plain');
  // multihost needs one.
  await shell('[ -s /etc/hostid ] || zgenhostid "$(hostid)"');
});
after(async () => {
  for (const { fresh } of TARGETS) await run(['zpool', 'destroy', '-f', fresh]);
});

async function unpacked(name: string): Promise<string> {
  const file = join(lab.folder, `${name}.zfs`);
  await writeFile(file, gunzipSync(await readFile(fixture(`streams/lustre-${name}.zfs.gz`))));
  return file;
}

/** The recorded rows that begin with a name, without it. */
async function rowsOf(file: string, name: string): Promise<string[]> {
  const lines = (await readFile(file, 'utf8')).split('\n');
  return lines.filter((line) => line.startsWith(`${name}\t`)).map((line) => line.slice(name.length + 1));
}

async function localOf(dataset: string): Promise<string[]> {
  const printed = await must('zfs', 'get', '-Hp', '-s', 'local', '-o', 'property,value', 'all', dataset);
  return printed.split('\n').toSorted();
}

test('the recorded streams are kept with the recorded outputs of zfs get and zpool get', async () => {
  for (const { name, pool } of TARGETS) {
    for (const [stream, at] of [
      [`${name}-full-s1`, 's1'],
      [`${name}-incr-s1-s2`, 's2'],
    ] as const) {
      const file = await unpacked(stream);
      const files = ['--dataset-attributes', ofDatasets(at), '--pool-attributes', ofPools(at)];
      const { backups } = await lab.json(
        ImportDocument,
        ...['import', '--dataset', `${pool}/${name}`, '--file', file, ...files],
      );
      assert.deepEqual(
        backups.map(({ outcome }) => outcome),
        ['stored'],
      );
      await shell(`zfs receive -u plain/${name} <${file}`);
    }
  }
});

test('the stored MDT tells the last objects that it used, without a pool', async () => {
  const idsAt = async (snapshot: string) => {
    const { target } = await lab.json(
      InspectDocument,
      ...['lustre', 'inspect', 'mdtpool/mdt0', '--snapshot', snapshot],
    );
    return target.last_used?.map(({ id }) => id);
  };
  assert.deepEqual(await idsAt('s1'), ['169', '151']);
  assert.deepEqual(await idsAt('s2'), ['221', '204']);
});

for (const { name, pool, fresh } of TARGETS) {
  test(`one command brings ${pool}/${name} back on a new pool, as it was recorded`, async () => {
    const disk = join(lab.folder, `${fresh}.img`);
    await writeFile(disk, '');
    await truncate(disk, 256 * 1024 * 1024);
    const { proof, pool: made } = await lab.restore(
      ...[`${pool}/${name}`, '--to', `${fresh}/${name}`, '--create-pool', disk],
    );
    assert.deepEqual(
      proof.differences.filter(({ matters }) => matters),
      [],
    );
    const recordedOf = async (dataset: string) =>
      (await rowsOf(ofDatasets('s2'), dataset))
        .filter((row) => row.endsWith('\tlocal'))
        .map((row) => row.split('\t').slice(0, 2).join('\t'))
        .map((row) => (row === 'xattr\ton' ? `xattr\t${inAttributes}` : row));
    // What OpenZFS 2.3 calls `on`, 2.1 calls `sa`: its `on` would be another thing.
    await must('zfs', 'set', 'xattr=sa', 'plain');
    const inAttributes = await property('plain', 'xattr');
    const recorded = await recordedOf(`${pool}/${name}`);
    assert.ok(recorded.includes('lustre:version\t1') && recorded.includes('dnodesize\tauto'));
    assert.deepEqual(await localOf(`${fresh}/${name}`), recorded.toSorted());
    assert.deepEqual(await localOf(fresh), await recordedOf(pool));

    const steady = (rows: readonly string[]) =>
      rows
        .map((row) =>
          row
            .split('\t')
            .slice(0, 2)
            .join('\t')
            .replace(/\tactive$/, '\tenabled'),
        )
        .filter((row) => /^(feature@|multihost|ashift|failmode|auto)/.test(row))
        .toSorted();
    const found = (await must('zpool', 'get', '-Hp', '-o', 'property,value', 'all', fresh)).split('\n');
    const stored = steady(await rowsOf(ofPools('s2'), pool));
    assert.ok(stored.includes('multihost\ton') && stored.includes('feature@longname\tdisabled'));
    // The recording is of OpenZFS 2.3: what an older one does not know is said, each by its name.
    const known = await knownFeatures();
    const unknown = (row: string) =>
      row.startsWith('feature@') && !known.has(/@([^\t]*)/.exec(row)?.[1] ?? '');
    assert.deepEqual(
      steady(found).filter((row) => !isNewer(row, stored)),
      stored.filter((row) => !unknown(row)),
    );
    const said = new Set(made?.differences.map(({ what }) => what));
    for (const row of stored.filter((one) => unknown(one) && one.endsWith('\tenabled')))
      assert.ok(said.has(row.replace('\tenabled', '')), row);
    assert.equal(await guidOf(`${fresh}/${name}@s2`), await guidOf(`plain/${name}@s2`));
    assert.deepEqual(await treeOf(`${fresh}/${name}@s2`), await treeOf(`plain/${name}@s2`));
  });
}

test('the restored targets are found, and nothing is wrong with them', async () => {
  const { targets, problems } = await lab.json(TargetsDocument, 'lustre', 'targets');
  assert.deepEqual(
    targets.map((target) => [target.dataset, target.kind, target.name, target.state, target.multihost]),
    [
      ['mdtnew/mdt0', 'mdt', 'lustrefs-MDT0000', 'registered', 'on'],
      ['mgsnew/mgt', 'mgt', 'MGS', 'registered', 'on'],
    ],
  );
  assert.deepEqual([...problems, ...targets.flatMap((target) => target.problems)], []);
});

/** A feature that came after the recording, and stays disabled. */
function isNewer(row: string, recorded: readonly string[]): boolean {
  const [name = '', state] = row.split('\t');
  return (
    name.startsWith('feature@') &&
    state === 'disabled' &&
    !recorded.some((one) => one.startsWith(`${name}\t`))
  );
}

const SET = ['backup', '--lustre', 'lustrefs', '--json'];
const FREEZE = 'barrier_freeze lustrefs 30';
const STAT = 'barrier_stat -s lustrefs';
const THAW = 'barrier_thaw lustrefs';
const snapshots = async () => (await Promise.all(RESTORED.map(snapshotsOf))).flat();
const IMPORTED = ['s1', 's2', 's1', 's2'];

/** Starts the backup of a set, and interrupts it when all snapshots are taken and the barrier stands. */
async function interrupted(by: 'SIGTERM' | 'SIGKILL') {
  await lctl.begin('init');
  await lctl.hold();
  const agent = lab.start(SET, { env: lctl.env });
  const early = agent.ended.then(({ stdout, stderr }) => assert.fail(`it ended before: ${stdout} ${stderr}`));
  early.catch(() => undefined); // a later end is the test's
  await Promise.race([lctl.untilHeld(), early]);
  assert.equal((await snapshots()).length, IMPORTED.length + RESTORED.length);
  agent.kill(by);
  if (by === 'SIGKILL') await agent.ended;
  await lctl.letGo();
  return await agent.ended;
}

test('interrupted under its barrier, a set is thawed, and its snapshots are destroyed again', async () => {
  const ended = await interrupted('SIGTERM');
  assert.deepEqual([ended.exit, errorOf(ended).code], [130, 'agent.interrupted']);
  assert.deepEqual(await lctl.calls(), [STAT, FREEZE, STAT, THAW]);
  assert.deepEqual(await snapshots(), IMPORTED);
});

test('a set over two pools is stored after one that was killed, and what that left is named', async () => {
  assert.equal((await interrupted('SIGKILL')).signal, 'SIGKILL');
  assert.deepEqual(await lctl.calls(), [STAT, FREEZE, STAT]);
  const left = await Promise.all(RESTORED.map(async (name) => `${name}@${(await snapshotsOf(name)).at(-1)}`));
  // Of a process that was killed nobody but the barrier's own time-out thaws.
  await lctl.begin('expired');

  const { exit, stdout, stderr } = await lab.zkeep(SET, { env: lctl.env });
  assert.equal(exit, 0, `${stdout} ${stderr}`);
  assert.deepEqual(await lctl.calls(), [STAT, FREEZE, STAT, THAW]);
  assert.match(stderr, /the last barrier ended by its own time-out/);
  for (const snapshot of left) assert.ok(stderr.includes(`${snapshot} is not stored`), stderr);
  const { set, backups } = readDocument(BackupDocument, stdout.toString('utf8'));
  assert.ok(set);
  assert.deepEqual(
    backups.map(({ dataset, kind, outcome }) => [dataset, kind, outcome]),
    RESTORED.map((dataset) => [dataset, 'incremental', 'stored']),
  );
  for (const { backup, dataset, from } of backups) {
    assert.equal((await lab.service.manifest(backup)).set, set);
    assert.equal(from, await guidOf(`${dataset}@s2`));
  }

  const again = await lab.json(SetRestoreDocument, 'restore', '--set', set, '--to', 'plain/again');
  assert.deepEqual(
    again.restores.map(({ target }) => target),
    TARGETS.map(({ name }) => `plain/again/${name}`).toSorted(),
  );
  for (const { dataset, snapshot } of backups) {
    const target = `plain/again/${dataset.split('/')[1]}@${snapshot}`;
    assert.deepEqual(await treeOf(target), await treeOf(`${dataset}@${snapshot}`));
  }
});

test('an MDT moves on to other storage with what makes it one, and what to do then is said', async () => {
  const moved = await lab.json(
    MigrateDocument,
    ...['migrate', 'mdtnew/mdt0', '--to', 'plain/moved', '--final'],
  );
  assert.deepEqual([moved.proof.written, moved.migrated.length], [0, 1]);
  assert.ok(moved.runbook.some(({ commands }) => commands.join().includes('plain/moved')));
  assert.deepEqual(await localOf('plain/moved'), await localOf('mdtnew/mdt0'));
  const snapshot = moved.migrated[0]?.snapshot;
  assert.deepEqual(await treeOf(`plain/moved@${snapshot}`), await treeOf(`mdtnew/mdt0@${snapshot}`));
});

test('all that was stored verifies', async () => {
  await assertClean(lab);
});
