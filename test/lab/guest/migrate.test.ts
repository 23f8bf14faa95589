/** From one pool to another without a bucket in between, and on from where a kill left it. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, must, run, shell, start } from './parts/command.ts';
import { MigrateDocument, MigratePreview, readDocument } from './parts/documents.ts';
import { errorOf, Lab } from './parts/lab.ts';
import { guidOf, holdsOf, makeFilesystem, property, snapshotsOf, volumeDigest } from './parts/pool.ts';
import { differencesOf, ELSEWHERE, type Expected, propertiesOf } from './parts/properties.ts';
import { change, fill, fillText, treeOf } from './parts/tree.ts';

/** What a migration leaves different, besides what every restore does. */
const MIGRATED: Expected = {
  ...ELSEWHERE,
  usedbyrefreservation: 'as used',
  mountpoint: 'of another pool, mounted elsewhere',
  mounted: 'a migration mounts nothing',
  canmount: 'two datasets are not to be mounted at once: noauto until somebody decides',
  'lab:team': 'inherited from the pool, and the other pool does not have it',
};

const ODD = {
  'lab:newlines': 'one\ntwo\tthree\n',
  'lab:quotes': `'single' "double" \`back\` $(reboot) \\ a,b=c`,
  'lab:dash': '-x',
};

const lab = await Lab.open();
after(() => lab.close());
before(async () => {
  await lab.pool('old', { options: ['-O', 'lab:team=storage'] });
  await lab.pool('new');
});

const migrate = (...args: string[]) => lab.json(MigrateDocument, 'migrate', ...args);
const kindsOf = ({ migrated }: { migrated: readonly { kind: string }[] }) => migrated.map(({ kind }) => kind);

async function assertSame(snapshot: string): Promise<void> {
  assert.equal(await guidOf(`new/${snapshot}`), await guidOf(`old/${snapshot}`));
  assert.deepEqual(await treeOf(`new/${snapshot}`), await treeOf(`old/${snapshot}`));
}

/** All that a dry run must leave as it is. */
async function stateOf(dataset: string): Promise<string[]> {
  return [
    ...(await snapshotsOf(dataset)),
    ...(await holdsOf(dataset)),
    await shell('zfs list -Hro name new'),
  ];
}

/** A file system with properties of all sources, mounted. */
async function makeSource(): Promise<string> {
  await makeFilesystem('old/origin', '-o', 'lab:came=with the stream', '-o', 'compression=zstd-3');
  await shell(
    'zfs snapshot old/origin@first; zfs send -p old/origin@first | zfs receive old/home; zfs destroy -r old/home@first',
  );
  const odd = Object.entries(ODD).map(([key, value]) => `${key}=${value}`);
  await must('zfs', 'set', 'recordsize=64K', 'quota=300M', 'lab:came=set here', ...odd, 'old/home');
  const folder = await property('old/home', 'mountpoint');
  await fill(folder);
  return folder;
}

test('a file system moves with all its properties, and the short last step takes what came since', async () => {
  const folder = await makeSource();
  const untouched = await stateOf('old/home');
  const preview = await lab.json(MigratePreview, 'migrate', 'old/home', '--to', 'new/home', '--dry-run');
  assert.deepEqual(kindsOf({ migrated: preview.steps }), ['full']);
  const verbs = preview.commands.map(([file, verb]) => `${file} ${verb}`);
  assert.deepEqual(verbs.slice(0, 4), ['zfs snapshot', 'zfs hold', 'zfs send', 'zfs receive']);
  assert.ok(
    verbs.slice(4).every((verb) => verb === 'zfs set'),
    verbs.join(),
  );
  assert.deepEqual(await stateOf('old/home'), untouched);

  const first = await migrate('old/home', '--to', 'new/home');
  assert.deepEqual(kindsOf(first), ['full']);
  await assertSame(`home@${first.migrated[0]?.snapshot}`);
  const team = first.proof.differences.find((difference) => difference.property === 'lab:team');
  assert.equal(team?.matters, false, 'what is inherited is told, and not set');

  await change(folder, 1);
  await must('zfs', 'unmount', 'old/home');
  const last = await migrate('old/home', '--to', 'new/home', '--final');
  assert.deepEqual([last.final, last.proof.written, ...kindsOf(last)], [true, 0, 'incremental']);
  await assertSame(`home@${last.migrated[0]?.snapshot}`);
  assert.deepEqual(
    differencesOf(await propertiesOf('old/home'), await propertiesOf('new/home'), MIGRATED),
    [],
  );
  for (const [key, value] of Object.entries(ODD)) assert.equal(await property('new/home', key), value);
  assert.deepEqual(
    (await holdsOf('old/home')).map((hold) => hold.split(' ')[0]),
    [last.migrated[0]?.snapshot],
  );
});

test('the last step fails as long as something is written, and is made good when that has ended', async () => {
  await must('zfs', 'mount', 'old/home');
  const file = join(await property('old/home', 'mountpoint'), 'log');
  const writer = start(['bash', '-c', 'while sleep .2; do echo line >>"$0"; sync -f "$0"; done', file]);
  const ended = await lab.zkeep(['migrate', 'old/home', '--to', 'new/home', '--final', '--json']);
  writer.kill('SIGKILL');
  await writer.ended;
  const { code, message } = errorOf(ended);
  assert.deepEqual([ended.exit, code], [1, 'migrate.written'], message);
  await must('zfs', 'unmount', 'old/home');
  const { proof, migrated } = await migrate('old/home', '--to', 'new/home', '--final');
  assert.equal(proof.written, 0);
  await assertSame(`home@${migrated[0]?.snapshot}`);
});

test('a volume moves byte by byte', async () => {
  const options = ['-b', '16K', '-o', 'compression=lz4', '-o', `lab:newlines=${ODD['lab:newlines']}`];
  await must('zfs', 'create', '-V', '24M', ...options, 'old/volume');
  // udev makes the device a moment after.
  await volumeDigest('old/volume');
  await shell('dd if=/dev/urandom of=/dev/zvol/old/volume bs=1M count=6 seek=2 conv=fsync status=none');
  assert.deepEqual(kindsOf(await migrate('old/volume', '--to', 'new/volume')), ['full']);
  await shell('echo changed | dd of=/dev/zvol/old/volume bs=1M seek=5 conv=notrunc,fsync status=none');
  const last = await migrate('old/volume', '--to', 'new/volume', '--final');
  assert.deepEqual([last.proof.written, ...kindsOf(last)], [0, 'incremental']);
  assert.equal(await volumeDigest('new/volume'), await volumeDigest('old/volume'));
  const known = await propertiesOf('old/volume');
  const first = [...known.keys()].filter((name) => name.startsWith('@'));
  assert.equal(first.length, 2);
  assert.deepEqual(differencesOf(known, await propertiesOf('new/volume'), MIGRATED), []);
});

test('what a dry run prints can be typed: a shell does the same', async () => {
  const odd = Object.entries(ODD).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  await fill(await makeFilesystem('old/typed', '-o', 'recordsize=32K', '-o', 'quota=200M', ...odd));
  const { exit, stdout } = await lab.zkeep(['migrate', 'old/typed', '--to', 'new/typed', '--dry-run']);
  assert.equal(exit, 0);
  assert.deepEqual(await snapshotsOf('old/typed'), []);
  await shell(stdout.toString('utf8'));
  const [snapshot] = await snapshotsOf('old/typed');
  await assertSame(`typed@${snapshot}`);
  assert.deepEqual(
    differencesOf(await propertiesOf('old/typed'), await propertiesOf('new/typed'), MIGRATED),
    [],
  );
});

test('an encrypted file system moves as it is, and opens with the same key', async () => {
  const options = '-o encryption=on -o keyformat=passphrase -o pbkdf2iters=100000';
  await shell(`echo 12345678 | zfs create ${options} -o lab:secret=yes old/locked`);
  const folder = await property('old/locked', 'mountpoint');
  await fill(folder);
  await migrate('old/locked', '--to', 'new/locked');
  await change(folder, 1);
  await must('zfs', 'unmount', 'old/locked');
  const last = await migrate('old/locked', '--to', 'new/locked', '--final');
  assert.deepEqual([last.proof.written, ...kindsOf(last)], [0, 'incremental']);
  assert.equal(await property('new/locked', 'keystatus'), 'unavailable');
  assert.equal(await property('new/locked', 'encryptionroot'), 'new/locked');
  await shell('echo 12345678 | zfs load-key new/locked');
  await assertSame(`locked@${last.migrated[0]?.snapshot}`);
  const expected = { ...MIGRATED, encryptionroot: 'named as the dataset is called' };
  assert.deepEqual(
    differencesOf(await propertiesOf('old/locked'), await propertiesOf('new/locked'), expected),
    [],
  );
});

/** Starts a migration and kills it once so many bytes have gone through it. */
async function killAfter(bytes: number, ...args: string[]): Promise<void> {
  const agent = lab.start(['migrate', ...args, '--json']);
  const written = async () => {
    const told = await readFile(`/proc/${agent.pid}/io`, 'utf8').catch(() => 'gone');
    if (told === 'gone') throw new Error('the migration ended before it could be killed');
    return Number(/^wchar: (\d+)/m.exec(told)?.[1]) > bytes;
  };
  await eventually(`${bytes} bytes in the pipe`, written);
  agent.kill('SIGKILL');
  assert.equal((await agent.ended).signal, 'SIGKILL');
}

test('a migration that was killed goes on from what has arrived', async () => {
  const folder = await makeFilesystem('old/large', '-o', 'compression=off');
  await fillText(join(folder, 'much'), 64);
  await fill(folder);
  await killAfter(24 * 1024 * 1024, 'old/large', '--to', 'new/large');
  const tokenOf = async () => await property('new/large', 'receive_resume_token');
  await eventually('the end of zfs receive', async () => (await run(['pgrep', '-x', 'zfs'])).exit !== 0);
  assert.notEqual(await tokenOf(), '-');
  const [taken] = await snapshotsOf('old/large');
  await writeFile(join(folder, 'since'), 'written since');

  const { exit, stdout, stderr } = await lab.zkeep(['migrate', 'old/large', '--to', 'new/large', '--json']);
  assert.equal(exit, 0, `${stdout} ${stderr}`);
  const on = readDocument(MigrateDocument, stdout.toString('utf8'));
  assert.deepEqual(kindsOf(on), ['rest', 'incremental']);
  const [rest, since] = on.migrated;
  assert.ok(rest && since);
  assert.equal(rest.snapshot, taken);
  assert.ok(rest.bytes < 56 * 1024 * 1024, `${rest.bytes} bytes came again`);
  for (const { snapshot } of on.migrated) await assertSame(`large@${snapshot}`);
  assert.equal(await tokenOf(), '-');
});
