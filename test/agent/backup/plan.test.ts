import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { commandsOf } from '../../../agent/backup/commands.ts';
import { type BackupRequest, planBackup } from '../../../agent/backup/plan.ts';
import { setsOf } from '../../../agent/backup/snapshots.ts';
import type { PointFacts, SourceFacts } from '../../../agent/zfs/list.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { KnownSnapshot } from '../../../catalog/protocol/protocol.ts';
import { guidOf } from '../../../catalog/words.ts';
import { source } from './resume/facts.ts';

const NOW = Date.UTC(2026, 10, 20, 9, 0, 0);
const NEW = 'zkeep-20261120T090000Z';
const TAKE_NEW: BackupRequest = { snapshot: undefined, full: false, now: NOW };

function point(dataset: string, name: string, guid: number, more: Partial<PointFacts> = {}): PointFacts {
  return {
    dataset,
    kind: 'snapshot',
    name,
    guid: guidOf(BigInt(guid)),
    createtxg: BigInt(guid),
    created: guid,
    references: 0,
    ...more,
  };
}

function known(guid: number, flags = { raw: false, large_blocks: true }): KnownSnapshot {
  return { guid: guidOf(BigInt(guid)), restorable: true, flags };
}

function plan(sources: SourceFacts[], more: Partial<Parameters<typeof planBackup>[0]> = {}) {
  const roots = sources.map(({ dataset }) => dataset);
  return planBackup({ sources, roots, recursive: false, known: [], request: TAKE_NEW, ...more });
}

describe('the plan of a backup', () => {
  it('is a full stream of a new snapshot where the repository has nothing', () => {
    const made = plan([source('tank/a')]);
    assert.deepEqual(made.take, [{ pool: 'tank', command: ['zfs', 'snapshot', `tank/a@${NEW}`] }]);
    const [item] = made.datasets;
    assert.ok(item);
    assert.deepEqual([item.kind, item.from, item.guid], ['full', null, null]);
    assert.deepEqual(commandsOf(item), [
      ['zfs', 'hold', 'zkeep', `tank/a@${NEW}`],
      ['zfs', 'send', '-L', '-c', `tank/a@${NEW}`],
      ['zfs', 'bookmark', `tank/a@${NEW}`, `tank/a#${NEW}`],
      ['zfs', 'release', 'zkeep', `tank/a@${NEW}`],
    ]);
  });

  it('takes all of a set anew when a run that was killed in this very second left a part', () => {
    const made = plan([source('one/a', [point('one/a', NEW, 1)]), source('two/b')]);
    const free = 'zkeep-20261120T090001Z';
    assert.deepEqual(
      made.take.map(({ command }) => command.at(-1)),
      [`one/a@${free}`, `two/b@${free}`],
    );
    assert.deepEqual(
      made.datasets.map(({ snapshot, guid }) => [snapshot, guid]),
      [
        [free, null],
        [free, null],
      ],
    );
  });

  it('starts from the newest that both sides have, gives it a bookmark, and lets go of its hold', () => {
    const points = [
      point('tank/a', 'one', 1),
      point('tank/a', 'two', 2, { references: 1 }),
      point('tank/a', 'three', 3),
    ];
    const [item] = plan([source('tank/a', points)], { known: [known(1), known(2)] }).datasets;
    assert.ok(item);
    assert.deepEqual(item.from, { guid: guidOf(2n), name: 'two', kind: 'snapshot' });
    assert.deepEqual(
      commandsOf(item).map((command) => command.join(' ')),
      [
        `zfs hold zkeep tank/a@${NEW}`,
        'zfs bookmark tank/a@two tank/a#two',
        `zfs send -L -c -i tank/a@two tank/a@${NEW}`,
        `zfs bookmark tank/a@${NEW} tank/a#${NEW}`,
        'zfs release zkeep tank/a@two',
        `zfs release zkeep tank/a@${NEW}`,
      ],
    );
  });

  it('starts from a bookmark where its snapshot is gone', () => {
    const points = [point('tank/a', 'one', 1, { kind: 'bookmark' })];
    const [item] = plan([source('tank/a', points)], { known: [known(1)] }).datasets;
    assert.ok(item);
    assert.deepEqual(commandsOf(item)[1], ['zfs', 'send', '-L', '-c', '-i', 'tank/a#one', `tank/a@${NEW}`]);
  });

  it('sends an encrypted dataset raw, and never on a base that was kept otherwise', () => {
    const encrypted = source('tank/e', [point('tank/e', 'one', 1)], { encrypted: true });
    const [item] = plan([encrypted], { known: [known(1)] }).datasets;
    assert.ok(item);
    assert.deepEqual([item.kind, item.flags], ['full', ['-w']]);
    const [next] = plan([encrypted], { known: [known(1, { raw: true, large_blocks: false })] }).datasets;
    assert.equal(next?.kind, 'incremental');
  });

  it('never asks for embedded blocks, which lose extended attributes', () => {
    for (const encrypted of [true, false]) {
      const [item] = plan([source('tank/e', [], { encrypted })]).datasets;
      assert.ok(
        item &&
          !commandsOf(item)
            .flat()
            .some((word) => /^-[a-zA-Z]*e/.test(word)),
      );
    }
  });

  it('takes the snapshots of one pool by one command, and of another pool by another', () => {
    const made = plan([source('mgs/mgt'), source('mds/mdt0'), source('mds/mdt1')]);
    assert.deepEqual(
      made.take.map(({ command }) => command),
      [
        ['zfs', 'snapshot', `mgs/mgt@${NEW}`],
        ['zfs', 'snapshot', `mds/mdt0@${NEW}`, `mds/mdt1@${NEW}`],
      ],
    );
  });

  it('names only the roots in a recursive snapshot', () => {
    const sources = [source('tank/a'), source('tank/a/b')];
    const made = plan(sources, { roots: ['tank/a'], recursive: true });
    assert.deepEqual(made.take, [{ pool: 'tank', command: ['zfs', 'snapshot', '-r', `tank/a@${NEW}`] }]);
    assert.equal(made.datasets.length, 2);
  });

  it('refuses a named snapshot that is not there', () => {
    assert.throws(
      () =>
        plan([source('tank/a', [point('tank/a', 'one', 1)])], { request: { ...TAKE_NEW, snapshot: 'nope' } }),
      (thrown: unknown) =>
        thrown instanceof ZkeepError &&
        thrown.kind === 'missing' &&
        /newest is @one/.test(thrown.advice ?? ''),
    );
  });

  it('leaves datasets below out that do not have the named snapshot, and says so', () => {
    const sources = [source('tank/a', [point('tank/a', 'one', 1)]), source('tank/a/b')];
    const made = plan(sources, {
      roots: ['tank/a'],
      recursive: true,
      request: { ...TAKE_NEW, snapshot: 'one' },
    });
    assert.deepEqual([made.take, made.leftOut, made.datasets.length], [[], ['tank/a/b'], 1]);
  });

  it('does nothing about a named snapshot that is stored, unless a full one is asked for', () => {
    const sources = [source('tank/a', [point('tank/a', 'one', 1)])];
    const again = plan(sources, { known: [known(1)], request: { ...TAKE_NEW, snapshot: 'one' } }).datasets[0];
    assert.ok(again);
    assert.deepEqual([again.kind, commandsOf(again)], ['already', []]);
    const full = plan(sources, { known: [known(1)], request: { ...TAKE_NEW, snapshot: 'one', full: true } });
    assert.equal(full.datasets[0]?.kind, 'full');
  });

  it('has the bookmark of its base at hand, should the snapshot be destroyed', () => {
    const points = [point('tank/a', 'one', 1, { kind: 'bookmark' }), point('tank/a', 'one', 1)];
    const [item] = plan([source('tank/a', points)], { known: [known(1)] }).datasets;
    assert.deepEqual([item?.from?.kind, item?.remembered, item?.secures], ['snapshot', 'one', false]);
  });

  it('is full where the service says that the chain is to end, and says why', () => {
    const points = [point('tank/a', 'one', 1), point('tank/a', 'two', 2)];
    const renew = 'it has 30 steps, the policy allows 30';
    const [item] = plan([source('tank/a', points)], { known: [known(1), { ...known(2), renew }] }).datasets;
    assert.deepEqual([item?.kind, item?.from], ['full', null]);
    assert.equal(item?.reason, `the chain to @two ends there: ${renew}`);
  });

  it('leaves the hold on a snapshot that is not stored: it may wait for its turn in another run', () => {
    const points = [point('tank/a', 'zkeep-20261118T090000Z', 1, { references: 1 })];
    assert.deepEqual(plan([source('tank/a', points)]).datasets[0]?.release, [NEW]);
  });

  it('lets go of a snapshot that somebody else made, and of what former versions held on', () => {
    const points = [
      point('tank/a', 'zkeep-20261118T090000Z', 1, { references: 1 }),
      point('tank/a', 'theirs', 2, { references: 1 }),
      point('tank/a', 'daily', 3),
    ];
    const request = { ...TAKE_NEW, snapshot: 'daily' };
    const [item] = plan([source('tank/a', points)], { request, known: [known(1)] }).datasets;
    assert.deepEqual(item?.release, ['zkeep-20261118T090000Z', 'daily']);
  });

  it('gives the bookmark another name where an older snapshot bears it', () => {
    const points = [point('tank/a', 'daily', 1, { kind: 'bookmark' }), point('tank/a', 'daily', 2)];
    const [item] = plan([source('tank/a', points)], { request: { ...TAKE_NEW, snapshot: 'daily' } }).datasets;
    assert.equal(item?.bookmark, `daily-${guidOf(2n)}`);
  });

  it('keeps every name one argument, whatever spaces are in it', () => {
    const part = fc
      .stringMatching(/^[A-Za-z0-9_:-][A-Za-z0-9_.: -]{0,20}$/)
      .filter((text) => !/^\.+$/.test(text));
    fc.assert(
      fc.property(part, part, part, (pool, below, base) => {
        const dataset = `p${pool}/${below}`;
        const made = plan([source(dataset, [point(dataset, base, 1)])], { known: [known(1)] });
        const [item] = made.datasets;
        assert.ok(item);
        assert.deepEqual(made.take[0]?.command, ['zfs', 'snapshot', `${dataset}@${NEW}`]);
        assert.deepEqual(commandsOf(item)[2], [
          'zfs',
          'send',
          '-L',
          '-c',
          '-i',
          `${dataset}@${base}`,
          `${dataset}@${NEW}`,
        ]);
      }),
    );
  });
});

describe('sets', () => {
  const taken = (dataset: string, createtxg: bigint) =>
    [dataset, { dataset, guid: guidOf(1n), createtxg }] as const;

  it('join what one transaction of one pool took, and nothing else', () => {
    const sets = setsOf(new Map([taken('a/x', 5n), taken('a/y', 5n), taken('b/x', 5n), taken('a/z', 6n)]));
    assert.ok(sets.get('a/x'));
    assert.equal(sets.get('a/x'), sets.get('a/y'));
    assert.deepEqual([sets.get('b/x'), sets.get('a/z')], [undefined, undefined]);
  });
});
