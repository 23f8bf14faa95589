import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decideLeftovers } from '../../../agent/leftovers/decide.ts';
import type {
  DrillHere,
  HereFacts,
  KeptFacts,
  LeftoverFacts,
  PartialReceive,
} from '../../../agent/leftovers/facts.ts';
import type { Leftover } from '../../../agent/leftovers/leftover.ts';
import type { PointFacts, SourceFacts } from '../../../agent/zfs/list.ts';
import type { BackupSummary, KnownSnapshot, OpenBackupRow } from '../../../catalog/protocol/protocol.ts';
import { type BackupId, type Guid, guidOf } from '../../../catalog/words.ts';

const NOW = Date.UTC(2026, 10, 20, 13, 0, 0);
const HOST = 'mds';
const BACKUP = '0199c3a5-6f00-7000-8000-000000000000' as BackupId;
const guid = (number: number): Guid => guidOf(BigInt(number));
const POOL = guid(1000);
const ZKEEP = (hour: number) => `zkeep-20261120T${String(hour).padStart(2, '0')}0000Z`;
const MIGRATE = (hour: number) => `migrate-20261120T${String(hour).padStart(2, '0')}0000Z`;

function snapshot(name: string, number: number, held = false, dataset = 'tank/a'): PointFacts {
  const references = held ? 1 : 0;
  return {
    ...{ dataset, kind: 'snapshot', name, guid: guid(number), createtxg: BigInt(number) },
    ...{ created: number, references },
  };
}
const bookmark = (name: string, number: number): PointFacts => ({
  ...snapshot(name, number),
  kind: 'bookmark',
});

function source(dataset: string, points: readonly PointFacts[]): SourceFacts {
  const mine = points.map((point) => ({ ...point, dataset }));
  return { dataset, type: 'filesystem', guid: null, encrypted: false, resumeToken: undefined, points: mine };
}

/** What ZFS says: whatever is held, zkeep holds, and keeps as many bytes as its transaction's number. */
function here(sources: readonly SourceFacts[], partials: readonly PartialReceive[] = []): HereFacts {
  const points = sources.flatMap((one) => one.points).filter(({ kind }) => kind === 'snapshot');
  const full = ({ dataset, name }: PointFacts) => `${dataset}@${name}`;
  const held = points.filter(({ references }) => references > 0);
  return {
    sources,
    pools: new Map([['tank', POOL]]),
    partials,
    drills: [],
    holds: new Map(held.map((point) => [full(point), ['zkeep']])),
    used: new Map(points.map((point) => [full(point), Number(point.createtxg)])),
    atWork: new Set(),
    owed: new Set(),
  };
}

const stored = (...numbers: number[]): KnownSnapshot[] =>
  numbers.map((number) => ({
    guid: guid(number),
    restorable: true,
    flags: { raw: false, large_blocks: false },
  }));

function open(to: number, changes: Partial<OpenBackupRow> = {}): OpenBackupRow {
  const heard = new Date(NOW - 1000).toISOString();
  return {
    ...{ backup: BACKUP, opened: '2026-11-20T12:00:00.000Z', heard, to: guid(to), from: null, set: null },
    source: { host: HOST, dataset: 'tank/a', pool_guid: POOL, zfs: 'zfs-2.3.9-1' },
    writer: { host: HOST, process: 42 },
    segments: 3,
    bytes: 48 * 1024 ** 2,
    ...changes,
  };
}

const kept = (changes: Partial<KeptFacts> = {}): KeptFacts => ({
  open: [],
  known: [],
  backups: new Map(),
  living: new Set(),
  ...changes,
});

const decided = (facts: Partial<LeftoverFacts>) =>
  decideLeftovers({ host: HOST, now: NOW, scope: [], here: null, kept: null, ...facts });
const leftOf = (facts: Partial<LeftoverFacts>) => decided(facts).leftovers;
const only = (found: readonly Leftover[]): Leftover => {
  assert.equal(found.length, 1, JSON.stringify(found, undefined, 1));
  return found[0] ?? assert.fail();
};
const words = (commands: readonly (readonly string[])[]) => commands.map((command) => command.join(' '));

describe('an open backup', () => {
  const sources = [source('tank/a', [snapshot(ZKEEP(12), 5, true)])];

  it('whose writer is dead goes on with the same command, or is abandoned', () => {
    const left = only(leftOf({ here: here(sources), kept: kept({ open: [open(5)] }) }));
    assert.equal(left.continues?.join(' '), 'zkeep backup tank/a');
    assert.deepEqual(words(left.clear), ['zkeep backup --abandon tank/a']);
    assert.match(left.what, new RegExp(`full backup of tank/a@${ZKEEP(12)}; process 42 on mds, .* is dead`));
    assert.deepEqual([left.bytes, left.name, left.running], [48 * 1024 ** 2, BACKUP, false]);
  });

  it('whose writer lives is at work: nothing clears it, and the snapshots of its run wait', () => {
    const waiting = source('tank/b', [snapshot(ZKEEP(12), 6, true)]);
    const facts = kept({ open: [open(5)], living: new Set([42]) });
    const left = only(leftOf({ here: here([...sources, waiting]), kept: facts }));
    assert.deepEqual([left.running, left.continues, left.clear], [true, null, []]);
  });

  it('of another host is at work as long as its lease runs', () => {
    const writer = { host: 'elsewhere', process: 42 };
    const heard = new Date(NOW - 91_000).toISOString();
    const of = (row: OpenBackupRow) => only(leftOf({ here: here(sources), kept: kept({ open: [row] }) }));
    assert.equal(of(open(5, { writer })).running, true);
    assert.equal(of(open(5, { writer, heard })).running, false);
  });

  it('whose snapshot is gone, or was never here, can only be ended, by its id', () => {
    const left = only(leftOf({ here: here([]), kept: kept({ open: [open(5)] }) }));
    assert.equal(left.continues, null);
    assert.deepEqual(words(left.clear), [`zkeep backup --abandon ${BACKUP}`]);
    assert.match(left.what, /not on this host/);
  });

  it('of an import goes on with the same import, not with zkeep backup', () => {
    const source = { host: HOST, dataset: 'tank/a', pool_guid: null, zfs: null };
    for (const facts of [{}, { here: here([]) }]) {
      const left = only(leftOf({ ...facts, kept: kept({ open: [open(5, { source })] }) }));
      assert.equal(left.continues, null);
      assert.match(left.what, /the same zkeep import goes on/);
      assert.deepEqual(words(left.clear), [`zkeep backup --abandon ${BACKUP}`]);
    }
  });

  it('of a dataset that was renamed is told under its present name', () => {
    const renamed = [source('tank/new', [snapshot(ZKEEP(12), 5, true)])];
    const left = only(leftOf({ here: here(renamed), kept: kept({ open: [open(5)] }) }));
    assert.equal(left.dataset, 'tank/new');
    assert.match(left.what, /backup of tank\/a@/);
  });

  it('of a pool that was on another host then goes on here', () => {
    const from = { host: 'old-mds', dataset: 'tank/a', pool_guid: POOL, zfs: 'zfs-2.3.9-1' };
    const facts = kept({ open: [open(5, { source: from, writer: { host: 'old-mds', process: 1 } })] });
    const heard = new Date(NOW - 91_000).toISOString();
    const rows = facts.open.map((row) => ({ ...row, heard }));
    const left = only(leftOf({ here: here(sources), kept: { ...facts, open: rows } }));
    assert.equal(left.continues?.join(' '), 'zkeep backup tank/a');
  });

  it('keeps its snapshot and its base from being leftovers themselves', () => {
    const points = [snapshot(ZKEEP(11), 4, true), snapshot(ZKEEP(12), 5, true)];
    const facts = kept({ open: [open(5, { from: guid(4) })], known: stored(4) });
    only(leftOf({ here: here([source('tank/a', points)]), kept: facts }));
  });
});

describe('a snapshot of zkeep', () => {
  it('that is not stored is stored by name, or released and destroyed', () => {
    const sources = [source('tank/a', [snapshot(ZKEEP(12), 5, true), snapshot('daily', 6)])];
    const left = only(leftOf({ here: here(sources), kept: kept() }));
    assert.equal(left.continues?.join(' '), `zkeep backup tank/a --snapshot ${ZKEEP(12)}`);
    assert.deepEqual(words(left.clear), [
      `zfs release zkeep tank/a@${ZKEEP(12)}`,
      `zfs destroy tank/a@${ZKEEP(12)}`,
    ]);
    assert.deepEqual([left.kind, left.bytes, left.since], ['snapshot', 5, 5]);
  });

  it('that is not held is only destroyed; of one that others hold, that is said', () => {
    const not = only(leftOf({ here: here([source('tank/a', [snapshot(ZKEEP(12), 5)])]), kept: kept() }));
    assert.deepEqual(words(not.clear), [`zfs destroy tank/a@${ZKEEP(12)}`]);
    const facts = here([source('tank/a', [snapshot(ZKEEP(12), 5, true)])]);
    const holds = new Map([[`tank/a@${ZKEEP(12)}`, ['zkeep', 'send-1']]]);
    assert.match(only(leftOf({ here: { ...facts, holds }, kept: kept() })).what, /also held by send-1$/);
  });

  it('that is stored and the next base is none, nor is one of somebody else', () => {
    for (const points of [
      [snapshot('daily', 4), snapshot(ZKEEP(12), 5, true)],
      [snapshot('daily', 4), snapshot(ZKEEP(12), 5), bookmark(ZKEEP(12), 5)],
    ]) {
      const facts = { here: here([source('tank/a', points)]), kept: kept({ known: stored(5) }) };
      assert.deepEqual(leftOf(facts), []);
    }
  });

  it('that is held although its bookmark is there, as former versions did, only loses the hold', () => {
    const points = [snapshot(ZKEEP(12), 5, true), bookmark(ZKEEP(12), 5)];
    const left = only(leftOf({ here: here([source('tank/a', points)]), kept: kept({ known: stored(5) }) }));
    assert.deepEqual([left.kind, words(left.clear)], ['hold', [`zfs release zkeep tank/a@${ZKEEP(12)}`]]);
  });

  it('that is temporary is none while its process lives, and goes, with a bookmark if it is stored', () => {
    const name = 'zkeep-refresh-20261120T120000Z-42';
    const sources = [source('tank/a', [snapshot(name, 5, true)])];
    const facts = (known: KnownSnapshot[]) => ({ here: here(sources), kept: kept({ known }) });
    const gone = [`zfs release zkeep tank/a@${name}`, `zfs destroy tank/a@${name}`];
    assert.deepEqual(words(only(leftOf(facts([]))).clear), gone);
    const marked = only(leftOf(facts(stored(5))));
    assert.deepEqual(words(marked.clear), [`zfs bookmark tank/a@${name} tank/a#${name}`, ...gone]);
    assert.deepEqual(marked.continues, ['zkeep', 'backup', '--refresh', 'tank/a']);
    const atWork = new Set([`tank/a@${name}`]);
    assert.deepEqual(leftOf({ here: { ...here(sources), atWork }, kept: kept() }), []);
    const open_ = kept({ open: [open(5)] });
    assert.deepEqual(
      leftOf({ here: here(sources), kept: open_ }).map(({ kind }) => kind),
      ['open-backup'],
    );
  });
});

describe('a hold', () => {
  it('on what the next backup does not go on from is released', () => {
    const points = [snapshot(ZKEEP(11), 4, true), snapshot(ZKEEP(12), 5, true)];
    const facts = kept({ known: stored(4, 5) });
    const left = only(leftOf({ here: here([source('tank/a', points)]), kept: facts }));
    assert.deepEqual(words(left.clear), [`zfs release zkeep tank/a@${ZKEEP(11)}`]);
    assert.equal(left.kind, 'hold');
  });

  it("on somebody else's snapshot that is not stored goes on by its name", () => {
    const left = only(leftOf({ here: here([source('tank/a', [snapshot('daily', 5, true)])]), kept: kept() }));
    assert.equal(left.continues?.join(' '), 'zkeep backup tank/a --snapshot daily');
    assert.deepEqual(words(left.clear), ['zfs release zkeep tank/a@daily']);
  });

  it('of another tag is none of ours', () => {
    const facts = here([source('tank/a', [snapshot('daily', 5, true)])]);
    const holds = new Map([['tank/a@daily', ['other']]]);
    assert.deepEqual(leftOf({ here: { ...facts, holds }, kept: kept() }), []);
  });
});

describe('a bookmark', () => {
  it('of zkeep whose snapshot nobody knows is destroyed', () => {
    const points = [bookmark(`${ZKEEP(12)}-${guid(5)}`, 5), bookmark('daily', 4), bookmark(ZKEEP(11), 3)];
    const facts = kept({ known: stored(3) });
    const left = only(leftOf({ here: here([source('tank/a', points)]), kept: facts }));
    assert.deepEqual(words(left.clear), [`zfs destroy tank/a#${ZKEEP(12)}-${guid(5)}`]);
  });
});

describe('a migration', () => {
  const from = source('old/a', [snapshot(MIGRATE(11), 4), snapshot(MIGRATE(12), 5, true)]);

  it('goes on from the newest snapshot at its source; older ones at both ends are destroyed', () => {
    const to = source('new/a', [snapshot(MIGRATE(11), 4), snapshot(MIGRATE(12), 5)]);
    const left = leftOf({ here: here([from, to]), kept: kept() });
    assert.deepEqual(
      left.map(({ name, continues }) => [name, continues?.join(' ') ?? null]),
      [
        [`old/a@${MIGRATE(11)}`, null],
        [`old/a@${MIGRATE(12)}`, 'zkeep migrate old/a --to new/a'],
        [`new/a@${MIGRATE(11)}`, null],
      ],
    );
  });

  it('to the first of two targets goes on too, though the second one took its hold away', () => {
    const twice = source('old/a', [snapshot(MIGRATE(11), 4), snapshot(MIGRATE(12), 5, true)]);
    const first = source('new/a', [snapshot(MIGRATE(11), 4)]);
    const second = source('other/a', [snapshot(MIGRATE(12), 5)]);
    const left = leftOf({ here: here([twice, first, second]), kept: kept() });
    assert.deepEqual(
      left.map(({ name, continues }) => [name, continues?.join(' ') ?? null]),
      [
        [`old/a@${MIGRATE(11)}`, 'zkeep migrate old/a --to new/a'],
        [`old/a@${MIGRATE(12)}`, 'zkeep migrate old/a --to other/a'],
      ],
    );
  });

  it('whose receive was interrupted goes on with what is at the target', () => {
    const token = { from: null, to: guid(5), name: `old/a@${MIGRATE(12)}`, bytes: 1000 };
    const left = leftOf({
      here: here([from, source('new/a', [])], [{ dataset: 'new/a', token }]),
      kept: kept(),
    });
    assert.equal(left[0]?.continues?.join(' '), 'zkeep migrate old/a --to new/a');
    assert.deepEqual(words(left[0]?.clear ?? []), ['zfs receive -A new/a']);
    assert.equal(left.at(-1)?.continues?.join(' '), 'zkeep migrate old/a --to new/a');
  });

  it('whose target is gone leaves snapshots that nothing goes on from', () => {
    const left = leftOf({ here: here([from]), kept: kept() });
    assert.deepEqual(
      left.map(({ continues }) => continues),
      [null, null],
    );
    assert.deepEqual(left[1]?.clear.length, 2);
  });
});

describe('a migration of the history', () => {
  it('that was killed leaves a hold, from which it goes on', () => {
    const sources = [source('old/a', [snapshot('daily', 5, true)]), source('new/a', [snapshot('daily', 5)])];
    const holds = new Map([['old/a@daily', ['zkeep-migrate']]]);
    const left = only(leftOf({ here: { ...here(sources), holds }, kept: kept({ known: stored(5) }) }));
    assert.equal(left.continues?.join(' '), 'zkeep migrate old/a --to new/a --snapshots');
    assert.deepEqual(words(left.clear), ['zfs release zkeep-migrate old/a@daily']);
  });
});

describe('an interrupted receive', () => {
  const token = { from: guid(4), to: guid(5), name: 'tank/a@x', bytes: 1000 };
  const partials = [{ dataset: 'new/a', token }];
  const summary = { backup: BACKUP, host: 'far', dataset: 'tank/a', name: 'x', from: guid(4), to: guid(5) };
  const backups = (one: object) => new Map([[guid(5), [one as BackupSummary]]]);

  it('goes on as a restore where its very stream is stored', () => {
    const facts = kept({ backups: backups(summary) });
    const left = only(leftOf({ here: here([], partials), kept: facts }));
    assert.equal(left.continues?.join(' '), `zkeep restore tank/a --host far --guid ${guid(5)} --to new/a`);
    assert.deepEqual(
      [left.bytes, left.what],
      [1000, `an interrupted receive of tank/a@x (${guid(5)}), from ${guid(4)}`],
    );
  });

  it('can only be thrown away where another stream leads there, or the token cannot be read', () => {
    const other = kept({ backups: backups({ ...summary, from: null }) });
    assert.equal(only(leftOf({ here: here([], partials), kept: other })).continues, null);
    const left = only(leftOf({ here: here([], [{ dataset: 'new/a', token: null }]), kept: kept() }));
    assert.deepEqual(words(left.clear), ['zfs receive -A new/a']);
    assert.equal(left.bytes, null);
  });
});

describe('leftovers', () => {
  const points = [snapshot(ZKEEP(12), 5, true), bookmark(ZKEEP(11), 4), snapshot('daily', 3, true)];

  it('are not guessed at while the service is away: only how many would be judged', () => {
    const partials = [{ dataset: 'tank/a', token: null }];
    const { leftovers, unjudged } = decided({ here: here([source('tank/a', points)], partials) });
    assert.deepEqual(
      leftovers.map(({ kind }) => kind),
      ['partial-receive'],
    );
    assert.equal(unjudged, 3);
  });

  it('are told of what the service knows when there is no ZFS', () => {
    const left = only(leftOf({ kept: kept({ open: [open(5)] }) }));
    assert.equal(left.continues?.join(' '), 'zkeep backup tank/a');
  });

  it('are those of the datasets that were named, and of all below', () => {
    const sources = ['tank', 'tank/a', 'tank/a/b', 'tank/ab'].map((name, at) =>
      source(name, [snapshot(ZKEEP(12), 5 + at)]),
    );
    const left = leftOf({ here: here(sources), kept: kept(), scope: ['tank/a'] });
    assert.deepEqual(
      left.map(({ dataset }) => dataset),
      ['tank/a', 'tank/a/b'],
    );
  });

  it('never are what the repository knows, unless it is a hold; and destroy nothing of somebody else', () => {
    const pointOf = fc.record({
      name: fc.constantFrom(ZKEEP(1), ZKEEP(2), ZKEEP(3), MIGRATE(4), 'daily', 'weekly'),
      number: fc.integer({ min: 1, max: 12 }),
      held: fc.boolean(),
      mark: fc.boolean(),
    });
    const made = fc.array(fc.array(pointOf, { maxLength: 6 }), { maxLength: 3 });
    const numbers = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 6 });
    fc.assert(
      fc.property(made, numbers, numbers, (datasets, known, opened) => {
        const sources = datasets.map((list, at) => {
          const points = list.map(({ name, number, held, mark }) =>
            mark ? bookmark(name, number) : snapshot(name, number, held),
          );
          return source(`tank/${at}`, points);
        });
        const facts = kept({ known: stored(...known), open: opened.map((to) => open(to)) });
        for (const { kind, name, clear } of leftOf({ here: here(sources), kept: facts })) {
          if (kind === 'open-backup') continue;
          const point = sources
            .flatMap(({ points }) => points)
            .find((each) => `${each.dataset}${each.kind === 'bookmark' ? '#' : '@'}${each.name}` === name);
          assert.ok(point);
          assert.ok(!facts.open.some(({ to }) => to === point.guid) || duplicated(sources, name));
          if (kind !== 'hold') assert.match(point.name, /^(zkeep|migrate)-/);
          assert.ok(words(clear).every((line) => kind !== 'hold' || line.startsWith('zfs release zkeep ')));
        }
      }),
    );
  });
});

/** No pool has two snapshots of one name: made-up facts may. */
function duplicated(sources: readonly SourceFacts[], name: string): boolean {
  const names = sources.flatMap(({ points }) =>
    points.map((each) => `${each.dataset}${each.kind === 'bookmark' ? '#' : '@'}${each.name}`),
  );
  return names.filter((each) => each === name).length > 1;
}

describe('the place of a drill', () => {
  const container = 'scratch/zkeep-drill-20261120T115000Z-0123abcd';
  const says = { began: '2026-11-20T11:50:00.000Z', process: 42, boot: '1', kept: false };
  const leftOf = (drill: Partial<DrillHere>) => {
    const drills = [{ container, says, running: false, bytes: 4096, ...drill }];
    const facts = { host: HOST, now: NOW, scope: [], here: { ...here([]), drills }, kept: null };
    const [left, ...more] = decideLeftovers(facts).leftovers;
    assert.ok(left && more.length === 0);
    return left;
  };

  it('that was killed is told with what clears it', () => {
    const { kind, name, what, bytes, since, running, clear } = leftOf({});
    assert.deepEqual([kind, name, bytes, running], ['drill', container, 4096, false]);
    assert.match(what, /killed/);
    assert.equal(since, Date.parse(says.began) / 1000);
    assert.deepEqual(clear, [['zfs', 'destroy', '-r', container]]);
  });

  it('that runs is left to it', () => {
    const { running, clear } = leftOf({ running: true });
    assert.deepEqual([running, clear], [true, []]);
  });

  it('that was to stay, or whose mark is strange, is told for what it is', () => {
    assert.match(leftOf({ says: { ...says, kept: true } }).what, /to keep/);
    const strange = leftOf({ says: null, running: true });
    assert.deepEqual([strange.running, strange.since], [false, null]);
    assert.match(strange.what, /cannot read/);
  });
});
