/** What is asked for leftovers, of a `zfs` that is a script and a service that is an object. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { ServiceClient } from '../../../agent/service/client.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { BackupSummary } from '../../../catalog/protocol/protocol.ts';
import { type Guid, guidOf } from '../../../catalog/words.ts';
import { until } from '../made-host.ts';
import { StandIns } from '../stand-ins.ts';

const standIns = new StandIns();
let gather: typeof import('../../../agent/leftovers/gather.ts');
const { signal } = new AbortController();
const TOKEN = readFileSync(
  new URL('../../fixtures/outputs/resume-token.out', import.meta.url),
  'utf8',
).trim();
const OWN = 'zkeep-20261120T120000Z';
const DATASETS = 'list -Hp -t filesystem,volume -o name,type,encryption,receive_resume_token,guid';
const POINTS = 'list -Hp -t snapshot,bookmark -o name,guid,createtxg,creation,userrefs';
const DRILLS = 'get -Hp -t filesystem -s local -o name,value zkeep:drill';
const DRILL = 'scratch/zkeep-drill-20261120T215000Z-0123abcd';

before(async () => {
  process.env['PATH'] = standIns.path;
  gather = await import('../../../agent/leftovers/gather.ts');
});
beforeEach(() => {
  standIns.forgetCalls();
  standIns.answer('zfs', DATASETS.split(' '), {
    out: `tank\tfilesystem\toff\t-\t7\ntank/a b\tfilesystem\toff\t${TOKEN}\t8\ntank/c\tvolume\toff\t1-nonsense\t9\n`,
  });
  standIns.answer('zfs', POINTS.split(' '), {
    out: `tank/a b@${OWN}\t5\t5\t50\t1\ntank/a b@daily\t4\t4\t40\t0\ntank/c#daily\t3\t3\t30\t-\n`,
  });
  standIns.answer('zfs', DRILLS.split(' '), {});
  standIns.answer('zpool', ['list', '-Hp', '-o', 'name,guid'], { out: 'tank\t1000\n' });
  standIns.answer('zfs', ['holds', '-H', `tank/a b@${OWN}`], {
    out: `tank/a b@${OWN}\tzkeep\tFri Nov 20 12:00 2026\ntank/a b@${OWN}\tof\tothers\tFri Nov 20 12:00 2026\n`,
  });
  standIns.answer('zfs', ['list', '-Hp', '-t', 'snapshot', '-o', 'name,used', `tank/a b@${OWN}`], {
    out: `tank/a b@${OWN}\t4096\n`,
  });
});
after(() => standIns.end());

const none = () => assert.fail('nothing is left out');

describe('what ZFS is asked', () => {
  it('is told of the whole host, and of those that may be leftovers', async () => {
    const { sources, pools, holds, used, partials } = await gather.askHere(signal, none);
    assert.deepEqual(
      sources.map(({ dataset, points }) => [dataset, points.length]),
      [
        ['tank', 0],
        ['tank/a b', 2],
        ['tank/c', 1],
      ],
    );
    assert.deepEqual([...holds], [[`tank/a b@${OWN}`, ['zkeep', 'of\tothers']]]);
    assert.deepEqual([...pools], [['tank', '00000000000003e8']]);
    assert.deepEqual([...used], [[`tank/a b@${OWN}`, 4096]]);
    assert.equal(standIns.calls.length, 6);
    assert.deepEqual(partials[1], { dataset: 'tank/c', token: null });
    assert.deepEqual(partials[0]?.token, {
      from: null,
      to: 'fc0b9f160ffb8cbf',
      name: 'tank/res@s',
      bytes: 0x615d0,
    });
  });

  it('finds the places of drills, whose datasets are theirs alone', async () => {
    const mark = '2026-11-20T21:50:00.000Z process 4711 of boot b0';
    standIns.answer('zfs', DRILLS.split(' '), { out: `${DRILL}\t${mark}\nscratch/other\tx\n` });
    standIns.answer('zfs', ['list', '-Hp', '-o', 'name,used', DRILL], { out: `${DRILL}\t4096\n` });
    standIns.answer('zfs', DATASETS.split(' '), {
      out: `${DRILL}\tfilesystem\toff\t-\t7\n${DRILL}/data\tfilesystem\toff\t${TOKEN}\t8\n`,
    });
    standIns.answer('zfs', POINTS.split(' '), { out: `${DRILL}/data@${OWN}\t5\t5\t50\t1\n` });
    const { drills, sources, partials } = await gather.askHere(signal, none);
    assert.deepEqual(
      drills.map(({ container, running, bytes, says }) => [container, running, bytes, says?.process]),
      [[DRILL, false, 4096, 4711]],
    );
    assert.deepEqual([sources, partials], [[], []]);
  });

  it('is no failure when the snapshots are gone meanwhile, but when ZFS fails', async () => {
    const gone = { err: `cannot open 'tank/a b@${OWN}': dataset does not exist\n`, exit: 1 };
    standIns.answer('zfs', ['holds', '-H', `tank/a b@${OWN}`], gone);
    assert.equal((await gather.askHere(signal, none)).holds.size, 0);
    standIns.answer('zfs', ['holds', '-H', `tank/a b@${OWN}`], { err: 'permission denied\n', exit: 1 });
    await assert.rejects(gather.askHere(signal, none), { code: 'zfs.denied' });
    // What was asked beside it may begin only now: it is not to be counted as another test's.
    await until('all questions of both runs', () => standIns.calls.length === 12);
  });

  it('is bounded: of very many snapshots the first ones, a few questions', async () => {
    const many = Array.from({ length: 5_200 }, (_, at) => `tank@${at}\t${at + 1}\t${at + 1}\t1\t1\n`).join(
      '',
    );
    standIns.answer('zfs', POINTS.split(' '), { out: many });
    standIns.answer('zfs', undefined, { out: '' });
    let left = 0;
    await gather.askHere(signal, (count) => {
      left = count;
    });
    assert.equal(left, 200);
    assert.equal(standIns.calls.length, 24);
  });
});

describe('what the service is asked', () => {
  const asked: string[] = [];
  const client: Pick<ServiceClient, 'openBackups' | 'known' | 'backups'> = {
    async openBackups() {
      return [];
    },
    async known(guids: readonly Guid[]) {
      asked.push(`known ${guids.length}`);
      return [];
    },
    async *backups({ to }: { to?: Guid }): AsyncGenerator<BackupSummary> {
      asked.push(`backups ${to}`);
      yield* [];
    },
  };

  it('is about the datasets that have something, and the snapshots that were being received', async () => {
    const here = await gather.askHere(signal, none);
    await gather.askService(client, here, signal);
    assert.deepEqual(asked, ['known 2', 'backups fc0b9f160ffb8cbf']);
  });

  it('is what of this host is open, and which of its writers live', async () => {
    const row = (host: string, writer: string, process: number) => ({
      ...{ backup: 'x', opened: '', heard: '', to: guidOf(1n), from: null, set: null, segments: 0, bytes: 0 },
      source: { host, dataset: 'tank/a', pool_guid: null, zfs: null },
      writer: { host: writer, process },
    });
    const { hostname } = await import('node:os');
    const rows = [row(hostname(), 'far', 1), row('far', hostname(), process.pid), row('far', 'far', 2)];
    const open = { ...client, openBackups: async () => rows as never };
    const kept = await gather.askService(open, null, signal);
    assert.equal(kept.open.length, 2);
    assert.deepEqual([...kept.living], [process.pid]);
  });

  it('and its failure is thrown', async () => {
    const failing = {
      ...client,
      openBackups: async () => {
        throw new ZkeepError('unavailable', 'service.unreachable', 'away');
      },
    };
    await assert.rejects(gather.askService(failing, null, signal), { code: 'service.unreachable' });
  });
});
