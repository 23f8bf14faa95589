import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lineagesOf } from '../../../catalog/chain/lineage.ts';
import { planRestore } from '../../../catalog/chain/restore.ts';
import { selectSnapshot } from '../../../catalog/chain/select.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import { backupOf, type KeptBackup } from '../../../catalog/index/tables/backup.ts';
import type { Wanted } from '../../../catalog/protocol/protocol.ts';
import type { BackupId, Guid, LineageId } from '../../../catalog/words.ts';
import { allPages, outcomeOf } from './asking.ts';
import { type Draft, drafts, guid, manifestOf, shuffled } from './manifests.ts';

const chance = fc.infiniteStream(fc.nat());
const SNAPSHOTS = [1, 2, 3, 4, 5, 6, 7, 8].map(guid);

function indexOf(backups: readonly KeptBackup[]): CatalogIndex {
  const index = new CatalogIndex(':memory:');
  index.addAll(backups);
  return index;
}

const keptOf = (all: readonly Draft[]) => all.map((draft) => backupOf(manifestOf(draft)));

test('the content depends on the set of backups, not on the order or number of adds', () => {
  fc.assert(
    fc.property(drafts, chance, (all, order) => {
      const kept = keptOf(all);
      const index = indexOf(kept);
      const other = new CatalogIndex(':memory:');
      for (const backup of shuffled([...kept, ...kept], order)) other.add(backup);
      assert.deepEqual([...other.dump()], [...index.dump()]);
    }),
    { numRuns: 150 },
  );
});

test('removing leaves what was never added', () => {
  fc.assert(
    fc.property(drafts, fc.infiniteStream(fc.boolean()), chance, (all, choice, order) => {
      const kept = keptOf(all);
      const [stay, go] = [[], []] as [KeptBackup[], KeptBackup[]];
      for (const backup of kept) (choice.next().value ? stay : go).push(backup);
      const index = indexOf(shuffled(kept, order));
      const doomed = go.map(({ backup }) => backup);
      const cut = doomed.length >> 1;
      assert.equal(index.remove(doomed.slice(0, cut)) + index.remove(doomed.slice(cut)), doomed.length);
      assert.deepEqual([...index.dump()], [...indexOf(stay).dump()]);
      index.addAll(shuffled(go, order));
      assert.deepEqual([...index.dump()], [...indexOf(kept).dump()]);
    }),
    { numRuns: 150 },
  );
});

test('what is known, planned and selected is what the chain says of all backups', () => {
  const wanted = fc.record(
    {
      dataset: fc.constantFrom('tank/fs', 'tank/fs', 'tank/other', 'tank/none'),
      host: fc.constantFrom('alpha', 'beta'),
      at: fc.integer({ min: 0, max: 6 }),
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      guids: fc.array(fc.constantFrom(...SNAPSHOTS, guid(9)), { minLength: 1, maxLength: 2 }),
    },
    { requiredKeys: [] },
  );
  const have = fc.uniqueArray(fc.constantFrom(...SNAPSHOTS, guid(9)), { maxLength: 3 });
  fc.assert(
    fc.property(drafts, wanted, have, fc.boolean(), (all, words, has, rollback) => {
      const kept = keptOf(all);
      const index = indexOf(kept);
      assertKnown(index, kept);
      const expected = outcomeOf(() => select(kept, words));
      const found = outcomeOf(() => index.select(words));
      assert.deepEqual(found, expected);
      if (found instanceof ZkeepError) return;
      const question = { edges: kept, wanted: found.guid, have: has, rollback };
      const answer = planRestore(question);
      const plan = outcomeOf(() => index.plan({ wanted: words, have: has, rollback }));
      if (!answer.possible) assert.ok(plan instanceof ZkeepError && plan.code.startsWith('chain.'));
      else {
        assert.ok(!(plan instanceof ZkeepError));
        const { base, stored, bytes, steps } = plan;
        assert.deepEqual([stored, steps.length], [answer.path.stored, answer.path.steps.length]);
        assert.equal(
          bytes,
          steps.reduce((sum, step) => sum + step.bytes, 0),
        );
        assert.equal(base, steps[0] ? steps[0].from : has[0] ? found.guid : null);
        for (const step of steps) assert.deepEqual(step, index.backup(step.backup));
      }
    }),
    { numRuns: 500 },
  );
});

test('lists give every row once, page by page, in an order that does not change', () => {
  fc.assert(
    fc.property(drafts, fc.integer({ min: 1, max: 3 }), (all, limit) => {
      const kept = keptOf(all);
      const index = indexOf(kept);
      const ids = (backups: readonly { backup: BackupId }[]) =>
        backups.map(({ backup }) => backup as string).sort();
      const filters = [{}, { dataset: 'tank/fs' }, { host: 'alpha' }, { dataset: 'tank/fs', host: 'beta' }];
      for (const filter of filters) {
        const backups = allPages((after) => index.backups({ ...filter, ...after, limit }), 'backups');
        assert.deepEqual(ids(backups), ids(kept.filter((backup) => matches(backup, filter))));
        assert.deepEqual(backups, index.backups(filter).backups);
        const snapshots = allPages((after) => index.snapshots({ ...filter, ...after, limit }), 'snapshots');
        assert.deepEqual(snapshots.map(keyOf).sort(), [...labels(kept, filter).keys()].sort());
        assert.deepEqual(snapshots, index.snapshots(filter).snapshots);
        const datasets = allPages((after) => index.datasets({ ...filter, ...after, limit }), 'datasets');
        assert.deepEqual(
          datasets,
          datasetsOf(kept).filter((dataset) => matches(dataset, filter)),
        );
        const lineages = allPages((after) => index.lineages({ ...filter, ...after, limit }), 'lineages');
        assert.deepEqual(
          lineages,
          lineagesIn(kept).filter(({ datasets }) => datasets.some((it) => matches(it, filter))),
        );
      }
      for (const { lineage } of lineagesIn(kept)) {
        const within = allPages((after) => index.backups({ lineage, ...after, limit }), 'backups');
        assert.deepEqual(
          ids(within),
          ids(kept.filter((backup) => index.backup(backup.backup)?.lineage === lineage)),
        );
        assert.deepEqual(
          index.lineage(lineage),
          lineagesIn(kept).find((it) => it.lineage === lineage),
        );
      }
    }),
    { numRuns: 150 },
  );
});

type Filter = { dataset?: string; host?: string };

function matches(it: { dataset: string; host: string }, { dataset, host }: Filter): boolean {
  return (dataset === undefined || it.dataset === dataset) && (host === undefined || it.host === host);
}

function newer(a: KeptBackup, b: KeptBackup): KeptBackup {
  return [a.committed, a.backup].join() > [b.committed, b.backup].join() ? a : b;
}

function keyOf({ guid, dataset, host }: { guid: string; dataset: string; host: string }): string {
  return [dataset, host, guid].join(' ');
}

/** By dataset and snapshot the newest backup; without a filter, by snapshot. */
function labels(kept: readonly KeptBackup[], filter: Filter): Map<string, KeptBackup> {
  const isOne = Object.keys(filter).length === 0;
  const newest = new Map<string, KeptBackup>();
  for (const backup of kept.filter((it) => matches(it, filter))) {
    const key = isOne ? backup.to : keyOf({ ...backup, guid: backup.to });
    newest.set(key, newer(backup, newest.get(key) ?? backup));
  }
  return new Map([...newest.values()].map((backup) => [keyOf({ ...backup, guid: backup.to }), backup]));
}

function select(kept: readonly KeptBackup[], wanted: Wanted) {
  const lineages = lineagesOf(kept);
  const { dataset, host } = wanted;
  const filter = { ...(dataset === undefined ? {} : { dataset }), ...(host === undefined ? {} : { host }) };
  const nodes = [...labels(kept, filter).values()].map(({ to, host, dataset, name, created }) => {
    const first = kept
      .filter((it) => it.to === to)
      .map((it) => it.backup)
      .sort()[0];
    return {
      guid: to,
      lineage: lineages.get(to) as LineageId,
      host,
      dataset,
      name,
      created,
      kept: first as BackupId,
    };
  });
  const { kept: _, ...node } = selectSnapshot(nodes, wanted);
  return node;
}

function assertKnown(index: CatalogIndex, kept: readonly KeptBackup[]): void {
  const named = new Set(kept.flatMap(({ from, to }) => [to, ...(from ? [from] : [])]));
  const asked = [...SNAPSHOTS, guid(9)];
  const known = index.known(asked);
  assert.deepEqual(
    known.map((it) => it.guid),
    asked.filter((it) => named.has(it)),
  );
  for (const { guid, restorable, flags } of known) {
    const answer = planRestore({ edges: kept, wanted: guid as Guid, have: [], rollback: false });
    assert.equal(restorable, answer.possible);
    assert.equal(flags !== null, restorable);
    const ways = index.ways(guid).map((way) => JSON.stringify(way));
    assert.equal(flags ? JSON.stringify(flags) : undefined, ways[0]);
  }
}

const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);

function tally(backups: readonly KeptBackup[]) {
  const created = backups.map((backup) => backup.created);
  return {
    snapshots: new Set(backups.map(({ to }) => to)).size,
    stored: sum(backups.map(({ stored }) => stored)),
    oldest: Math.min(...created),
    newest: Math.max(...created),
  };
}

function datasetsOf(kept: readonly KeptBackup[]) {
  const lineages = lineagesOf(kept);
  const groups = Map.groupBy(kept, ({ dataset, host }) => `${dataset} ${host}`);
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, backups]) => {
      const [dataset = '', host = ''] = key.split(' ');
      const parts = [...Map.groupBy(backups, ({ to }) => lineages.get(to))].map(([lineage, part]) => ({
        lineage: lineage as LineageId,
        newest: tally(part).newest,
      }));
      parts.sort((a, b) => b.newest - a.newest || (a.lineage < b.lineage ? 1 : -1));
      return { host, dataset, lineages: parts.map(({ lineage }) => lineage), ...tally(backups) };
    });
}

function lineagesIn(kept: readonly KeptBackup[]) {
  const lineages = lineagesOf(kept);
  const groups = Map.groupBy(kept, ({ to }) => lineages.get(to) as LineageId);
  return [...groups]
    .sort(([a], [b]) => (a < b ? 1 : -1))
    .map(([lineage, backups]) => ({
      lineage,
      datasets: datasetsOf(backups).map(({ host, dataset }) => ({ host, dataset })),
      backups: backups.length,
      ...tally(backups),
    }));
}
