import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { historyAt } from '../../../agent/migrate/history.ts';
import { commandsOf, type MigrationPlace, planMigration } from '../../../agent/migrate/plan.ts';
import { decideProperties, type MigratedProperties } from '../../../agent/migrate/properties.ts';
import type { PointFacts, SourceFacts } from '../../../agent/zfs/list.ts';
import type { ObjectAttributes, ParsedAttributes, Property } from '../../../catalog/attributes/attributes.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { type Guid, guidOf } from '../../../catalog/words.ts';
import { source as sourceOf } from '../backup/resume/facts.ts';

const NOW = Date.UTC(2026, 10, 20, 13, 0, 0);
const guid = (number: number): Guid => guidOf(BigInt(number));
const refused = (code: string) => (thrown: unknown) => thrown instanceof ZkeepError && thrown.code === code;

function point(name: string, number: number, more: Partial<PointFacts> = {}): PointFacts {
  const facts = {
    dataset: 'old/a',
    kind: 'snapshot',
    name,
    guid: guid(number),
    created: number,
    references: 0,
  } as const;
  return { ...facts, createtxg: BigInt(number), ...more };
}

function source(points: readonly PointFacts[], more: Partial<SourceFacts> = {}): SourceFacts {
  return sourceOf('old/a', points, more);
}

function place(more: Partial<MigrationPlace> = {}): MigrationPlace {
  return { target: 'new/a', exists: false, snapshots: [], partial: undefined, token: null, ...more };
}

const NONE: MigratedProperties = {
  stored: { name: 'old/a', kind: 'filesystem', properties: {} },
  history: [],
  settings: [],
  commands: [['zfs', 'set', 'lab:x=y', 'new/a']],
  received: null,
  skipped: [],
};

const planned = (from: SourceFacts, to: MigrationPlace, final = false) =>
  planMigration({
    ...{ source: from, place: to, properties: NONE, final, now: NOW },
    ...{ snapshots: false, held: new Set() },
  });
const withHistory = (from: SourceFacts, to: MigrationPlace, held: string[] = []) =>
  planMigration({
    ...{ source: from, place: to, properties: NONE, final: false, now: NOW },
    ...{ snapshots: true, held: new Set(held) },
  });
const linesOf = (plan: ReturnType<typeof planned>) => commandsOf(plan).map((command) => command.join(' '));

describe('a migration', () => {
  it('begins with a full stream into nothing, which is not mounted, and sets what was set', () => {
    assert.deepEqual(linesOf(planned(source([point('daily', 1)]), place())), [
      'zfs snapshot old/a@migrate-20261120T130000Z',
      'zfs hold zkeep old/a@migrate-20261120T130000Z',
      'zfs send -L -c old/a@migrate-20261120T130000Z',
      'zfs receive -s -u -o canmount=noauto -x mountpoint new/a',
      'zfs set lab:x=y new/a',
    ]);
  });

  it('goes on from the newest snapshot of the target, and lets go of it afterwards', () => {
    const base = point('migrate-20261120T120000Z', 5, { references: 1 });
    const stands = place({ exists: true, snapshots: [{ guid: guid(5), name: 'x' }] });
    const lines = linesOf(planned(source([point('daily', 1, { references: 3 }), base]), stands, true));
    assert.deepEqual(lines.slice(2, 4), [
      'zfs send -L -c -i old/a@migrate-20261120T120000Z old/a@migrate-20261120T130000Z',
      'zfs receive -s -u new/a',
    ]);
    assert.equal(lines.at(-1), 'zfs release zkeep old/a@migrate-20261120T120000Z');
    assert.equal(lines.filter((line) => line.includes('release')).length, 1);
  });

  it('takes a bookmark as the base where the snapshot is gone', () => {
    const points = [point('b', 5, { kind: 'bookmark' })];
    const { steps } = planned(
      source(points),
      place({ exists: true, snapshots: [{ guid: guid(5), name: 'x' }] }),
    );
    assert.deepEqual(steps[0]?.send.slice(-3, -1), ['-i', 'old/a#b']);
  });

  it('sends an encrypted dataset as it is, and a volume without what only file systems have', () => {
    const { steps } = planned(source([], { encrypted: true, type: 'volume' }), place());
    assert.deepEqual(steps[0]?.send.slice(2, -1), ['-w']);
    assert.deepEqual(steps[0]?.receive, ['zfs', 'receive', '-s', '-u', 'new/a']);
  });

  it('first finishes what was interrupted, and builds on that', () => {
    const points = [point('migrate-20261120T120000Z', 5, { references: 1 })];
    const interrupted = place({ exists: true, partial: { to: guid(5) }, token: '1-abc' });
    const { steps } = planned(source(points), interrupted);
    assert.deepEqual(
      steps.map(({ kind, send, receive }) => [kind, send.join(' '), receive.join(' ')]),
      [
        ['rest', 'zfs send -t 1-abc', 'zfs receive -s -u new/a'],
        [
          'incremental',
          'zfs send -L -c -i old/a@migrate-20261120T120000Z old/a@migrate-20261120T130000Z',
          'zfs receive -s -u new/a',
        ],
      ],
    );
  });

  it('leaves alone what it did not put there', () => {
    const mine = source([point('daily', 1)]);
    const other = { guid: guid(9), name: 'other' };
    assert.throws(() => planned(mine, place({ target: 'old/a', exists: true })), refused('migrate.same'));
    assert.throws(() => planned(mine, place({ exists: true })), refused('migrate.exists'));
    assert.throws(
      () => planned(mine, place({ exists: true, snapshots: [other] })),
      refused('migrate.no-base'),
    );
    const newer = [other, { guid: guid(1), name: 'daily' }];
    assert.throws(() => planned(mine, place({ exists: true, snapshots: newer })), refused('migrate.no-base'));
    for (const partial of [{ to: guid(9) }, { to: null }]) {
      assert.throws(
        () => planned(mine, place({ exists: true, partial, token: 't' })),
        refused('migrate.partial'),
      );
    }
  });
});

describe('a migration of the history', () => {
  const points = [
    ...[point('daily-1', 1), point('migrate-20261119T000000Z', 2), point('zkeep-20261119T000000Z', 3)],
    ...[point('daily-1', 1, { kind: 'bookmark' }), point('daily-2', 4, { references: 2 })],
  ];

  it('begins with the oldest snapshot in full, and then goes from each to the next', () => {
    const plan = withHistory(source(points), place());
    assert.deepEqual(
      plan.steps.map(({ kind, send }) => `${kind} ${send.slice(4).join(' ')}`),
      [
        'full old/a@daily-1',
        'incremental -i old/a@daily-1 old/a@zkeep-20261119T000000Z',
        'incremental -i old/a@zkeep-20261119T000000Z old/a@daily-2',
        'incremental -i old/a@daily-2 old/a@migrate-20261120T130000Z',
      ],
    );
    assert.deepEqual(
      plan.steps.map(({ receive }) => receive.length > 5),
      [true, false, false, false],
    );
    assert.equal(plan.behind, 0);
  });

  it('holds what it passes on, by a tag of its own, until the next one has come', () => {
    const lines = linesOf(withHistory(source(points.slice(0, 3)), place()));
    const holds = lines.filter((line) => /^zfs (hold|release)/.test(line));
    assert.deepEqual(holds, [
      'zfs hold zkeep old/a@migrate-20261120T130000Z',
      'zfs hold zkeep-migrate old/a@daily-1',
      'zfs hold zkeep-migrate old/a@zkeep-20261119T000000Z',
      'zfs release zkeep-migrate old/a@daily-1',
      'zfs release zkeep-migrate old/a@zkeep-20261119T000000Z',
    ]);
  });

  it('takes the new snapshot before all, so that those taken meanwhile are newer', () => {
    const { steps } = withHistory(source(points), place());
    assert.deepEqual(
      steps.map(({ takes }) => takes),
      [true, false, false, false],
    );
    assert.deepEqual(steps[0]?.before[0]?.join(' '), 'zfs snapshot old/a@migrate-20261120T130000Z');
    assert.equal(planned(source([]), place()).steps[0]?.takes, true);
  });

  it('goes on after what the target has, and lets go of what a run that was killed held', () => {
    const stands = place({ exists: true, snapshots: [{ guid: guid(3), name: 'zkeep-20261119T000000Z' }] });
    const { steps } = withHistory(source(points), stands, ['zkeep-20261119T000000Z', 'daily-2', 'daily-1']);
    assert.deepEqual(
      steps.map(({ snapshot, passed, before }) => [snapshot, passed, before.length]),
      [
        ['daily-2', ['zkeep-20261119T000000Z'], 2],
        ['migrate-20261120T130000Z', ['daily-2', 'daily-1'], 0],
      ],
    );
  });

  it('finishes what was interrupted first', () => {
    const interrupted = place({ exists: true, partial: { to: guid(3) }, token: '1-abc' });
    const { steps } = withHistory(source(points), interrupted, ['zkeep-20261119T000000Z']);
    assert.deepEqual(
      steps.map(({ kind, snapshot }) => [kind, snapshot]),
      [
        ['rest', 'zkeep-20261119T000000Z'],
        ['incremental', 'daily-2'],
        ['incremental', 'migrate-20261120T130000Z'],
      ],
    );
  });

  it('that is not asked for is counted, as far as the target could still have it', () => {
    assert.equal(planned(source(points), place()).behind, 3);
    const stands = place({ exists: true, snapshots: [{ guid: guid(3), name: 'x' }] });
    assert.equal(planned(source(points), stands).behind, 1);
  });

  it('tells which snapshots have properties to be moved: what is there, and what is to come', () => {
    const stands = place({
      exists: true,
      snapshots: [
        { guid: guid(3), name: 'zkeep-20261119T000000Z' },
        { guid: guid(1), name: 'renamed' },
      ],
    });
    const names = (to: MigrationPlace) => historyAt({ points }, to).map(({ name }) => name);
    assert.deepEqual(names(stands), ['zkeep-20261119T000000Z', 'daily-2']);
    assert.equal(names(place()).length, 3);
    // What is interrupted comes to its end first; what lies before it does not come any more.
    const interrupted = (to: number) => place({ exists: true, partial: { to: guid(to) }, token: '1-abc' });
    assert.deepEqual(names(interrupted(3)), ['zkeep-20261119T000000Z', 'daily-2']);
    assert.deepEqual(names(interrupted(2)), ['zkeep-20261119T000000Z', 'daily-2']);
  });

  it('brings every snapshot once, in order, whatever the target has', () => {
    const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(numbers, fc.nat(), (given, at) => {
        const sorted = given.toSorted((one, other) => one - other);
        const all = sorted.map((number) => point(`s${number}`, number));
        const stands = at % (sorted.length + 1);
        const there = sorted
          .slice(0, stands)
          .map((number) => ({ guid: guid(number), name: `s${number}` }))
          .toReversed();
        const { steps } = withHistory(source(all), place({ exists: stands > 0, snapshots: there }));
        assert.deepEqual(
          steps.map(({ snapshot }) => snapshot).slice(0, -1),
          sorted.slice(stands).map((number) => `s${number}`),
        );
        const bases = steps.map(({ send }) => (send.includes('-i') ? send[send.indexOf('-i') + 1] : null));
        const before = [sorted[stands - 1], ...sorted.slice(stands)];
        assert.deepEqual(
          bases,
          before.map((number) => (number === undefined ? null : `old/a@s${number}`)),
        );
        const taken = steps.flatMap(({ before: first }) => first.filter(([, verb]) => verb === 'hold'));
        const released = steps.flatMap(({ passed }) => passed);
        assert.equal(taken.length, released.length + 1, 'only the new snapshot stays held');
      }),
    );
  });
});

describe('the properties of a migration', () => {
  const properties: Record<string, Property> = {
    'lustre:svname': { value: 'fs-MDT0000', source: 'local' },
    atime: { value: 'off', source: 'received', received: 'off' },
    compression: { value: 'lz4', source: 'inherited', from: 'old' },
    used: { value: '1', source: 'none' },
  };
  const parsed: ParsedAttributes = {
    objects: [{ name: 'old/a', kind: 'filesystem', properties }],
    pool: null,
    host: null,
  };
  const question = {
    source: 'old/a',
    target: 'new/a',
    parsed,
    history: [],
    here: { version: '2.3.9', properties: new Set<string>() },
    takeMountpoint: false,
    swapped: false,
  };

  it('are set where they were local, and come with the stream where they were received', () => {
    const { commands, received } = decideProperties(question);
    assert.deepEqual(commands, [['zfs', 'set', 'lustre:svname=fs-MDT0000', 'new/a']]);
    assert.deepEqual([...(received ?? [])], [['atime', 0n]]);
  });

  it('are all set where the stream cannot bring them', () => {
    const { settings, received } = decideProperties({ ...question, swapped: true });
    assert.deepEqual(
      settings.map(({ property, value }) => `${property}=${value}`),
      ['lustre:svname=fs-MDT0000', 'atime=off'],
    );
    assert.equal(received, null);
  });

  it('of the snapshots that move are set on each of them', () => {
    const own: Record<string, Property> = {
      'org:note': { value: 'first', source: 'local' },
      'org:from': { value: 'far', source: 'received', received: 'far' },
      used: { value: '1', source: 'none' },
    };
    const history: ObjectAttributes[] = [{ name: 'old/a@daily', kind: 'snapshot', properties: own }];
    const { commands } = decideProperties({ ...question, history });
    assert.deepEqual(commands.map((command) => command.join(' ')).slice(1), [
      'zfs set org:note=first org:from=far new/a@daily',
    ]);
  });

  it('must be known', () => {
    const nothing = { ...parsed, objects: [] };
    assert.throws(() => decideProperties({ ...question, parsed: nothing }), refused('migrate.no-properties'));
  });
});
