import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import { at, damaged, drilled, entry, proven } from './journal/entries.ts';
import { backupId, type Draft, guid, manifestOf } from './manifests.ts';

describe('how a dataset stands', () => {
  let index: CatalogIndex;
  beforeEach(() => {
    index = new CatalogIndex(':memory:');
  });
  afterEach(() => index.close());

  const keep = (...drafts: Draft[]) => {
    for (const draft of drafts) index.add(manifestOf(draft));
  };
  const only = () => {
    const [state, ...more] = index.states();
    assert.deepEqual(more, []);
    return state ?? assert.fail('there is no dataset');
  };

  it('is of the newest snapshot that a whole chain leads to; the others are lost', () => {
    keep({ number: 1, from: null, to: 1 }, { number: 2, from: 1, to: 2 }, { number: 3, from: 2, to: 3 });
    assert.deepEqual([only().newest?.guid, only().newest?.steps, only().lost], [guid(3), 3, 0]);
    index.apply([entry(1, damaged(2))]);
    const { newest, lost, damaged: broken, snapshots } = only();
    assert.deepEqual([newest?.guid, newest?.steps, lost, broken, snapshots], [guid(1), 1, 2, 1, 3]);
  });

  it('is of none when nothing leads to it', () => {
    keep({ number: 2, from: 1, to: 2 });
    assert.deepEqual([only().newest, only().lost], [null, 1]);
  });

  it('of snapshots of one second, is of the one that was stored last', () => {
    const created = 1_700_000_000;
    keep({ number: 1, from: null, to: 1, created }, { number: 2, from: 1, to: 2, created });
    assert.deepEqual([only().newest?.guid, only().newest?.steps], [guid(2), 2]);
  });

  it('tells the oldest look at its backups only when all were looked at', () => {
    keep({ number: 1, from: null, to: 1 }, { number: 2, from: 1, to: 2 });
    index.apply([entry(5, proven(1))]);
    assert.deepEqual([only().light, only().deep], [null, null]);
    index.apply([entry(6, proven(2, 'deep'))]);
    assert.deepEqual([only().light, only().deep], [Date.parse(at(5)), null]);
  });

  it('is told in parts of many datasets, each once, though others come and go between them', () => {
    for (let number = 1; number <= 250; number++) {
      keep({ number, from: null, to: number, dataset: `tank/${String(number).padStart(3, '0')}` });
    }
    const told: string[] = [];
    let parts = 0;
    for (const part of index.statesInParts()) {
      parts += 1;
      told.push(...part.map(({ dataset }) => dataset));
      if (parts > 1) continue;
      keep({ number: 900, from: null, to: 900, dataset: 'tank/0' });
      index.remove([backupId(200), backupId(1)]);
    }
    assert.ok(parts > 1);
    assert.deepEqual([told.length, new Set(told).size], [249, 249]);
    assert.deepEqual([told[0], told.at(-1)], ['tank/001', 'tank/250']);
  });

  it('tells where it goes on after it was renamed, and its last drill', () => {
    keep({ number: 1, from: null, to: 1 }, { number: 2, from: 1, to: 2, dataset: 'tank/renamed' });
    index.apply([entry(1, drilled(1, 1)), entry(2, drilled(1, 1, { passed: false }))]);
    const [old, renamed] = index.states();
    assert.deepEqual(old?.continued, { host: 'alpha', dataset: 'tank/renamed' });
    assert.deepEqual([old?.drill?.passed, old?.drill?.at], [false, at(2)]);
    assert.deepEqual([renamed?.continued, renamed?.drill], [null, null]);
    assert.deepEqual(
      index.states({ dataset: 'tank/renamed' }).map(({ dataset }) => dataset),
      ['tank/renamed'],
    );
    assert.deepEqual([index.states({ host: 'beta' }), String(old?.lineage)], [[], String(backupId(1))]);
  });
});
