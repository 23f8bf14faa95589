/** The set of a Lustre file system whose MGT and MDTs are on one host: under one barrier, or not at all. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { AgentHouse, type Ran } from '../../road/agent-house.ts';
import { LustreHost, MDT0, MDT1, MGT, OST0 } from '../lustre-host.ts';

const BOTH = ['lustrefs-MDT0000', 'lustrefs-MDT0001'];
/** What a run that takes all and stores nothing does, and undoes. */
const FREEZE = 'lctl barrier_freeze lustrefs 30';
const THAW = 'lctl barrier_thaw lustrefs';
const STAT = 'lctl barrier_stat -s lustrefs';
const TAKE = ['zfs snapshot mgspool/mgt@X', 'zfs snapshot mdtpool/mdt0@X', 'zfs snapshot mds2pool/mdt1@X'];
const UNDO = ['zfs destroy mgspool/mgt@X', 'zfs destroy mdtpool/mdt0@X', 'zfs destroy mds2pool/mdt1@X'];

describe('zkeep backup --lustre', () => {
  let house: AgentHouse;
  let host: LustreHost;
  const hosts: LustreHost[] = [];
  before(async () => {
    house = await AgentHouse.open();
  });
  after(async () => await house.end());
  afterEach(() => {
    for (const one of hosts.splice(0)) one.end();
  });

  const fresh = () => {
    host = new LustreHost([MGT, MDT0, MDT1, OST0], BOTH);
    hosts.push(host);
  };
  const backUp = async (...words: string[]): Promise<Ran> =>
    await house.zkeep(['backup', '--lustre', 'lustrefs', '--json', ...words], { env: host.env });
  const documentOf = (ran: Ran) => {
    assert.notEqual(ran.stdout.length, 0, ran.stderr);
    return JSON.parse(ran.stdout.toString());
  };
  const nothingIsLeft = async () => {
    assert.deepEqual(host.snapshots, []);
    await house.untilOpen(0);
  };

  it('does not freeze, and takes nothing, for a dry run', async () => {
    fresh();
    const { commands, plan } = documentOf(await backUp('--dry-run', '--barrier-timeout', '12'));
    assert.deepEqual(
      commands.map((words: string[]) => words.join(' ').replace(/@zkeep-\w+/, '@X')),
      ['lctl barrier_freeze lustrefs 12', ...TAKE, STAT, THAW],
    );
    assert.deepEqual(
      plan.map(({ dataset }: { dataset: string }) => dataset),
      ['mgspool/mgt', 'mdtpool/mdt0', 'mds2pool/mdt1'],
    );
    assert.deepEqual(host.acts, []);
  });

  it('is refused, and undone, when an MDT is offline and nothing can be frozen', async () => {
    fresh();
    host.fault(
      'freeze-fails',
      'Fail to freeze barrier for lustrefs: Cannot send after transport endpoint shutdown',
    );
    const ran = await backUp();
    assert.equal(ran.code, 1);
    assert.equal(documentOf(ran).error.code, 'lustre.freeze-failed');
    assert.deepEqual(host.acts, [STAT, FREEZE, THAW]);
    await nothingIsLeft();
  });

  it('leaves a barrier alone that somebody else set', async () => {
    fresh();
    host.barrier = 'frozen';
    const ran = await backUp();
    assert.deepEqual([ran.code, documentOf(ran).error.code], [6, 'lustre.barrier-stands']);
    assert.deepEqual(host.acts, [STAT]);
    host.barrier = 'init';
    host.fault('freeze-fails', 'Fail to freeze barrier for lustrefs: Operation already in progress');
    assert.equal((await backUp()).code, 6);
    assert.ok(!host.acts.includes(THAW));
  });

  it('undoes all when the barrier expired meanwhile', async () => {
    fresh();
    host.fault('expires');
    const ran = await backUp();
    assert.deepEqual([ran.code, documentOf(ran).error.code], [4, 'lustre.barrier-expired']);
    assert.deepEqual(host.acts, [STAT, FREEZE, ...TAKE, STAT, THAW, ...UNDO]);
    await nothingIsLeft();
  });

  it('thaws first, then undoes, when a snapshot cannot be taken', async () => {
    fresh();
    host.fault('snapshot-fails', 'mdtpool');
    const ran = await backUp();
    assert.deepEqual([ran.code, documentOf(ran).error.code], [9, 'zfs.full']);
    assert.deepEqual(host.acts, [STAT, FREEZE, ...TAKE.slice(0, 2), THAW, ...UNDO.slice(0, 1)]);
    await nothingIsLeft();
  });

  it('thaws and undoes when it is interrupted in the middle', async () => {
    fresh();
    host.fault('snapshot-waits');
    const { child, ended } = house.begin(['backup', '--lustre', 'lustrefs', '--json'], host.env);
    await host.untilWaiting();
    child.kill('SIGTERM');
    host.mend('snapshot-waits');
    const ran = await ended;
    assert.deepEqual([ran.code, documentOf(ran).error.code], [130, 'agent.interrupted']);
    assert.equal(host.barrier, 'thawed');
    await nothingIsLeft();
  });

  it('says in the next run that one was killed, and what it left', async () => {
    fresh();
    host.fault('snapshot-waits');
    const { child, ended } = house.begin(['backup', '--lustre', 'lustrefs'], host.env);
    await host.untilWaiting();
    child.kill('SIGKILL');
    await ended;
    host.mend('snapshot-waits');
    await host.untilSnapshot('mgspool/mgt');
    assert.equal(host.barrier, 'frozen');
    const [left] = host.snapshots;
    // Nobody thaws it, and nobody goes on before it has ended by itself.
    assert.equal((await backUp()).code, 6);
    host.barrier = 'expired';
    const ran = await backUp('--full');
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stderr, /the last barrier ended by its own time-out: a run was killed/);
    assert.ok(ran.stderr.includes(`${left} is not stored: a run that was killed left it`), ran.stderr);
  });

  it('whose run was killed while it stored an MDT is whole before the next one is taken', async () => {
    fresh();
    host.makeLarge(MDT0, 160);
    host.fault('waits-at', String(17 * 1024 * 1024));
    const { child, ended } = house.begin(['backup', '--lustre', 'lustrefs'], host.env);
    await host.untilWaiting();
    await house.untilStored(16 * 1024 * 1024);
    child.kill('SIGKILL');
    await ended;
    host.mend('waits-at');
    const plan = documentOf(await backUp('--dry-run'));
    assert.equal(plan.interrupted[0].decision, 'resume');
    const ran = await backUp();
    assert.equal(ran.code, 0, ran.stderr);
    const { backups, set } = documentOf(ran);
    assert.deepEqual(
      backups.map((one: { dataset: string; kind: string; resumed: unknown }) => [
        one.dataset,
        one.kind,
        one.resumed !== null,
      ]),
      [
        [MDT0.dataset, 'full', true],
        [MDT1.dataset, 'full', false],
        [MGT.dataset, 'incremental', false],
        [MDT0.dataset, 'incremental', false],
        [MDT1.dataset, 'incremental', false],
      ],
    );
    const [resumed, rest, ...news] = backups.map((one: { set: string }) => one.set);
    assert.equal(resumed, rest);
    assert.notEqual(resumed, set);
    assert.deepEqual(news, [set, set, set]);
    assert.doesNotMatch(ran.stderr, /is not stored/);
    const stored = await house.document(['list', MGT.dataset], 0);
    assert.ok(stored.snapshots.some((one) => one.set === resumed));
  });

  it('whose run was killed between two targets is whole before the next one is taken', async () => {
    fresh();
    host.fault('stops-at', `^send -L .*${MDT0.dataset}@`);
    const { child, ended } = house.begin(['backup', '--lustre', 'lustrefs', '--quiet'], host.env);
    await host.untilWaiting();
    child.kill('SIGKILL');
    await ended;
    host.mend('stops-at');
    await house.untilOpen(0);
    const { owed } = documentOf(await backUp('--dry-run'));
    assert.deepEqual(
      owed.map(({ dataset }: { dataset: string }) => dataset),
      [MDT0.dataset, MDT1.dataset],
    );
    const ran = await backUp();
    assert.equal(ran.code, 0, ran.stderr);
    const { backups, set } = documentOf(ran);
    assert.deepEqual(
      backups.map((one: { dataset: string; set: string }) => [one.dataset, one.set === set]),
      [
        [MDT0.dataset, false],
        [MDT1.dataset, false],
        [MGT.dataset, true],
        [MDT0.dataset, true],
        [MDT1.dataset, true],
      ],
    );
    const { snapshots } = await house.document(['list', MGT.dataset], 0);
    assert.ok(snapshots.some((one) => one.set === backups[0].set && one.set === backups[1].set));
    assert.doesNotMatch(ran.stderr, /is not stored/);
  });

  it('says when it cannot thaw, and how long the barrier stays; the set is whole all the same', async () => {
    fresh();
    host.fault('thaw-fails');
    const ran = await backUp('--barrier-timeout', '9', '--full');
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stderr, /could not be thawed .*ends by itself within 9 s/);
  });

  it('stores what was taken under one barrier as one set, over several pools; OSTs are not in it', async () => {
    fresh();
    const ran = await backUp('--full');
    const { backups, set } = documentOf(ran);
    assert.equal(ran.code, 0, ran.stderr);
    assert.deepEqual(host.acts.slice(0, 7), [STAT, FREEZE, ...TAKE, STAT, THAW]);
    assert.match(set, /^[0-9a-f-]{36}$/);
    assert.deepEqual(
      backups.map((one: { dataset: string; set: string }) => [one.dataset, one.set === set]),
      [MGT, MDT0, MDT1].map(({ dataset }) => [dataset, true]),
    );
    assert.match(ran.stderr, /held back, for at most 30 s/);
    const { manifest } = await house.document(['show', backups[1].backup], 0);
    assert.equal(manifest.set, set);
    assert.notEqual(manifest.attributes, null);
  });

  it('sets no barrier for a file system that is stopped, where there is no MGS to ask', async () => {
    host = new LustreHost([MDT0]);
    hosts.push(host);
    const ran = await backUp('--no-barrier', '--full');
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(documentOf(ran).set, /^[0-9a-f-]{36}$/);
    assert.deepEqual(host.acts[0], 'zfs snapshot mdtpool/mdt0@X');
  });

  const wrong: [string[], string][] = [
    [['tank/a'], 'lustre.usage'],
    [['-r'], 'lustre.usage'],
    [['--snapshot', 'a'], 'lustre.usage'],
    [['--join', '--no-barrier'], 'lustre.usage'],
    [['--barrier-timeout', '0'], 'lustre.usage'],
    [['--barrier-timeout', '700'], 'lustre.barrier'],
    [['--wait', 'long'], 'lustre.usage'],
  ];
  for (const [words, code] of wrong) {
    it(`is a usage error with ${words.join(' ')}, before anything is done`, async () => {
      fresh();
      const ran = await backUp(...words);
      assert.deepEqual([ran.code, documentOf(ran).error.code], [2, code]);
      assert.deepEqual(host.acts, []);
    });
  }
});

describe('zkeep backup without --lustre', () => {
  it('refuses the options that belong to it', async () => {
    const house = await AgentHouse.open();
    try {
      for (const words of [['--no-barrier'], ['--join'], ['--wait', '5'], ['--barrier-timeout', '5']]) {
        const { error } = await house.document(['backup', 'tank/a', ...words], 2);
        assert.equal(error.code, 'lustre.usage', words.join(' '));
      }
    } finally {
      await house.end();
    }
  });
});

describe('zkeep lustre targets', () => {
  it('needs no service, and tells what ldev.conf has otherwise', async () => {
    const house = await AgentHouse.open();
    const host = new LustreHost([MGT, { ...MDT0, service: 'lustrefs:MDT0000', flags: 97 }]);
    try {
      host.ldev('mds9 - lustrefs-MDT0000 zfs:mdtpool/mdt0\n');
      const ran = await house.zkeep(['lustre', 'targets', '--json'], { env: host.env });
      assert.equal(ran.code, 0, ran.stderr);
      const { targets } = JSON.parse(ran.stdout.toString());
      assert.deepEqual(
        targets.map((one: { service: string; state: string }) => [one.service, one.state]),
        [
          ['lustrefs:MDT0000', 'virgin'],
          ['MGS', 'registered'],
        ],
      );
      const told = await house.zkeep(['lustre', 'targets'], { env: host.env });
      assert.match(told.stdout.toString(), /! mdtpool\/mdt0: ldev.conf has it on mds9/);
    } finally {
      host.end();
      await house.end();
    }
  });
});
