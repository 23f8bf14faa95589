import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { Numbered } from '../../../catalog/chain/retention/numbered.ts';
import { placesOf, successorsOf } from '../../../catalog/chain/retention/places.ts';
import { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import { backupId, type Draft, drafts, manifestOf } from './manifests.ts';

describe('a dataset that had several names', () => {
  let index: CatalogIndex;
  beforeEach(() => {
    index = new CatalogIndex(':memory:');
  });
  afterEach(() => index.close());

  const keep = (...given: Draft[]) => {
    for (const draft of given) index.add(manifestOf({ own: 901, ...draft }));
  };
  const full = (number: number, dataset: string, more: Partial<Draft> = {}) =>
    keep({ number, from: null, to: number, dataset, ...more });
  const continued = () =>
    index.states().map(({ host, dataset, continued: to }) => `${host} ${dataset} > ${to?.dataset ?? '-'}`);

  it('goes on under its new name, though its first backup there was a full one', () => {
    full(1, 'tank/old');
    full(2, 'tank/new');
    assert.deepEqual(continued(), ['alpha tank/new > -', 'alpha tank/old > tank/new']);
    assert.deepEqual(index.states({ dataset: 'tank/old' })[0]?.continued, {
      host: 'alpha',
      dataset: 'tank/new',
    });
  });

  it('goes on under the name that it has now, also when it had that before', () => {
    full(1, 'tank/a');
    full(2, 'tank/b');
    full(3, 'tank/c');
    full(4, 'tank/b');
    assert.deepEqual(continued(), ['alpha tank/a > tank/b', 'alpha tank/b > -', 'alpha tank/c > tank/b']);
  });

  it('goes on though what linked its names was removed, and only an older snapshot of the old one is left', () => {
    keep(
      { number: 1, from: null, to: 1, dataset: 'tank/old' },
      { number: 2, from: 1, to: 2, dataset: 'tank/old' },
      { number: 3, from: 2, to: 3, dataset: 'tank/new' },
      { number: 4, from: null, to: 4, dataset: 'tank/new' },
    );
    index.remove([backupId(3), backupId(2)]);
    assert.deepEqual(continued(), ['alpha tank/new > -', 'alpha tank/old > tank/new']);
  });

  it('does not go on elsewhere when another one has its old name, or bears its GUIDs on another host', () => {
    full(1, 'tank/old');
    full(2, 'tank/new');
    full(3, 'tank/old', { own: 902 });
    full(4, 'tank/new', { host: 'beta' });
    assert.deepEqual(continued(), ['alpha tank/new > -', 'beta tank/new > -', 'alpha tank/old > -']);
  });

  it('does not go on elsewhere when it does not tell, or a clock was wrong', () => {
    full(1, 'tank/a', { own: null });
    full(2, 'tank/b', { own: null });
    full(3, 'tank/c', { created: 2_000_000_000 });
    full(4, 'tank/d');
    assert.deepEqual(
      continued().map((one) => one.endsWith('-')),
      [true, true, true, true],
    );
  });

  it('is listed with all its names', () => {
    full(1, 'tank/a');
    full(2, 'tank/b');
    full(3, 'tank/b', { own: 902 });
    full(4, 'tank/a', { host: 'beta' });
    const names = index
      .renamedDatasets()
      .map((places) => places.map(({ host, dataset }) => `${host} ${dataset}`));
    assert.deepEqual(
      names.map((of) => of.sort()),
      [['alpha tank/a', 'alpha tank/b']],
    );
  });

  it('is told of as retention counts it: what goes on there is not waited for here', () => {
    fc.assert(
      fc.property(drafts, (given) => {
        const made = new CatalogIndex(':memory:');
        try {
          for (const draft of given) made.add(manifestOf(draft));
          const graph = new Numbered([...made.edges()]);
          const successors = successorsOf(graph, placesOf(graph));
          const states = new Map(made.states().map((state) => [`${state.host} ${state.dataset}`, state]));
          for (const [here, there] of successors) {
            const to = states.get(`${here.host} ${here.dataset}`)?.continued;
            assert.ok(to, `${here.dataset} on ${here.host} goes on in ${there.dataset} on ${there.host}`);
          }
          for (const { host, dataset, continued: to } of states.values()) {
            const { renamed, links } = byHand(given, { host, dataset });
            if (renamed) assert.equal(to?.dataset, renamed);
            else assert.equal(to !== null, links);
          }
        } finally {
          made.close();
        }
      }),
      { numRuns: 300 },
    );
  });
});

/** In few lines of its own: the name that the dataset of the newest backup here has now, and whether others hang on that. */
function byHand(given: readonly Draft[], { host, dataset }: { host: string; dataset: string }) {
  const all = given.map(({ number, to, created = 0, ...draft }) => ({ ...draft, number, to, created }));
  const isHere = (one: (typeof all)[number]) => one.host === host && one.dataset === dataset;
  const byMaking = all.toSorted((a, b) => a.created - b.created || a.number - b.number);
  const newest = byMaking.findLast(isHere) ?? assert.fail('it has no backup');
  const its = byMaking.filter((one) => newest.own != null && one.own === newest.own && one.host === host);
  const last = its.toSorted((a, b) => a.number - b.number).at(-1);
  const madeLast = its.filter(({ created }) => created === its.at(-1)?.created);
  const now = madeLast.some((one) => one.dataset === last?.dataset) ? last?.dataset : undefined;
  return {
    renamed: now === dataset ? undefined : now,
    links: all.some((one) => one.from === newest.to && !isHere(one)),
  };
}
