import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { asTrees, byNewest, coveredNow } from '../../../agent/daemon/covered.ts';
import type { PointFacts } from '../../../agent/zfs/list.ts';
import { guidOf } from '../../../catalog/words.ts';

const here = ['tank', 'tank/a', 'tank/a/x', 'tank/b', 'tank/scratch', 'tank/vol', 'ssd', 'ssd/a'].map(
  (dataset) => ({
    dataset,
    type: dataset === 'tank/vol' ? ('volume' as const) : ('filesystem' as const),
  }),
);
const covered = (patterns: string[], more: { named?: string[]; only?: 'filesystem' | 'volume' } = {}) =>
  coveredNow({ kind: 'datasets', patterns, named: more.named ?? [], only: more.only }, here);

describe('what a job covers', () => {
  it('is what fits its patterns now, and not what is excluded', () => {
    assert.deepEqual(covered(['tank/**', '!tank/scratch']).datasets, [
      'tank',
      'tank/a',
      'tank/a/x',
      'tank/b',
      'tank/vol',
    ]);
    assert.deepEqual(covered(['tank/*']).datasets, ['tank/a', 'tank/b', 'tank/scratch', 'tank/vol']);
  });

  it('is only what is of its kind', () => {
    assert.deepEqual(covered(['tank/**'], { only: 'volume' }).datasets, ['tank/vol']);
  });

  it('names what is not there of plain names, but nothing of patterns', () => {
    assert.deepEqual(covered(['tank/a', 'tank/gone', 'no/*'], { named: ['tank/a', 'tank/gone'] }), {
      datasets: ['tank/a'],
      lacking: ['tank/gone'],
    });
  });
});

describe('whole trees', () => {
  it('are named by their tops', () => {
    assert.deepEqual(asTrees(['tank/a', 'tank/a/x', 'ssd', 'ssd/a'], here), {
      datasets: ['tank/a', 'ssd'],
      recursive: true,
    });
  });

  it('with a gap, or single ones, are named one by one', () => {
    for (const datasets of [
      ['tank', 'tank/a', 'tank/a/x', 'tank/b', 'tank/vol'],
      ['tank/a', 'tank/a/x', 'tank'],
      ['ssd/a'],
    ])
      assert.deepEqual(asTrees(datasets, here), { datasets, recursive: false });
  });

  it('mean just the datasets that are covered', () => {
    const names = fc.constantFrom('p', 'p/a', 'p/a/b', 'p/a/c', 'p/d', 'p/d/e', 'q', 'q/a');
    fc.assert(
      fc.property(fc.uniqueArray(names), fc.uniqueArray(names), (one, other) => {
        const all = [...new Set([...one, ...other])].sort().map((dataset) => ({ dataset }));
        const chosen = all.map(({ dataset }) => dataset).filter((dataset) => one.includes(dataset));
        const { datasets, recursive } = asTrees(chosen, all);
        const meant = all.filter(({ dataset }) =>
          datasets.some((top) => dataset === top || (recursive && dataset.startsWith(`${top}/`))),
        );
        assert.deepEqual(
          meant.map(({ dataset }) => dataset),
          chosen,
        );
      }),
    );
  });
});

it('the newest snapshot that fits is stored, those without one are named', () => {
  const point = (dataset: string, name: string, kind: PointFacts['kind'] = 'snapshot'): PointFacts => {
    return { dataset, kind, name, guid: guidOf(1n), createtxg: 1n, created: 1, references: 0 };
  };
  const sources = [
    { dataset: 'a', points: [point('a', 'auto_1'), point('a', 'auto_2'), point('a', 'hand')] },
    { dataset: 'b', points: [point('b', 'auto_2'), point('b', 'auto_3', 'bookmark')] },
    { dataset: 'c', points: [point('c', 'auto_1')] },
    { dataset: 'd', points: [point('d', 'hand')] },
  ];
  const { batches, without } = byNewest(sources, 'auto_*');
  assert.deepEqual(Object.fromEntries(batches), { auto_2: ['a', 'b'], auto_1: ['c'] });
  assert.deepEqual(without, ['d']);
});
