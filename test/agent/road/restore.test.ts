/** `zkeep restore` end to end, on a host whose ZFS is a script that remembers what it was given. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { recordedStream } from '../../fixtures/recorded-streams.ts';
import { StandIns } from '../stand-ins.ts';
import { AgentHouse } from './agent-house.ts';

/** The recorded stream `full`: its snapshot. */
const GUID = '14155216701977620908';
const SNAPSHOT = `new/fs@a\t${GUID}\t10\t1795159362\t0\n`;

/** A line of `zfs get -Hp all` as it was, for the import. */
const line = (property: string, value: string, source: string) =>
  `tank/fs\t${property}\t${value}\t${source}\n`;
const STORED = [
  line('type', 'filesystem', '-'),
  line('compression', 'off', 'local'),
  line('atime', 'off', 'received'),
  line('recordsize', '65536', 'inherited from tank'),
  line('org:note', `it's "two",\\words`, 'local'),
  line('org:dash', '-x', 'local'),
  line('quota', '1000000', 'local'),
  line('mountpoint', '/home', 'local'),
].join('');

/** The same as it is after the restore, with received values. */
const told = (property: string, value: string, given: string, source: string) =>
  `new/fs\t${property}\t${value}\t${given}\t${source}\n`;
const RESTORED = [
  told('type', 'filesystem', '-', '-'),
  told('compression', 'off', '-', 'local'),
  told('atime', 'off', 'off', 'received'),
  told('recordsize', '131072', '-', 'default'),
  told('org:note', `it's "two",\\words`, '-', 'local'),
  told('org:dash', '-x', '-', 'local'),
  told('quota', '1000000', '-', 'local'),
  told('mountpoint', '/new/fs', '-', 'default'),
].join('');

const RECEIVE = ['zfs', 'receive', '-s', '-u', '-o', 'canmount=noauto', '-x', 'mountpoint', 'new/fs'];
const SET = [
  ['zfs', 'set', 'org:dash=-x', `org:note=it's "two",\\words`, 'new/fs'],
  ['zfs', 'set', 'compression=off', 'new/fs'],
  ['zfs', 'set', 'quota=1000000', 'new/fs'],
];

const USAGE = ['atime', 'canmount', 'compression', 'mountpoint', 'quota', 'recordsize']
  .map((property) => `\t${property}       YES      YES   <value>\n`)
  .join('');
const FEATURES = ['extensible_dataset', 'large_blocks', 'longname'];

/** `zfs` with one pool, `new`: the dataset is there once something was received. */
const ZFS = `
for name; do :; done
here=$(dirname "$0")
absent() { echo "cannot open '$name': dataset does not exist" >&2; exit 1; }
there() { case $name in new) return 0 ;; new/fs) [ -e "$here/there" ] ;; *) return 1 ;; esac; }
case "$*" in
  version) printf 'zfs-2.3.9-1\\nzfs-kmod-2.3.9-1\\n' ;;
  get) cat "$here/usage" >&2; exit 2 ;;
  'list -Hp -t filesystem,volume -o name,available'*) there || absent; printf '%s\\t999999999\\toff\\t-\\n' "$name" ;;
  'list -Hp -t filesystem,volume'*) there || absent; printf '%s\\tfilesystem\\toff\\t-\\t7\\n' "$name" ;;
  'list -Hp -t snapshot,bookmark'*) there || absent; [ "$name" = new ] || cat "$here/snapshots" ;;
  'receive '*) cat >"$here/received"; touch "$here/there" ;;
  'set '*) [ ! -e "$here/refuses" ] || case "$*" in *"$(cat "$here/refuses")"*) echo 'cannot set: no' >&2; exit 1 ;; esac ;;
  'get -Hp -o value written '*) echo 0 ;;
  'get -Hp -o all all new/fs') cat "$here/properties" ;;
  'get -Hp -o all all new/fs@a') printf 'new/fs@a\\ttype\\tsnapshot\\t-\\t-\\n' ;;
  *) echo "nothing is known of $*" >&2; exit 64 ;;
esac
`;

describe('a restore', () => {
  const standIns = new StandIns();
  let house: AgentHouse;
  let disk = '';
  const at = (name: string) => join(standIns.folder, name);
  const env = () => ({ PATH: standIns.path });
  const restore = async (code: number, ...more: string[]) =>
    await house.document(['restore', 'tank/fs', '--to', 'new/fs', ...more], code, { env: env() });
  const done = (program: string) => standIns.calls.filter((call) => call.startsWith(program));

  before(async () => {
    house = await AgentHouse.open();
    const file = join(house.folder, 'fs.attr');
    writeFileSync(file, STORED);
    const words = ['import', '--dataset', 'tank/fs', '--dataset-attributes', file];
    await house.document(words, 0, { stdin: recordedStream('full') });
    disk = join(house.folder, 'disk.img');
    writeFileSync(disk, '');
    truncateSync(disk, 1024 ** 3);
    const features = FEATURES.map((name) => `${name}\n     described\n`).join('');
    const known = `This system supports ZFS pool feature flags.\n\nThe following features are supported:\n\nFEAT DESCRIPTION\n---------\n${features}`;
    const enabled = FEATURES.map((name) => `new\tfeature@${name}\tenabled\tlocal\n`).join('');
    standIns.answer('zfs', undefined, { script: ZFS });
    standIns.answer('zpool', undefined, {
      script: `case $1 in create) exit 0 ;; esac; echo 'cannot open: no such pool' >&2; exit 1`,
    });
    standIns.answer('zpool', ['upgrade', '-v'], { out: known });
    standIns.answer('zpool', ['get', '-Hp', 'all', 'new'], { out: `new\thealth\tONLINE\t-\n${enabled}` });
    standIns.answer('zpool', ['list', '-vHPL'], { out: '' });
    standIns.answer('zdb', undefined, { exit: 2 });
    standIns.answer('lsblk', undefined, { exit: 1 });
    standIns.answer('blkid', undefined, { exit: 2 });
    writeFileSync(at('usage'), USAGE);
  });
  beforeEach(() => {
    for (const name of ['there', 'received', 'refuses']) rmSync(at(name), { force: true });
    writeFileSync(at('snapshots'), SNAPSHOT);
    writeFileSync(at('properties'), RESTORED);
    standIns.forgetCalls();
  });
  after(async () => {
    standIns.end();
    await house.end();
  });

  it('says in a dry run which commands it would run, and runs none of them', async () => {
    const { commands, skipped } = await restore(0, '--dry-run');
    assert.deepEqual(commands, [RECEIVE, ...SET]);
    assert.deepEqual(
      skipped.map(({ property }) => property),
      ['mountpoint'],
    );
    assert.deepEqual(done('zfs receive').concat(done('zfs set')), []);
  });

  it('runs them, and proves what stands there', async () => {
    const { proof } = await restore(0);
    assert.deepEqual(
      done('zfs set'),
      SET.map((command) => command.join(' ')),
    );
    assert.deepEqual(
      proof.differences.map(({ property, matters }) => [property, matters]),
      [
        ['mountpoint', false],
        ['recordsize', false],
      ],
    );
  });

  it('lets the stream bring what was received, in a package around it', async () => {
    await restore(0);
    const received = readFileSync(at('received'));
    assert.equal(received[16], 2, 'DMU_COMPOUNDSTREAM');
    assert.ok(received.includes(recordedStream('full')));
    assert.ok(received.includes('atime'));
  });

  it('fails when something that was set is not as it was, and says what and why', async () => {
    writeFileSync(
      at('properties'),
      RESTORED.replace('compression\toff\t-\tlocal', 'compression\ton\t-\tdefault'),
    );
    writeFileSync(at('refuses'), 'compression');
    const { error, proof } = await restore(1);
    assert.equal(error.code, 'restore.proof');
    const [difference] = proof.differences.filter(({ matters }) => matters);
    assert.deepEqual(
      [difference?.property, difference?.stored?.value, difference?.found?.value],
      ['compression', 'off', 'on'],
    );
    assert.match(difference?.why ?? '', /cannot set: no/);
  });

  it('sets the others one by one where one is refused', async () => {
    writeFileSync(at('refuses'), 'org:dash');
    await restore(0);
    assert.deepEqual(
      done('zfs set')
        .slice(0, 3)
        .map((call) => call.split(' ').length),
      [6, 4, 5],
    );
  });

  it('sets what a run that was killed before had not set yet, and receives nothing again', async () => {
    writeFileSync(at('there'), '');
    writeFileSync(
      at('properties'),
      RESTORED.replace('compression\toff\t-\tlocal', 'compression\ton\t-\tdefault'),
    );
    assert.deepEqual((await restore(0, '--dry-run')).commands, [['zfs', 'set', 'compression=off', 'new/fs']]);
    await restore(1);
    assert.deepEqual(done('zfs set'), ['zfs set compression=off new/fs']);
    assert.ok(!existsSync(at('received')));
  });

  it('takes over the mountpoint when asked', async () => {
    const { commands } = await restore(0, '--dry-run', '--take-mountpoint');
    assert.deepEqual(commands[0], ['zfs', 'receive', '-s', '-u', 'new/fs']);
    assert.deepEqual(commands[2], ['zfs', 'set', 'compression=off', 'mountpoint=/home', 'new/fs']);
  });

  it('makes the pool first, and gives its own dataset what was inherited from the old one', async () => {
    const words = ['restore', 'tank/fs', '--to', 'other/fs', '--create-pool', disk, '--dry-run'];
    const { commands, pool } = await house.document(words, 0, { env: env() });
    assert.deepEqual(
      [commands[0]?.slice(0, 2), commands[0]?.slice(-2)],
      [
        ['zpool', 'create'],
        ['other', disk],
      ],
    );
    assert.deepEqual(pool?.command, commands[0]);
    assert.deepEqual(commands[1], ['zfs', 'set', 'recordsize=65536', 'other']);
    assert.deepEqual(commands[2]?.slice(0, 2), ['zfs', 'receive']);
  });

  it('refuses before anything is made, and says all that stands in the way', async () => {
    const words = ['restore', 'tank/fs', '--to', 'new/fs', '--create-pool', `mirror ${disk} ${disk}`];
    const { error } = await house.document(words, 4, { env: env() });
    assert.deepEqual(error.facts['codes'], ['preflight.pool-exists', 'preflight.vdev-twice']);
    assert.deepEqual(
      done('zpool create').filter((call) => !call.includes(' -n ')),
      [],
    );
  });

  it('tells what else stands in the way of a target that holds something else, not only that', async () => {
    writeFileSync(at('there'), '');
    writeFileSync(at('snapshots'), 'new/fs@other\t77\t10\t1795159362\t0\n');
    const alone = await house.document(['restore', 'tank/fs', '--to', 'new/fs'], 4, { env: env() });
    assert.equal(alone.error.code, 'chain.target-unrelated');
    const poor = `new\thealth\tONLINE\t-\nnew\tfeature@extensible_dataset\tdisabled\tlocal\n`;
    const rich = `new\thealth\tONLINE\t-\n${FEATURES.map((name) => `new\tfeature@${name}\tenabled\tlocal\n`).join('')}`;
    standIns.answer('zpool', ['get', '-Hp', 'all', 'new'], { out: poor });
    try {
      const both = await house.document(['restore', 'tank/fs', '--to', 'new/fs'], 4, { env: env() });
      assert.deepEqual(both.error.facts['codes'], ['preflight.target-exists', 'preflight.feature-disabled']);
    } finally {
      standIns.answer('zpool', ['get', '-Hp', 'all', 'new'], { out: rich });
    }
    assert.deepEqual(done('zfs receive'), []);
  });

  it('wants to know what to restore: one dataset, or one set', async () => {
    const set = '0199c3a5-6f00-7000-8000-000000000000';
    const wrong = async (code: number, ...words: string[]) =>
      (await house.document(['restore', '--to', 'new/fs', ...words], code, { env: env() })).error.code;
    assert.equal(await wrong(2), 'restore.wanted');
    assert.equal(await wrong(2, 'tank/fs', '--set', set), 'restore.wanted');
    assert.equal(await wrong(2, '--set', set, '--snapshot', 'a'), 'restore.wanted');
    assert.equal(await wrong(3, '--set', set), 'restore.no-set');
    assert.equal(await wrong(2, 'tank/fs', '--create-pool', disk, '--ashift', '7'), 'restore.ashift');
  });
});
