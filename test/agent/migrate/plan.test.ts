import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commandsOf, type MigrationPlace, planMigration } from '../../../agent/migrate/plan.ts';
import { decideProperties, type MigratedProperties } from '../../../agent/migrate/properties.ts';
import type { PointFacts, SourceFacts } from '../../../agent/zfs/list.ts';
import type { ParsedAttributes, Property } from '../../../catalog/attributes/attributes.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { type Guid, guidOf } from '../../../catalog/words.ts';

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
  return { dataset: 'old/a', type: 'filesystem', encrypted: false, resumeToken: undefined, points, ...more };
}

function place(more: Partial<MigrationPlace> = {}): MigrationPlace {
  return { target: 'new/a', exists: false, snapshots: [], partial: undefined, token: null, ...more };
}

const NONE: MigratedProperties = {
  stored: { name: 'old/a', kind: 'filesystem', properties: {} },
  settings: [],
  commands: [['zfs', 'set', 'lab:x=y', 'new/a']],
  received: null,
  skipped: [],
};

const planned = (from: SourceFacts, to: MigrationPlace, final = false) =>
  planMigration({ source: from, place: to, properties: NONE, final, now: NOW });
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

  it('must be known', () => {
    const nothing = { ...parsed, objects: [] };
    assert.throws(() => decideProperties({ ...question, parsed: nothing }), refused('migrate.no-properties'));
  });
});
