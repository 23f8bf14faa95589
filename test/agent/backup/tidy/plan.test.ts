import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { commandsOf } from '../../../../agent/backup/commands.ts';
import { planBackup } from '../../../../agent/backup/plan.ts';
import { isOwnBookmark } from '../../../../agent/backup/tidy/names.ts';
import { type TidyFacts, tidyCommandsOf } from '../../../../agent/backup/tidy/plan.ts';
import type { PointFacts } from '../../../../agent/zfs/list.ts';
import type { KnownSnapshot } from '../../../../catalog/protocol/protocol.ts';
import { type Guid, guidOf } from '../../../../catalog/words.ts';
import { point, source } from '../resume/facts.ts';

const NOW = Date.UTC(2026, 10, 20, 9);
const guid = (id: number): Guid => guidOf(BigInt(id));
const own = (id: number, more: Partial<PointFacts> = {}) =>
  point('tank/a', `zkeep-20261119T${String(id).padStart(6, '0')}Z`, id, more);
const mark = (id: number, more: Partial<PointFacts> = {}) => own(id, { kind: 'bookmark', ...more });
const temporary = (id: number, more: Partial<PointFacts> = {}) =>
  point('tank/a', `zkeep-refresh-20261119T090000Z-${id}`, id, more);
const known = (...ids: number[]): KnownSnapshot[] =>
  ids.map((id) => ({ guid: guid(id), restorable: true, flags: { raw: false, large_blocks: true } }));
const NOTHING = { open: new Set<Guid>(), holds: new Map<string, string[]>(), atWork: new Set<string>() };

interface More {
  readonly stored?: readonly KnownSnapshot[];
  readonly keep?: number;
  readonly bookmarks?: number;
  readonly refresh?: boolean;
  readonly tidy?: Partial<Omit<TidyFacts, 'known'>>;
}

function plan(points: PointFacts[], { stored = [], keep, bookmarks = 10, refresh, tidy }: More = {}) {
  const made = planBackup({
    sources: [source('tank/a', points)],
    roots: ['tank/a'],
    recursive: false,
    known: stored,
    request: {
      ...{ snapshot: undefined, full: false, now: NOW, keep: { snapshots: keep, bookmarks } },
      refresh: refresh ? { process: 4711 } : undefined,
    },
    tidy: { ...NOTHING, ...tidy },
  });
  const [item] = made.datasets;
  assert.ok(item);
  return { item, temporary: made.temporary, take: made.take };
}

const destroyed = (points: PointFacts[], more: More) =>
  plan(points, more).item.tidying.destroy.map(({ snapshot }) => snapshot);

describe('a refresh', () => {
  it('takes a snapshot of its own name and process, and leaves nothing of it but a bookmark', () => {
    const { item, take } = plan([mark(3)], { stored: known(3), refresh: true });
    const name = 'zkeep-refresh-20261120T090000Z-4711';
    assert.deepEqual(take[0]?.command, ['zfs', 'snapshot', `tank/a@${name}`]);
    assert.deepEqual(
      commandsOf(item).map((command) => command.join(' ')),
      [
        `zfs hold zkeep tank/a@${name}`,
        `zfs send -L -c -i tank/a#${mark(3).name} tank/a@${name}`,
        `zfs bookmark tank/a@${name} tank/a#${name}`,
        `zfs release zkeep tank/a@${name}`,
        `zfs destroy tank/a@${name}`,
      ],
    );
    assert.equal(item.undo, 'destroy');
  });
});

describe('what an earlier refresh left', () => {
  const words = (made: ReturnType<typeof plan>) =>
    made.temporary.flatMap(tidyCommandsOf).map((command) => command.join(' '));
  const { name } = temporary(5);

  it('goes first, whatever is asked for', () => {
    const gone = [`zfs release zkeep tank/a@${name}`, `zfs destroy tank/a@${name}`];
    assert.deepEqual(words(plan([temporary(5, { references: 1 })])), gone);
    assert.deepEqual(words(plan([temporary(5)], { refresh: true })), gone.slice(1));
  });

  it('is remembered by its bookmark where it is stored, and that is the next base', () => {
    const made = plan([temporary(5)], { stored: known(5) });
    assert.deepEqual(words(made), [
      `zfs bookmark tank/a@${name} tank/a#${name}`,
      `zfs destroy tank/a@${name}`,
    ]);
    assert.deepEqual(made.item.from, { guid: guid(5), name, kind: 'bookmark' });
    const marked = plan([temporary(5), temporary(5, { kind: 'bookmark' })], { stored: known(5) });
    assert.deepEqual(words(marked), [`zfs destroy tank/a@${name}`]);
    assert.equal(marked.item.from?.kind, 'bookmark');
  });

  it('stays while a process is at it, or a backup of it is open', () => {
    assert.deepEqual(words(plan([temporary(5)], { tidy: { atWork: new Set([`tank/a@${name}`]) } })), []);
    assert.deepEqual(words(plan([temporary(5)], { tidy: { open: new Set([guid(5)]) } })), []);
  });
});

describe('--keep-on-source', () => {
  const three = [own(1), own(2), own(3), mark(1), mark(2), mark(3)];

  it('lets go of all but the newest of our own that are stored, the new one among them', () => {
    const stored = known(1, 2, 3);
    assert.deepEqual(destroyed(three, { stored, keep: 2 }), [own(2).name, own(1).name]);
    assert.deepEqual(destroyed(three, { stored, keep: 4 }), []);
    assert.deepEqual(destroyed(three, { stored }), []);
    assert.equal(destroyed(three, { stored, keep: 0 }).length, 4);
  });

  it('never lets go of what is not stored, cannot be restored, or was made by somebody else', () => {
    const broken = known(2).map((one) => ({ ...one, restorable: false, flags: null }));
    const points = [...three, point('tank/a', 'daily', 4)];
    assert.deepEqual(destroyed(points, { stored: [...known(1, 4), ...broken], keep: 1 }), [own(1).name]);
  });

  it('leaves what somebody else holds, and says who; our own hold of old goes with it', () => {
    const points = [own(1, { references: 2 }), own(2, { references: 1 }), mark(1), mark(2)];
    const holds = new Map([
      [`tank/a@${own(1).name}`, ['zkeep', 'theirs']],
      [`tank/a@${own(2).name}`, ['zkeep']],
    ]);
    const { tidying, release } = plan(points, { stored: known(1, 2), keep: 1, tidy: { holds } }).item;
    assert.deepEqual(tidying.stays, [{ snapshot: own(1).name, reason: 'it is held by theirs' }]);
    assert.deepEqual(tidying.destroy, [{ snapshot: own(2).name, guid: own(2).guid, mark: null, held: true }]);
    assert.deepEqual(release, [own(1).name, 'zkeep-20261120T090000Z']);
  });

  it('leaves what an open backup is of, or stands on', () => {
    const open = new Set([guid(1)]);
    assert.deepEqual(destroyed(three, { stored: known(1, 2, 3), keep: 1, tidy: { open } }), [
      own(3).name,
      own(2).name,
    ]);
  });

  it('gives each its bookmark before', () => {
    const made = plan([own(1), own(2), mark(2)], { stored: known(1, 2), keep: 1 }).item.tidying;
    assert.deepEqual(
      made.destroy.map(({ snapshot, mark: made_ }) => [snapshot, made_]),
      [
        [own(2).name, null],
        [own(1).name, own(1).name],
      ],
    );
  });
});

describe('bookmarks', () => {
  const many = Array.from({ length: 12 }, (_, at) => mark(at + 1));
  const all = known(...many.map((_, at) => at + 1));

  it('go when they are older than the newest ten that could be a base, the new one among them', () => {
    const { forget } = plan(many, { stored: all }).item.tidying;
    assert.deepEqual(
      forget,
      [1, 2, 3].map((id) => mark(id).name),
    );
  });

  it('stay that the repository does not know, that are not ours, or that an open backup stands on', () => {
    const theirs = point('tank/a', 'daily', 1, { kind: 'bookmark' });
    const { forget } = plan([theirs, ...many.slice(1)], {
      stored: all.filter(({ guid: id }) => id !== guid(2)),
      bookmarks: 2,
      tidy: { open: new Set([guid(3)]) },
    }).item.tidying;
    assert.deepEqual(
      forget,
      [4, 5, 6, 7, 8, 9, 10, 11].map((id) => mark(id).name),
    );
  });

  it('are ours by their names, with a GUID behind where one was taken', () => {
    for (const name of [own(1).name, `${own(1).name}-${guid(1)}`, temporary(1).name]) {
      assert.ok(isOwnBookmark(name), name);
    }
    for (const name of ['daily', 'zkeep', 'zkeep-daily', `daily-${guid(1)}`]) assert.ok(!isOwnBookmark(name));
  });
});

describe('whatever a source and a repository have', () => {
  it('the next backup finds a base, and nothing goes that is not ours, stored and remembered', () => {
    const ids = fc.uniqueArray(fc.integer({ min: 1, max: 20 }), { maxLength: 12 });
    const facts = fc.record({
      own: ids,
      temporary: ids,
      foreign: ids,
      marks: ids,
      stored: ids,
      broken: ids,
      open: ids,
      keep: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
      bookmarks: fc.integer({ min: 1, max: 4 }),
      refresh: fc.boolean(),
    });
    fc.assert(
      fc.property(facts, (given) => {
        const rest = given.foreign.filter((id) => !given.own.includes(id));
        const last = given.temporary.filter((id) => !given.own.includes(id) && !rest.includes(id));
        const points = [
          ...given.own.map((id) => own(id)),
          ...rest.map((id) => point('tank/a', `daily-${id}`, id)),
          ...last.map((id) => temporary(id)),
          ...given.marks.map((id) => mark(id)),
        ].toSorted((one, other) => (one.createtxg < other.createtxg ? -1 : 1));
        const whole = given.stored.filter((id) => !given.broken.includes(id));
        const stored = known(...given.stored).map((one) =>
          whole.some((id) => guid(id) === one.guid) ? one : { ...one, restorable: false, flags: null },
        );
        const open = new Set(given.open.map(guid));
        const { keep, bookmarks, refresh } = given;
        const made = plan(points, { stored, keep: keep as number, bookmarks, refresh, tidy: { open } });
        const { item } = made;
        for (const { snapshot } of item.tidying.destroy) {
          if (snapshot === item.snapshot) continue;
          const gone = points.find(({ kind, name }) => kind === 'snapshot' && name === snapshot);
          assert.ok(gone && given.own.some((id) => own(id).name === snapshot), `${snapshot} is ours`);
          assert.ok(
            whole.some((id) => guid(id) === gone.guid) && !open.has(gone.guid),
            `${snapshot} is kept`,
          );
        }
        for (const name of item.tidying.forget) assert.ok(isOwnBookmark(name));
        for (const { snapshot } of made.temporary.flatMap(({ destroy }) => destroy)) {
          assert.ok(last.some((id) => temporary(id).name === snapshot && !open.has(guid(id))));
        }
        // What is left then is enough to go on from what was stored now.
        assert.ok(!item.tidying.forget.includes(item.bookmark));
      }),
    );
  });
});
