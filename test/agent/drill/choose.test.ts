import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Candidate, chooseDataset, chooseOne } from '../../../agent/drill/choose.ts';
import { guidOf } from '../../../catalog/words.ts';

const NOW = Date.parse('2026-11-20T12:00:00Z');
const newest = { guid: guidOf(1n), name: 'one', created: 1 };

/** @param ago seconds since its last drill; `null`: there was none. */
function candidate(dataset: string, ago: number | null, able = true): Candidate {
  const at = new Date(NOW - (ago ?? 0) * 1000).toISOString();
  const drill = ago === null ? null : { at, passed: true, seconds: 1, bytes: 1 };
  return { dataset, host: 'h', newest: able ? newest : null, drill };
}

test('where nothing can be restored nothing is chosen', () => {
  assert.equal(chooseDataset([], NOW, 0), undefined);
  assert.equal(chooseDataset([candidate('a', null, false)], NOW, 0.5), undefined);
});

test('each weighs the time since its last drill, and one that was never drilled twice the longest', () => {
  const rows = [candidate('day', 100), candidate('week', 300), candidate('never', null)];
  const chosen = (chance: number) => chooseDataset(rows, NOW, chance)?.dataset;
  assert.deepEqual([chosen(0), chosen(0.099), chosen(0.101)], ['day', 'day', 'week']);
  assert.deepEqual([chosen(0.399), chosen(0.401), chosen(0.999)], ['week', 'never', 'never']);
});

test('a drill that a clock puts into the future still leaves a dataset its turn', () => {
  assert.equal(chooseDataset([candidate('a', -1000)], NOW, 0.9)?.dataset, 'a');
});

test('whatever chance says, something that can be restored is chosen', () => {
  const rows = fc.array(fc.tuple(fc.option(fc.integer({ min: -1e6, max: 1e9 })), fc.boolean()), {
    minLength: 1,
  });
  fc.assert(
    fc.property(rows, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (drawn, chance) => {
      const all = drawn.map(([ago, able], at) => candidate(`d${at}`, ago, able));
      const chosen = chooseDataset(all, NOW, chance);
      assert.equal(
        chosen !== undefined,
        drawn.some(([, able]) => able),
      );
      assert.notEqual(chosen?.newest, null);
    }),
  );
});

test('one of all is chosen, and of none none', () => {
  assert.deepEqual([chooseOne([], 0.5), chooseOne([1, 2], 0), chooseOne([1, 2], 0.999)], [undefined, 1, 2]);
});
