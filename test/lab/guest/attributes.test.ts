/** What a stream does not carry comes back: pools, properties and trees, compared with what `zfs get` says. */
import assert from 'node:assert/strict';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseAttributes } from '../../../catalog/attributes/attributes.ts';
import { must, run, shell } from './parts/command.ts';
import { BackupDocument, RestorePreview, SetRestoreDocument, ShowDocument } from './parts/documents.ts';
import { assertClean, errorOf, Lab } from './parts/lab.ts';
import { guidOf, makeFilesystem, oneFeatureLess, property, volumeDigest } from './parts/pool.ts';
import { differencesOf, ELSEWHERE, propertiesOf } from './parts/properties.ts';
import { fill, fillRandom, treeOf } from './parts/tree.ts';

const lab = await Lab.open();
after(() => lab.close());

async function file(name: string, mebibytes: number): Promise<string> {
  const path = join(lab.folder, name);
  await writeFile(path, '');
  await truncate(path, mebibytes * 1024 * 1024);
  return path;
}

before(async () => {
  await lab.pool('tank', { size: 768 });
  await lab.pool('fresh', { size: 768 });
  // multihost needs one.
  await shell('[ -s /etc/hostid ] || zgenhostid "$(hostid)"');
});

const LUSTRE = {
  'lustre:version': '1',
  'lustre:flags': '36',
  'lustre:index': '65535',
  'lustre:svname': 'MGS',
};
const ITS_OWN = { 'lustre:fsname': '134f4e06', 'lustre:svname': '134f4e06-MGS', 'lustre:comment': 'a, b: c' };
const asOptions = (properties: object) =>
  Object.entries(properties).flatMap(([key, value]) => ['-o', `${key}=${value}`]);

test('a pool as mkfs.lustre makes it comes back on other disks by one command', async (t) => {
  const [a, b, c, d] = await Promise.all(['a', 'b', 'c', 'd'].map((name) => file(`mgs-${name}.img`, 256)));
  assert.ok(a && b && c && d);
  const how = [
    ...(await oneFeatureLess()),
    '-o',
    'multihost=on',
    '-o',
    'cachefile=none',
    '-O',
    'canmount=off',
  ];
  await must('zpool', 'create', '-f', ...how, '-o', 'ashift=12', 'mgspool', 'mirror', a, b);
  t.after(() => run(['zpool', 'destroy', '-f', 'mgspool']));
  await must('zfs', 'create', '-o', 'canmount=off', 'mgspool/mgt');
  await must('zfs', 'set', 'xattr=sa', 'dnodesize=auto', 'compression=off', 'mgspool/mgt');
  await must('zfs', 'set', ...Object.entries(LUSTRE).map((pair) => pair.join('=')), 'mgspool/mgt');
  await shell('mkdir -p /run/mgt; mount -t zfs -o zfsutil mgspool/mgt /run/mgt');
  await fill('/run/mgt');
  await must('umount', '/run/mgt');
  await must('zfs', 'snapshot', ...asOptions(ITS_OWN), 'mgspool/mgt@lsnap');
  await lab.backup('mgspool/mgt', '--snapshot', 'lsnap');
  await lab.backup('mgspool/mgt');
  const before = await propertiesOf('mgspool');
  const poolBefore = await must('zpool', 'get', '-Hp', '-o', 'property,value', 'all', 'mgspool');
  const guids = await Promise.all(
    [...before.keys()].filter((name) => name.includes('@')).map((name) => guidOf(`mgspool${name}`)),
  );
  await must('zpool', 'destroy', 'mgspool');

  t.after(() => run(['zpool', 'destroy', '-f', 'mgsnew']));
  const restore = ['mgspool/mgt', '--to', 'mgsnew/mgt', '--create-pool', `mirror ${c} ${d}`];
  const { commands } = await lab.json(RestorePreview, 'restore', ...restore, '--dry-run');
  assert.deepEqual(
    [commands[0]?.slice(0, 2), commands.at(-1)?.slice(0, 2)],
    [
      ['zpool', 'create'],
      ['zfs', 'set'],
    ],
  );
  const { proof } = await lab.restore(...restore);
  assert.deepEqual(
    proof.differences.filter(({ property }) => property !== 'mountpoint'),
    [],
  );

  const after = await propertiesOf('mgsnew');
  const expected = { ...ELSEWHERE, mountpoint: 'of the pool: its name is another', mounted: 'never' };
  assert.deepEqual(differencesOf(before, after, expected), []);
  assert.deepEqual(
    await Promise.all(
      [...after.keys()].filter((name) => name.includes('@')).map((name) => guidOf(`mgsnew${name}`)),
    ),
    guids,
  );
  const poolAfter = await must('zpool', 'get', '-Hp', '-o', 'property,value', 'all', 'mgsnew');
  const steady = (printed: string) =>
    printed
      .split('\n')
      .filter((line) => /^(feature@|ashift|multihost|cachefile|comment|failmode|auto)/.test(line))
      .map((line) => line.replace(/\tactive$/, '\tenabled'));
  assert.deepEqual(steady(poolAfter), steady(poolBefore));
  // The same command again finds everything done.
  const again = await lab.restore(...restore);
  assert.deepEqual(again.received, []);
});

const ODD = {
  'lab:spaces': '  two  words ',
  'lab:commas': 'a,b=c,,d',
  'lab:colons': '10.0.0.1@tcp:10.0.0.2@tcp',
  'lab:quotes': `'single' "double" \`back\` $(reboot) \\`,
  'lab:newlines': 'one\ntwo\tthree\n',
  'lab:dash': '-x',
  'a:empty': '',
};

test('a tree with inherited, received and limited datasets, a volume and an encrypted one comes back as a set, on a new pool', async (t) => {
  const data = await makeFilesystem(
    'tank/data',
    '-o',
    'compression=gzip-3',
    '-o',
    'recordsize=64K',
    '-o',
    'lab:team=one',
    ...asOptions(ODD),
  );
  await fill(data);
  await fill(
    await makeFilesystem(
      'tank/data/limited',
      '-o',
      'quota=200M',
      '-o',
      'refreservation=40M',
      '-o',
      'lab:team=two',
    ),
  );
  await makeFilesystem('tank/data/limited/below', '-o', 'readonly=on', '-o', 'snapshot_limit=9');
  await must(
    'zfs',
    'create',
    '-V',
    '8M',
    '-o',
    'volblocksize=16K',
    '-o',
    'compression=lz4',
    'tank/data/volume',
  );
  await shell(
    `echo 12345678 | zfs create -o encryption=on -o keyformat=passphrase -o lab:secret=yes tank/key
     zfs snapshot tank/key@first; zfs send -p -w tank/key@first | zfs receive -u tank/data/locked
     zfs destroy -r tank/key; zfs set lab:local=too tank/data/locked`,
  );
  await makeFilesystem(
    'tank/origin',
    '-o',
    'atime=on',
    '-o',
    'lab:came=with the stream',
    '-o',
    'compression=zstd-3',
    '-o',
    'quota=300M',
  );
  await shell(
    'zfs snapshot -o lab:of=snapshot tank/origin@first; zfs send -p tank/origin@first | zfs receive -u tank/data/received',
  );
  await must('zfs', 'set', 'lab:came=set here', 'tank/data/received');
  await must('zfs', 'destroy', '-r', 'tank/origin');
  // Two streams each: what is received comes with an incremental one, plain and raw.
  for (const name of ['received', 'locked']) await lab.backup(`tank/data/${name}`, '--snapshot', 'first');
  await must('zfs', 'snapshot', '-o', 'lab:note=a, b: "c"', 'tank/data@noted');
  const { set } = await lab.json(BackupDocument, 'backup', '-r', 'tank/data');
  assert.ok(set);
  const before = await propertiesOf('tank/data');

  t.after(() => run(['zpool', 'destroy', '-f', 'treenew']));
  const place = ['--to', 'treenew', '--create-pool', await file('tree.img', 768)];
  const { restores, findings } = await lab.json(
    SetRestoreDocument,
    ...['restore', '--set', set, ...place, '--take-mountpoint'],
  );
  assert.deepEqual(
    restores.map(({ target }) => target),
    ['', '/limited', '/limited/below', '/locked', '/received', '/volume'].map(
      (below) => `treenew/data${below}`,
    ),
  );
  assert.deepEqual(
    findings.map(({ code }) => code),
    ['preflight.key-needed'],
  );
  const after = await propertiesOf('treenew/data');
  const expected = {
    ...ELSEWHERE,
    mountpoint: 'of another pool, mounted elsewhere',
    mounted: 'a restore mounts nothing',
    keystatus: 'the key is in no backup: it is loaded by hand',
    usedbyrefreservation: 'as used',
    encryptionroot: 'named as the dataset is called',
    filesystem_count: 'counted from when a limit is set above: here once the data has come',
    snapshot_count: 'as filesystem_count',
  };
  const names = [...before.keys()].filter((name) => /@noted$/.test(name));
  assert.deepEqual(names, ['@noted']);
  const kept = new Map([...before].filter(([name]) => !names.includes(name)));
  assert.deepEqual(differencesOf(kept, after, expected), []);
  for (const [key, value] of Object.entries(ODD)) assert.equal(await property('treenew/data', key), value);
  assert.deepEqual(
    [...after].filter(([, told]) => told.get('mounted')?.startsWith('yes')),
    [],
  );
  const snapshot = [...kept.keys()].find((name) => name.startsWith('@')) ?? '';
  assert.deepEqual(await treeOf(`treenew/data${snapshot}`), await treeOf(`tank/data${snapshot}`));
  assert.equal(
    await volumeDigest(`treenew/data/volume${snapshot}`),
    await volumeDigest(`tank/data/volume${snapshot}`),
  );
});

test('of bookmarks all is stored that zfs tells of them, and shown', async () => {
  await fill(await makeFilesystem('tank/marked'));
  await shell(
    `zfs create tank/marked/below
     zfs snapshot -r tank/marked@one; zfs snapshot tank/marked@two
     zfs bookmark tank/marked@one tank/marked#kept; zfs bookmark tank/marked/below@one tank/marked/below#other
     zfs redact tank/marked@one redacted tank/marked@two; zfs destroy tank/marked@two`,
  );
  const told = await must(
    'zfs',
    'get',
    '-Hp',
    '-o',
    'name,property,value',
    '-t',
    'bookmark',
    '-d',
    '1',
    'all',
    'tank/marked',
  );
  assert.match(told, /^tank\/marked#redacted\tredact_snaps\t\d+$/m);
  await lab.backup('tank/marked');
  const { attributes } = await lab.json(ShowDocument, 'show', 'tank/marked', '--attributes');
  const { parsed } = parseAttributes(attributes);
  const stored = (parsed?.objects ?? [])
    .filter(({ kind }) => kind === 'bookmark')
    .flatMap(({ name, properties }) =>
      Object.entries(properties).map(([property, { value }]) => `${name}\t${property}\t${value}`),
    );
  assert.deepEqual(stored.toSorted(), told.trimEnd().split('\n').toSorted());
  const { exit, stdout } = await lab.zkeep(['attributes', 'tank/marked']);
  assert.equal(exit, 0);
  const shown = stdout.toString('utf8');
  for (const mark of ['#kept', '#redacted'])
    assert.match(shown, new RegExp(`^${mark} .* ${await property(`tank/marked${mark}`, 'guid')}( |$)`, 'm'));
});

test('what an earlier try left is taken: the pool that it made, and nothing else', async (t) => {
  const [one, other] = await Promise.all([file('again-1.img', 256), file('again-2.img', 256)]);
  t.after(() => run(['zpool', 'destroy', '-f', 'again']));
  const restore = ['mgspool/mgt', '--to', 'again/deep/mgt', '--create-pool', one];
  const { commands } = await lab.json(RestorePreview, 'restore', ...restore, '--dry-run');
  // As if it had been killed after the first of its commands.
  await must(...(commands[0] ?? []));
  await must('zfs', 'create', '-o', 'canmount=off', 'again/foreign');
  assert.equal(await refusal(...restore), 'preflight.pool-exists preflight.vdev-in-pool');
  await must('zfs', 'destroy', 'again/foreign');
  assert.equal(await refusal(...restore.slice(0, -1), other), 'preflight.pool-exists');
  await lab.restore(...restore);
  assert.equal(await property('again/deep/mgt', 'lustre:svname'), 'MGS');
  assert.equal(await property('again/deep', 'canmount'), 'off');
});

test('whatever stands in the way is found before anything is made', async (t) => {
  const [good, small] = await Promise.all([file('good.img', 256), file('small.img', 32)]);
  const used = join(lab.folder, 'fresh.img');
  const create = (vdevs: string, to = 'made/mgt') =>
    refusal('mgspool/mgt', '--to', to, '--create-pool', vdevs);
  assert.equal(await create(used), 'preflight.vdev-in-pool');
  assert.equal(await create(small), 'preflight.vdev-too-small');
  assert.equal(await create(`mirror ${good} ${good}`), 'preflight.vdev-twice');
  assert.equal(await create('/no/such/disk'), 'preflight.vdev-missing');
  assert.equal(await create(good, 'fresh/mgt'), 'preflight.pool-exists');
  assert.equal(await create(good, 'mirror/mgt'), 'pool.bad-name');
  await shell(`mkswap ${good}`);
  assert.equal(await create(good), 'preflight.vdev-holds-data');
  assert.equal((await run(['zpool', 'list', 'made'])).exit, 1);

  await must(
    'zpool',
    'create',
    '-f',
    '-d',
    '-m',
    'none',
    '-o',
    'feature@extensible_dataset=enabled',
    'bare',
    await file('bare.img', 128),
  );
  t.after(() => run(['zpool', 'destroy', '-f', 'bare']));
  const into = (target: string, ...more: string[]) => refusal('mgspool/mgt', '--to', target, ...more);
  assert.match(await into('bare/mgt'), /^preflight\.feature-disabled/);
  await must('zfs', 'create', 'fresh/taken');
  assert.equal(await into('fresh/taken'), 'preflight.target-exists');
  await must('zfs', 'snapshot', 'fresh/taken@own');
  assert.match(await into('fresh/taken'), /^chain\.target/);
  await lab.restore('mgspool/mgt', '--to', 'fresh/newer', '--snapshot', 'lsnap');
  await must('zfs', 'snapshot', 'fresh/newer@mine');
  assert.match(await into('fresh/newer'), /^chain\./);
  await must('zfs', 'destroy', '-r', 'fresh/taken');
  await fillRandom(join(await makeFilesystem('tank/sent'), 'file'), 2);
  await must('zfs', 'snapshot', 'tank/sent@half');
  await shell('(zfs send tank/sent@half | head -c 1M | zfs receive -s -u fresh/partial) || true');
  assert.equal(await into('fresh/partial'), 'preflight.partial');
});

/** The codes of all that stands in the way of a restore; it must be refused, or its words be wrong. */
async function refusal(...args: string[]): Promise<string> {
  const ended = await lab.zkeep(['restore', ...args, '--dry-run', '--json']);
  assert.ok(ended.exit === 4 || ended.exit === 2, `${ended.exit}: ${ended.stdout} ${ended.stderr}`);
  const { code, facts } = errorOf(ended);
  return Array.isArray(facts['codes']) ? facts['codes'].join(' ') : code;
}

test('all that was stored verifies', async () => {
  await assertClean(lab);
});
