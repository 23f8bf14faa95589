import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CatalogIndex } from '../../../../catalog/index/catalog-index.ts';
import { type Entry, FACT_KINDS } from '../../../../catalog/journal/entry.ts';
import type { LineageId } from '../../../../catalog/words.ts';
import { allPages } from '../asking.ts';
import { backupId, guid, manifestOf } from '../manifests.ts';
import { at, damaged, drilled, entry, journals, marked, policy, proven, removed } from './entries.ts';

const lastOf = (index: CatalogIndex, lineage: LineageId) => index.drills({ lineage, limit: 1 }).drills[0];
const lineageOf = (number: number) => backupId(number) as string as LineageId;

function indexOf(entries: readonly Entry[], backups: number[] = []): CatalogIndex {
  const index = new CatalogIndex(':memory:');
  for (const number of backups) index.add(manifestOf({ number, from: null, to: number }));
  index.apply(entries);
  return index;
}

describe('events', () => {
  test('come newest first, by kind, dataset, host and time, whatever the size of a page', () => {
    const queries = fc.record(
      {
        kinds: fc.constantFrom('policy', 'backups.marked', 'backups,pin.set', 'p', 'none'),
        dataset: fc.constantFrom('tank/fs', 'tank/none'),
        host: fc.constantFrom('alpha', 'beta'),
        since: fc.integer({ min: 0, max: 20 }).map(at),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(journals, queries, fc.integer({ min: 1, max: 4 }), (entries, query, limit) => {
        const index = indexOf(entries);
        const starts = query.kinds?.split(',');
        const expected = entries
          .filter(({ fact }) => starts?.some((start) => fact.kind.startsWith(start)) ?? true)
          .filter(({ about = [] }) => {
            if (query.dataset === undefined && query.host === undefined) return true;
            return about.some(
              (place) =>
                (query.dataset ?? place.dataset) === place.dataset &&
                (query.host ?? place.host) === place.host,
            );
          })
          .filter((one) => one.at >= (query.since ?? ''))
          .reverse();
        assert.deepEqual(
          allPages((after) => index.events({ ...query, ...after, limit }), 'events'),
          expected.map(({ id, at, by, fact, about }) => ({ id, at, by, fact, ...(about ? { about } : {}) })),
        );
      }),
      { numRuns: 100 },
    );
  });

  test('that are long make short pages, and none is left out', () => {
    const numbers = Array.from({ length: 1000 }, (_, number) => number);
    const entries = Array.from({ length: 60 }, (_, number) => {
      const proofs = numbers.map((backup) => ({
        backup: backupId(number * 1000 + backup * 7919),
        depth: 'deep' as const,
        bytes: (backup * 7919 * number) % 1e9,
        frames: 0,
      }));
      return entry(number, { kind: 'proven', proofs });
    });
    const index = indexOf(entries);
    const first = index.events({ limit: 1000 });
    const found = allPages((after) => index.events({ limit: 1000, ...after }), 'events');
    assert.deepEqual(
      found.map(({ id }) => id),
      entries.map(({ id }) => id).reverse(),
    );
    assert.ok(JSON.stringify(first).length < 64 * 1024 * 1024);
    assert.deepEqual(found.at(-1)?.fact, entries[0]?.fact);
  });

  test('know all kinds of facts', () => {
    assert.ok(FACT_KINDS.length >= 19);
    assert.ok(FACT_KINDS.includes('policy.set') && FACT_KINDS.includes('enrolled'));
  });

  test('refuse a page that is not theirs', () => {
    const index = indexOf([]);
    assert.throws(() => index.events({ after: 'nonsense' }), { code: 'index.after' });
    assert.throws(() => index.events({ limit: 0 }), { code: 'index.limit' });
  });
});

describe('proofs', () => {
  test('never made come first, then the oldest; a deep one is a light one', () => {
    const index = indexOf(
      [entry(5, proven(1)), entry(3, proven(2, 'deep')), entry(9, proven(3))],
      [1, 2, 3, 4],
    );
    const order = (query: Parameters<typeof index.proofs>[0]) =>
      index.proofs(query).map(({ backup }) => [1, 2, 3, 4].find((number) => backupId(number) === backup));
    assert.deepEqual(order({ depth: 'light' }), [4, 2, 1, 3]);
    assert.deepEqual(order({ depth: 'light', before: at(5) }), [4, 2]);
    assert.deepEqual(order({ depth: 'light', limit: 2 }), [4, 2]);
    assert.deepEqual(order({ depth: 'deep' }), [1, 3, 4, 2]);
    assert.deepEqual(order({ depth: 'light', dataset: 'tank/none' }), []);
    assert.deepEqual(order({ depth: 'light', dataset: 'tank/fs', host: 'alpha' }), [4, 2, 1, 3]);
    assert.deepEqual(index.proofs({ depth: 'light', limit: 2 })[1], {
      backup: backupId(2),
      light: at(3),
      deep: at(3),
    });
  });

  test('of what is damaged do not stand in the way of the others', () => {
    const index = indexOf([entry(1, proven(2)), entry(5, damaged(1))], [1, 2]);
    assert.deepEqual(
      index.proofs({ depth: 'light' }).map(({ backup, light }) => [backup, light]),
      [
        [backupId(2), at(1)],
        [backupId(1), null],
      ],
    );
    assert.deepEqual(index.proofs({ depth: 'light', before: at(5) }).length, 1);
  });

  test('that came before the backup are known when it comes', () => {
    const index = indexOf([entry(1, proven(1)), entry(2, damaged(2))]);
    assert.deepEqual(index.proofs({ depth: 'light' }), []);
    index.add(manifestOf({ number: 1, from: null, to: 1 }));
    index.add(manifestOf({ number: 2, from: null, to: 2 }));
    assert.deepEqual(
      index.proofs({ depth: 'light' }).map(({ light }) => light),
      [at(1), null],
    );
    assert.equal(index.known([guid(2)])[0]?.restorable, false);
  });
});

describe('drills', () => {
  const entries = [
    entry(1, drilled(1, 1)),
    entry(2, drilled(2, 1, { passed: false })),
    entry(3, drilled(9, 9, { dataset: 'tank/other', host: 'beta' })),
  ];

  test('come newest first, by dataset and host, page by page', () => {
    const index = indexOf(entries);
    const times = (query: { dataset?: string; host?: string }) =>
      allPages((after) => index.drills({ ...query, ...after, limit: 1 }), 'drills').map((drill) => drill.at);
    assert.deepEqual(times({}), [at(3), at(2), at(1)]);
    assert.deepEqual(times({ dataset: 'tank/fs' }), [at(2), at(1)]);
    assert.deepEqual(times({ host: 'beta' }), [at(3)]);
    assert.deepEqual(times({ dataset: 'tank/fs', host: 'beta' }), []);
  });

  test('stay with their lineage when the backup that it was called by is removed', () => {
    const index = new CatalogIndex(':memory:');
    for (let number = 1; number <= 4; number++) {
      index.add(manifestOf({ number, from: number === 1 ? null : number - 1, to: number }));
    }
    index.apply(entries);
    const last = () => lastOf(index, index.lineages().lineages[0]?.lineage ?? lineageOf(1))?.at;
    assert.equal(last(), at(2));
    index.remove(backupId(1));
    assert.equal(last(), at(2), 'the snapshot of the drill is still there');
    index.remove([backupId(2), backupId(3)]);
    assert.equal(last(), at(2), 'its dataset is');
    assert.equal(lastOf(index, lineageOf(77)), undefined);
  });

  test('of a lineage are not those of another one of the same dataset', () => {
    const index = indexOf(entries, [1, 5]);
    assert.equal(lastOf(index, lineageOf(1))?.at, at(2));
    assert.equal(lastOf(index, lineageOf(5)), undefined);
    assert.deepEqual(
      index.drills({ lineage: lineageOf(1) }).drills.map((drill) => drill.at),
      [at(2), at(1)],
    );
  });
});

describe('what is kept of the journal', () => {
  test('is told apart by its content mark, but for ends of jobs', () => {
    const index = indexOf([]);
    const marks = new Set([index.contentMark()]);
    const look = (work: () => unknown) => {
      work();
      marks.add(index.contentMark());
      return marks.size;
    };
    assert.equal(
      look(() => index.add(manifestOf({ number: 1, from: null, to: 1 }))),
      2,
    );
    assert.equal(
      look(() => index.apply([entry(1, { kind: 'policy.set', policy: policy('a') })])),
      3,
    );
    assert.equal(
      look(() => index.apply([entry(2, marked(1))])),
      4,
    );
    const fact = { kind: 'job.ended', job: 'copy', outcome: 'done', seconds: 1, words: '' } as const;
    assert.equal(
      look(() => index.apply([entry(3, fact)])),
      4,
    );
    const replace = () => {
      index.remove(backupId(1));
      index.add(manifestOf({ number: 2, from: null, to: 2 }));
      index.apply([entry(4, removed(1))]);
    };
    assert.equal(look(replace), 5);
  });

  test('of an older index begins empty', () => {
    const index = indexOf([]);
    assert.deepEqual(
      [index.journal.last(), index.lastEntry(), index.journal.partly()],
      [undefined, undefined, []],
    );
    assert.deepEqual(index.journal.unknown(['journal/a.json']), ['journal/a.json']);
    index.apply([], [{ key: 'journal/a.json', whole: false }]);
    assert.deepEqual(
      [index.journal.unknown(['journal/a.json']), index.journal.partly()],
      [[], ['journal/a.json']],
    );
    index.apply([], [{ key: 'journal/a.json', whole: true }]);
    assert.deepEqual(index.journal.partly(), []);
  });
});
