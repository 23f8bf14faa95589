/** The set of a Lustre file system over two hosts: all of it at one moment, or none of it anywhere. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentHouse, HAS_HOSTS, type Ran, type Running } from '../../road/agent-house.ts';
import { LustreHost, MDT0, MDT1, MGT } from '../lustre-host.ts';

const BOTH = ['lustrefs-MDT0000', 'lustrefs-MDT0001'];
const THAW = 'lctl barrier_thaw lustrefs';

describe('a set of two hosts', () => {
  let house: AgentHouse;
  let mds1: LustreHost;
  let mds2: LustreHost;
  before(async () => {
    house = await AgentHouse.open();
  });
  after(async () => await house.end());
  beforeEach(() => {
    mds1 = new LustreHost([MGT, MDT0], BOTH);
    mds2 = new LustreHost([MDT1]);
  });
  afterEach(() => {
    for (const host of [mds1, mds2]) host.end();
  });

  const open = (...words: string[]): Running =>
    house.begin(['backup', '--lustre', 'lustrefs', '--json', '--full', '--wait', '30', ...words], mds1.env);
  const join = (...words: string[]): Running =>
    house.begin(
      ['backup', '--lustre', 'lustrefs', '--json', '--full', '--join', '--wait', '30', ...words],
      mds2.env,
    );
  const documentOf = ({ stdout, stderr }: Ran) => {
    assert.notEqual(stdout.length, 0, stderr);
    return JSON.parse(stdout.toString());
  };
  const codesOf = async (...running: Running[]) => {
    const ran = await Promise.all(running.map(({ ended }) => ended));
    return ran.map((one) => [one.code, documentOf(one).error?.code]);
  };
  /** No snapshot anywhere, no barrier, and nothing that stands in the way of the next set. */
  const nothingIsLeft = async () => {
    assert.deepEqual([mds1.snapshots, mds2.snapshots], [[], []]);
    assert.notEqual(mds1.barrier, 'frozen');
    await house.untilOpen(0);
  };

  it('is stored under one id by both, with snapshots of one name, taken while the barrier stood', async () => {
    const [first, second] = await Promise.all([open().ended, join().ended]);
    assert.deepEqual([first.code, second.code], [0, 0], first.stderr + second.stderr);
    const [one, other] = [documentOf(first), documentOf(second)];
    assert.match(one.set, /^[0-9a-f-]{36}$/);
    assert.equal(other.set, one.set);
    const all = [...one.backups, ...other.backups];
    assert.deepEqual(
      all.map(({ dataset }) => dataset),
      ['mgspool/mgt', 'mdtpool/mdt0', 'mds2pool/mdt1'],
    );
    assert.equal(new Set(all.map(({ snapshot }) => snapshot)).size, 1);
    assert.equal(mds1.barrier, 'thawed');
    assert.deepEqual(mds2.acts[0], 'zfs snapshot mds2pool/mdt1@X');
  });

  it('is known by the names of its hosts, of which each can be had by itself', {
    skip: !HAS_HOSTS,
  }, async () => {
    const words = ['backup', '--lustre', 'lustrefs', '--json', '--full', '--wait', '30'];
    const first = house.begin(words, mds1.env, 'mds1');
    const second = house.begin([...words, '--join'], mds2.env, 'mds2');
    const ran = await Promise.all([first, second].map(({ ended }) => ended));
    const [one, other] = ran.map(documentOf);
    assert.equal(one.set, other.set);
    const hosts: string[] = [];
    for (const { backup } of [...one.backups, ...other.backups]) {
      const { manifest } = documentOf(await house.zkeep(['show', backup, '--json']));
      assert.equal(manifest.set, one.set);
      hosts.push(`${manifest.source.host} ${manifest.source.dataset}`);
    }
    assert.deepEqual(hosts, ['mds1 mgspool/mgt', 'mds1 mdtpool/mdt0', 'mds2 mds2pool/mdt1']);
  });

  it('freezes nothing when nobody joins', async () => {
    assert.deepEqual(await codesOf(open('--wait', '1')), [[10, 'lustre.nobody-joined']]);
    assert.deepEqual(mds1.acts, []);
    await nothingIsLeft();
  });

  it('is waited for no longer than was said where no host opens one', async () => {
    assert.deepEqual(await codesOf(join('--wait', '1')), [[10, 'lustre.no-set']]);
    assert.deepEqual(mds2.acts, []);
  });

  it('is undone everywhere when a snapshot of the other host cannot be taken', async () => {
    mds2.fault('snapshot-fails', 'mds2pool');
    assert.deepEqual(await codesOf(open(), join()), [
      [4, 'lustre.set-failed'],
      [9, 'zfs.full'],
    ]);
    await nothingIsLeft();
  });

  it('is undone everywhere when the barrier expired meanwhile', async () => {
    mds1.fault('expires');
    assert.deepEqual(await codesOf(open(), join()), [
      [4, 'lustre.barrier-expired'],
      [4, 'lustre.set-failed'],
    ]);
    await nothingIsLeft();
  });

  it('is undone everywhere when nothing can be frozen', async () => {
    mds1.fault('freeze-fails', 'Fail to freeze barrier for lustrefs');
    assert.deepEqual(await codesOf(open(), join()), [
      [1, 'lustre.freeze-failed'],
      [4, 'lustre.set-failed'],
    ]);
    await nothingIsLeft();
  });

  it('waits for a host that never answers no longer than the barrier stands, then thaws', async () => {
    mds2.fault('snapshot-waits');
    const [first, second] = [open('--barrier-timeout', '5'), join()];
    await mds2.untilWaiting();
    second.child.kill('SIGKILL');
    assert.deepEqual(await codesOf(first), [[10, 'lustre.too-late']]);
    assert.ok(
      mds1.acts.indexOf(THAW) > 0 && mds1.acts.indexOf(THAW) < mds1.acts.indexOf('zfs destroy mgspool/mgt@X'),
    );
    mds2.mend('snapshot-waits');
    await second.ended;
    assert.deepEqual(mds1.snapshots, []);
    await house.untilOpen(0);
  });

  it('is undone everywhere when the opener is interrupted in the middle', async () => {
    mds1.fault('snapshot-waits');
    const [first, second] = [open(), join()];
    await mds1.untilWaiting();
    first.child.kill('SIGTERM');
    await sleep(300);
    mds1.mend('snapshot-waits');
    assert.deepEqual(await codesOf(first, second), [
      [130, 'agent.interrupted'],
      [4, 'lustre.set-failed'],
    ]);
    await nothingIsLeft();
  });

  it('fails cleanly when the service is restarted in between', async () => {
    mds1.fault('snapshot-waits');
    const [first, second] = [open(), join()];
    await mds1.untilWaiting();
    await house.stop();
    await house.start();
    mds1.mend('snapshot-waits');
    const [one, other] = await codesOf(first, second);
    assert.deepEqual([one?.[0], other], [4, [4, 'lustre.set-failed']]);
    await nothingIsLeft();
  });

  it('is completed by a host whose run was killed before it stored anything of it', async () => {
    mds2.fault('stops-at', '^send -L');
    const [opener, joiner] = [open(), join()];
    await mds2.untilWaiting();
    const first = await opener.ended;
    joiner.child.kill('SIGKILL');
    await joiner.ended;
    mds2.mend('stops-at');
    assert.equal(first.code, 0, first.stderr);
    const [next, other] = await Promise.all([open().ended, join().ended]);
    assert.deepEqual([next.code, other.code], [0, 0], next.stderr + other.stderr);
    const [old, fresh] = documentOf(other).backups;
    assert.deepEqual([old.set, fresh.set], [documentOf(first).set, documentOf(next).set]);
  });

  it('is free for the next run at once when the one that opened it was killed', async () => {
    const dead = open();
    const left = await untilGathering(undefined);
    dead.child.kill('SIGKILL');
    await dead.ended;
    const first = open();
    await untilGathering(left);
    const second = join();
    assert.deepEqual(await codesOf(first, second), [
      [0, undefined],
      [0, undefined],
    ]);
  });

  /** The set that is under way, once there is another than this one. */
  const untilGathering = async (other: string | undefined): Promise<string | undefined> => {
    const token = house.service.tokens.add(`look-${other ?? 'first'}`, 'agent');
    for (let left = 500; left > 0; left--) {
      const headers = { authorization: `Bearer ${token}` };
      const answer = await house.service.app.inject({ url: '/v1/sets', headers });
      const [set] = (JSON.parse(answer.body) as { sets: { set: string }[] }).sets;
      if (set && set.set !== other) return set.set;
      await sleep(20);
    }
    return assert.fail('no set was opened');
  };
});
