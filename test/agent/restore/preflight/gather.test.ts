/** What a preflight judges, gathered on a host that is made of stand-ins. */
import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { preflight } from '../../../../agent/restore/preflight/preflight.ts';
import type { ObjectAttributes } from '../../../../catalog/attributes/attributes.ts';
import { type PoolPlan, planPool } from '../../../../catalog/attributes/pool-plan.ts';
import { ZkeepError } from '../../../../catalog/errors.ts';
import { StandIns } from '../../stand-ins.ts';
import { ABILITIES, begin, guid } from './made-facts.ts';

const standIns = new StandIns();
const folder = mkdtempSync(join(tmpdir(), 'zkeep-vdevs-'));
let gather: typeof import('../../../../agent/restore/preflight/gather.ts');
let abilities: typeof import('../../../../agent/zfs/pools/abilities.ts');
let pools: typeof import('../../../../agent/zfs/pools/pools.ts');
let hostid: typeof import('../../../../agent/restore/preflight/hostid.ts');
let vdevs: typeof import('../../../../agent/zfs/pools/vdevs.ts');

const { signal } = new AbortController();
const ABOVE = ['list', '-Hp', '-t', 'filesystem,volume', '-o', 'name,available,encryption,keystatus'];
const ABSENT = { err: "cannot open 'x': dataset does not exist\n", exit: 1 };
const LABEL = "    version: 5000\n    name: 'old'\n    state: 1\n";

before(async () => {
  // The children's search path is made when the module is loaded.
  process.env['PATH'] = standIns.path;
  gather = await import('../../../../agent/restore/preflight/gather.ts');
  abilities = await import('../../../../agent/zfs/pools/abilities.ts');
  pools = await import('../../../../agent/zfs/pools/pools.ts');
  hostid = await import('../../../../agent/restore/preflight/hostid.ts');
  vdevs = await import('../../../../agent/zfs/pools/vdevs.ts');
  for (const name of ['one.img', 'two.img', 'two words.img']) {
    writeFileSync(join(folder, name), '');
    truncateSync(join(folder, name), 1024 ** 3);
  }
});
beforeEach(() => {
  for (const name of readdirSync(standIns.folder)) rmSync(join(standIns.folder, name));
  standIns.answer('zfs', undefined, ABSENT);
  standIns.answer('zpool', undefined, { err: 'cannot open: no such pool\n', exit: 1 });
  standIns.answer('zpool', ['import'], { err: 'no pools available to import\n', exit: 1 });
  standIns.answer('zpool', ['list', '-vHPL'], { out: '' });
  standIns.answer('blkid', undefined, { exit: 2 });
  standIns.answer('zdb', undefined, { err: 'failed to unpack label 0\n', exit: 2 });
  standIns.answer('lsblk', undefined, { exit: 1 });
});
after(() => {
  standIns.end();
  rmSync(folder, { recursive: true });
});

const file = (name: string) => join(folder, name);
const object = (kind: ObjectAttributes['kind'], values: Record<string, string>): ObjectAttributes => ({
  name: kind === 'snapshot' ? 'tank/a@s1' : 'tank/a',
  kind,
  properties: Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, { value, source: 'none' }]),
  ),
});
const manifest = (...flags: Parameters<typeof begin>) => ({
  to: { guid: guid(1), name: 's1' },
  source: { zfs: 'zfs-2.3.9' },
  stream: {
    bytes: 5000,
    begin: {
      ...begin(...flags),
      order: 'little' as const,
      type: 2,
      flags: 0,
      toGuid: guid(1),
      fromGuid: null,
      toName: 'tank/a@s1',
      created: 1,
      payload: 0,
    },
  },
});
const plan = (words = `mirror ${file('one.img')} ${file('two.img')}`): PoolPlan => ({
  ...planPool({ stored: null, name: 'new', vdevs: words, abilities: ABILITIES }),
  differences: [],
});
/** The words of `zpool create -n`, as a stand-in is asked. */
const trialOf = ({ command }: PoolPlan) => ['create', '-n', ...command.slice(2)];

describe('the place', () => {
  it('is looked at, also where neither it nor its pool is there', async () => {
    const place = await gather.lookAtPlace('new/a/b', signal);
    assert.deepEqual(place, {
      ...{ target: 'new/a/b', exists: false, snapshots: [], partial: undefined },
      ...{ written: null, above: null },
    });
  });

  it('is below the nearest dataset that is there', async () => {
    standIns.answer('zfs', [...ABOVE, 'new'], { out: 'new\t4096\toff\t-\n' });
    const { above } = await gather.lookAtPlace('new/a/b', signal);
    assert.deepEqual(above, {
      name: 'new',
      parent: false,
      available: 4096,
      encrypted: false,
      keystatus: null,
    });
  });

  it('tells its snapshots, and what was written since', async () => {
    const list = (types: string, columns: string, ...depth: string[]) => [
      'list',
      '-Hp',
      '-t',
      types,
      '-o',
      columns,
      ...depth,
      'new/a',
    ];
    standIns.answer('zfs', list('filesystem,volume', 'name,type,encryption,receive_resume_token,guid'), {
      out: 'new/a\tfilesystem\toff\t-\t7\n',
    });
    standIns.answer('zfs', list('snapshot,bookmark', 'name,guid,createtxg,creation,userrefs', '-d', '1'), {
      out: 'new/a@s1\t1\t10\t100\t0\nnew/a@s2\t2\t20\t200\t0\n',
    });
    standIns.answer('zfs', ['get', '-Hp', '-o', 'value', 'written', 'new/a'], { out: '512\n' });
    standIns.answer('zfs', [...ABOVE, 'new'], { out: 'new\t4096\toff\t-\n' });
    const place = await gather.lookAtPlace('new/a', signal);
    assert.deepEqual(
      place.snapshots.map(({ name }) => name),
      ['s2', 's1'],
    );
    assert.equal(place.written, 512);
    assert.equal(place.above?.parent, true);
  });

  it('must have a name that a dataset can have', async () => {
    await assert.rejects(
      gather.lookAtPlace('new/a@b', signal),
      (thrown: unknown) => thrown instanceof ZkeepError && thrown.kind === 'usage',
    );
  });
});

describe('the facts of a preflight', () => {
  const question = async (changes: object = {}) => {
    const place = await gather.lookAtPlace('new/a', signal);
    const one = {
      place,
      manifests: [manifest()],
      base: null,
      rollback: false,
      dataset: null,
      snapshot: null,
    };
    return { datasets: [{ ...one, ...changes }], plan: plan(), abilities: ABILITIES, force: false };
  };

  it('are gathered for a new pool, and nothing is in its way', async () => {
    standIns.answer('zpool', trialOf(plan()), { out: 'would create new\n' });
    const facts = await gather.gatherPreflight(await question(), signal);
    assert.equal(facts.pool.creating?.trial, null);
    assert.deepEqual(
      facts.pool.creating?.vdevs.map(({ kind, size }) => [kind, size]),
      [
        ['file', 1024 ** 3],
        ['file', 1024 ** 3],
      ],
    );
    assert.deepEqual(preflight({ ...facts, hostid: '08cbc6ba' }), []);
  });

  it('change nothing', async () => {
    await gather.gatherPreflight(await question(), signal);
    const changing =
      /^(zfs (create|set|receive|destroy|rollback|load-key)|zpool (create (?!-n )|labelclear|destroy|export|import .)|blkid (?!-p)|wipefs)/;
    assert.ok(standIns.calls.length > 5);
    assert.deepEqual(
      standIns.calls.filter((call) => changing.test(call)),
      [],
    );
  });

  it('tell what zpool itself says against the vdevs', async () => {
    const said =
      'invalid vdev specification\nuse -f to override the following errors:\nmirror contains devices of different sizes\n';
    standIns.answer('zpool', trialOf(plan()), { err: said, exit: 1 });
    const facts = await gather.gatherPreflight(await question(), signal);
    assert.deepEqual(
      preflight(facts).map(({ code }) => code),
      ['preflight.pool-refused'],
    );
    standIns.answer('zpool', trialOf(plan()), { err: 'cannot open /dev/sdd1: Permission denied\n', exit: 1 });
    assert.equal(
      (await gather.gatherPreflight(await question(), signal)).pool.creating?.trial,
      null,
      'no right to look',
    );
  });

  it('tell the names that are taken', async () => {
    standIns.answer('zpool', ['get', '-Hp', 'all', 'new'], {
      out: 'new\thealth\tONLINE\t-\nnew\tfeature@lz4_compress\tactive\tlocal\n',
    });
    standIns.answer('zpool', ['import'], { out: '   pool: new\n     id: 42\n  state: ONLINE\n' });
    const { pool } = await gather.gatherPreflight(await question(), signal);
    assert.deepEqual(pool.properties, { health: 'ONLINE', 'feature@lz4_compress': 'active' });
    assert.deepEqual(pool.importable, [{ name: 'new', id: '42' }]);
  });

  it('ask for pools to import only where it matters', async () => {
    standIns.answer('zpool', ['get', '-Hp', 'all', 'new'], { out: 'new\thealth\tONLINE\t-\n' });
    await gather.gatherPreflight({ ...(await question()), plan: null }, signal);
    assert.ok(!standIns.calls.includes('zpool import'));
  });

  it('tell the key and the size from what was stored', async () => {
    const properties = {
      encryption: 'aes-256-gcm',
      keyformat: 'raw',
      keylocation: `file://${file('one.img')}`,
      encryptionroot: 'tank/a',
    };
    const stored = {
      dataset: object('filesystem', properties),
      snapshot: object('snapshot', { referenced: '777' }),
    };
    const read = async (changes: object) =>
      (await gather.gatherPreflight(await question(changes), signal)).datasets[0];
    const told = await read(stored);
    assert.equal(told?.referenced, 777);
    assert.deepEqual(told?.key, {
      format: 'raw',
      location: properties.keylocation,
      root: null,
      present: true,
    });
    const child = { ...properties, keylocation: 'none', encryptionroot: 'tank' };
    const key = { format: 'raw', location: null, root: 'tank', present: null };
    assert.deepEqual((await read({ dataset: object('filesystem', child) }))?.key, key);
    const gone = { ...properties, keylocation: 'file:///no/such key' };
    assert.equal((await read({ dataset: object('filesystem', gone) }))?.key?.present, false);
    assert.equal((await read({ dataset: object('filesystem', { encryption: 'off' }) }))?.key, null);
  });

  it('are of one pool only', async () => {
    const asked = await question();
    const elsewhere = { ...asked, plan: { ...plan(), name: 'other' } };
    await assert.rejects(
      gather.gatherPreflight(elsewhere, signal),
      (thrown: unknown) => thrown instanceof ZkeepError && thrown.code === 'preflight.pools',
    );
  });

  it('are not there where zfs itself fails', async () => {
    standIns.answer('zpool', ['get', '-Hp', 'all', 'new'], {
      err: 'Unable to open /dev/zfs: No such file\n',
      exit: 1,
    });
    await assert.rejects(
      gather.gatherPreflight(await question(), signal),
      (thrown: unknown) => thrown instanceof ZkeepError && thrown.code === 'zfs.not-loaded',
    );
  });
});

describe('a device of a new pool', () => {
  const look = async (words: string) =>
    (await vdevs.lookAtVdevs(plan(words).layout.groups, signal))[0] ?? assert.fail();

  it('is missing, a folder, or a file of some size', async () => {
    assert.equal((await look('/no/such/disk')).kind, 'missing');
    assert.equal((await look('no-such-disk')).kind, 'missing');
    assert.equal((await look(folder)).kind, 'other');
    const found = await look(`'${file('two words.img')}'`);
    assert.deepEqual([found.kind, found.size, found.contents, found.label], ['file', 1024 ** 3, [], null]);
  });

  it('holds what blkid says, and the label that zdb finds', async () => {
    standIns.answer('blkid', ['-p', '-o', 'value', '-s', 'TYPE', file('one.img')], { out: 'ext4\n' });
    standIns.answer('zdb', ['-l', file('two.img')], { out: LABEL });
    assert.deepEqual((await look(file('one.img'))).contents, ['ext4']);
    assert.deepEqual((await look(file('two.img'))).label, { pool: 'old', state: 'exported' });
  });

  it('belongs to the imported pool that lists it, by whatever path it is named', async () => {
    standIns.answer('zpool', ['list', '-vHPL'], { out: `tank\t1G\n\t${file('one.img')}\t1G\n` });
    standIns.answer('zdb', ['-l', file('one.img')], { out: LABEL });
    mkdirSync(file('links'), { recursive: true });
    symlinkSync(file('one.img'), file('links/disk'));
    const found = await look(file('links/disk'));
    assert.deepEqual([found.pool, found.label, found.path], ['tank', null, file('one.img')]);
  });
});

describe('the abilities of ZFS', () => {
  const answer = () => {
    standIns.answer('zfs', ['version'], { out: 'zfs-2.3.9-1\nzfs-kmod-2.3.9-1\n' });
    standIns.answer('zfs', ['get'], { err: '\tcompression            YES      YES   on\n', exit: 2 });
    standIns.answer('zpool', ['get'], { err: '\tmultihost             YES   on | off\n', exit: 2 });
    standIns.answer('zpool', ['upgrade', '-v'], {
      out: 'FEAT DESCRIPTION\n-----\nlz4_compress\n     LZ4.\n\n',
    });
  };

  it('are asked of its commands, and of the files for compatibility', async () => {
    answer();
    mkdirSync(file('compatibility.d'));
    writeFileSync(file('compatibility.d/openzfs-2.1-linux'), '');
    const read = await abilities.readAbilities({
      signal,
      folders: ['/no/such/folder', file('compatibility.d')],
    });
    assert.deepEqual(read, {
      version: '2.3.9-1',
      module: '2.3.9-1',
      features: new Set(['lz4_compress']),
      properties: new Set(['compression']),
      poolProperties: new Set(['multihost']),
      compatibilities: new Set(['openzfs-2.1-linux']),
    });
  });

  it('are an error where the module is not there, or its words are strange', async () => {
    answer();
    const failed = (code: string) => (thrown: unknown) =>
      thrown instanceof ZkeepError && thrown.code === code;
    standIns.answer('zpool', ['upgrade', '-v'], { err: 'The ZFS modules are not loaded.\n', exit: 1 });
    await assert.rejects(abilities.readAbilities({ signal }), failed('zfs.not-loaded'));
    standIns.answer('zpool', ['upgrade', '-v'], { out: 'all is well\n' });
    await assert.rejects(abilities.readAbilities({ signal }), failed('zfs.strange-output'));
  });
});

describe('pools that could be imported', () => {
  it('are none where zpool cannot look', async () => {
    standIns.answer('zpool', ['import'], { err: 'permission denied\n', exit: 1 });
    assert.deepEqual(await pools.importablePools(signal), []);
  });
});

describe('the hostid', () => {
  const root = mkdtempSync(join(tmpdir(), 'zkeep-hostid-'));
  const parameter = join(root, 'sys/module/spl/parameters');
  after(() => rmSync(root, { recursive: true }));

  it("is the module's where it has one, else the file's, else none", async () => {
    assert.equal(await hostid.readHostid('linux', root), null);
    mkdirSync(join(root, 'etc'));
    writeFileSync(join(root, 'etc/hostid'), Buffer.from('bac6cb08', 'hex'));
    assert.equal(await hostid.readHostid('linux', root), '08cbc6ba');
    mkdirSync(parameter, { recursive: true });
    writeFileSync(join(parameter, 'spl_hostid'), '0\n');
    assert.equal(await hostid.readHostid('linux', root), '08cbc6ba');
    writeFileSync(join(parameter, 'spl_hostid'), '16\n');
    assert.equal(await hostid.readHostid('linux', root), '00000010');
  });

  it('of zeroes is none, and on other systems nobody asks', async () => {
    writeFileSync(join(parameter, 'spl_hostid'), '0\n');
    writeFileSync(join(root, 'etc/hostid'), Buffer.alloc(4));
    assert.equal(await hostid.readHostid('linux', root), null);
    assert.equal(await hostid.readHostid('freebsd', root), undefined);
  });
});
