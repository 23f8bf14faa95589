import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BARRIER_STATES, parseBarrierState, parseLive } from '../../../../agent/lustre/sets/lctl.ts';
import { commandsAround, leftBehind, planJoining, planSet } from '../../../../agent/lustre/sets/plan.ts';
import { ZkeepError } from '../../../../catalog/errors.ts';
import { parseLdev } from '../../../../catalog/lustre/ldev.ts';
import type { HostTargets, LustreTarget } from '../../../../catalog/lustre/targets.ts';
import { guidOf } from '../../../../catalog/words.ts';

function target(name: string, more: Partial<LustreTarget> = {}): LustreTarget {
  const index = /MDT000(\d)/.exec(name)?.[1];
  return {
    dataset: `pool/${name}`,
    kind: name === 'MGS' ? 'mgt' : name.includes('OST') ? 'ost' : 'mdt',
    mgs: name === 'MGS',
    fsname: name === 'MGS' ? null : (name.split('-')[0] ?? null),
    index: index === undefined ? null : Number(index),
    service: name,
    name,
    state: 'registered',
    flags: 0,
    mount: null,
    multihost: 'on',
    problems: [],
    ...more,
  };
}

function host(targets: LustreTarget[], ldev = ''): HostTargets {
  return { host: 'mds1', targets, problems: [], ldev: parseLdev(ldev) };
}

const REQUEST = { fsname: 'fs', barrier: 30 };
const code = (wanted: string) => (thrown: unknown) => thrown instanceof ZkeepError && thrown.code === wanted;

describe('the plan of a Lustre set', () => {
  it('has the MGT, then the MDTs by their index, of this file system alone, and no OST', () => {
    const here = host([
      target('fs-MDT0001'),
      target('fs-MDT0000'),
      target('fs-OST0000'),
      target('other-MDT0000'),
      target('MGS'),
    ]);
    const plan = planSet(here, ['fs-MDT0000', 'fs-MDT0001'], REQUEST);
    assert.deepEqual(plan.here, ['MGS', 'fs-MDT0000', 'fs-MDT0001']);
    assert.deepEqual([plan.elsewhere, plan.notes], [[], []]);
  });

  it('waits for what the MGS or ldev.conf knows and this host has not', () => {
    const here = host(
      [target('MGS')],
      'mds2 - fs-MDT0002 zfs:p/a\nmds2 - xy-MDT0000 zfs:p/b\nmds2 - fs-OST0000 zfs:p/c',
    );
    const plan = planSet(here, ['fs-MDT0001'], REQUEST);
    assert.deepEqual(plan.elsewhere, ['fs-MDT0001', 'fs-MDT0002']);
  });

  it('says when nothing tells which MDTs there are', () => {
    const { notes } = planSet(host([target('MGS'), target('fs-MDT0000')]), [], REQUEST);
    assert.match(notes.join(), /those of this host count as all/);
  });

  it('freezes, and after the snapshots looks before it thaws', () => {
    const plan = planSet(host([target('MGS'), target('fs-MDT0000')]), [], { fsname: 'fs', barrier: 7 });
    assert.deepEqual(commandsAround(plan), {
      before: [['lctl', 'barrier_freeze', 'fs', '7']],
      after: [
        ['lctl', 'barrier_stat', '-s', 'fs'],
        ['lctl', 'barrier_thaw', 'fs'],
      ],
    });
  });

  it('needs the MGS on this host for a barrier, alone or with an MDT in one dataset', () => {
    assert.throws(() => planSet(host([target('fs-MDT0000')]), [], REQUEST), code('lustre.not-mgs'));
    const together = host([target('fs-MDT0000', { mgs: true })]);
    assert.deepEqual(planSet(together, [], REQUEST).here, ['fs-MDT0000']);
    const { barrier, datasets } = planSet(host([target('fs-MDT0000')]), [], { fsname: 'fs', barrier: null });
    assert.deepEqual([barrier, datasets], [null, ['pool/fs-MDT0000']]);
  });

  it('takes the copy that Lustre has mounted, and is refused when that does not tell them apart', () => {
    const copy = target('fs-MDT0000', { dataset: 'copy/mdt' });
    const mgs = target('MGS');
    assert.throws(() => planSet(host([mgs, copy, target('fs-MDT0000')]), [], REQUEST), code('lustre.twice'));
    const serving = target('fs-MDT0000', { mount: '/mnt/mdt0' });
    const { datasets } = planSet(host([mgs, copy, serving]), [], REQUEST);
    assert.deepEqual(datasets, ['pool/MGS', 'pool/fs-MDT0000']);
  });

  it('warns of a service name that is not registered', () => {
    const virgin = target('fs-MDT0000', { service: 'fs:MDT0000', state: 'virgin' });
    const { notes } = planSet(host([target('MGS'), virgin]), ['fs-MDT0000'], REQUEST);
    assert.match(notes.join(), /fs:MDT0000, which is not registered/);
  });

  it('is refused for names that could be options, and where nothing is here', () => {
    for (const fsname of ['', '-x', 'a b', 'much-too-long', 'fs;id']) {
      assert.throws(() => planSet(host([target('MGS')]), [], { ...REQUEST, fsname }), code('lustre.fsname'));
    }
    assert.throws(() => planSet(host([target('MGS')]), [], REQUEST), code('lustre.no-targets'));
  });
});

describe('the plan of joining one', () => {
  it('has what the set lacks of what this host has', () => {
    const here = host([target('MGS'), target('fs-MDT0001'), target('fs-MDT0002')]);
    assert.deepEqual(planJoining(here, 'fs', ['fs-MDT0002', 'fs-MDT0003']).here, ['fs-MDT0002']);
    assert.deepEqual(planJoining(here, 'fs').here, ['fs-MDT0001', 'fs-MDT0002']);
    assert.throws(() => planJoining(here, 'fs', ['fs-MDT0003']), code('lustre.no-targets'));
    assert.throws(() => planJoining(here, 'other'), code('lustre.no-targets'));
  });
});

describe('what a killed run left', () => {
  it('are snapshots of ours that the repository does not have', () => {
    const point = (name: string, guid: bigint, kind: 'snapshot' | 'bookmark' = 'snapshot') => ({
      dataset: 'p/mdt',
      kind,
      name,
      guid: guidOf(guid),
      createtxg: guid,
      created: 0,
      references: 0,
    });
    const points = [
      point('zkeep-20261119T120000Z', 1n),
      point('zkeep-20261119T130000Z', 2n),
      point('zkeep-20261119T140000Z', 3n, 'bookmark'),
      point('daily', 4n),
    ];
    const source = {
      dataset: 'p/mdt',
      type: 'filesystem' as const,
      guid: null,
      encrypted: false,
      resumeToken: undefined,
    };
    const known = [{ guid: guidOf(1n), restorable: true, flags: null }];
    assert.deepEqual(leftBehind([{ ...source, points }], known), ['p/mdt@zkeep-20261119T130000Z']);
  });
});

describe('what lctl says', () => {
  it('is the state alone with -s, and among others without', () => {
    for (const state of BARRIER_STATES) {
      assert.equal(parseBarrierState(`${state}\n`), state);
      assert.equal(parseBarrierState(`state: ${state}\ntimeout: 12 seconds\n`), state);
    }
  });

  it('is taken for frozen only where it says so, whatever it says', () => {
    for (const text of ['', 'not frozen', 'unfrozen', 'timeout: 12 seconds', 'state:', 'FROZEN']) {
      assert.equal(parseBarrierState(text), 'unknown', text);
    }
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!text.includes('frozen'));
        assert.notEqual(parseBarrierState(text), 'frozen');
      }),
    );
  });

  it('names the MDTs that are registered, of this file system alone', () => {
    const printed =
      'fsname: fs\nflags: 0x20     gen: 9\nfs-MDT0000\nfs-MDT0001\nfs-OST0000\nfs-client\nfsx-MDT0002\n';
    assert.deepEqual(parseLive(printed, 'fs'), ['fs-MDT0000', 'fs-MDT0001']);
  });
});
