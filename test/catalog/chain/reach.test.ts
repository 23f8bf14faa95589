import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BackupEdge } from '../../../catalog/chain/graph.ts';
import { lineagesOf } from '../../../catalog/chain/lineage.ts';
import { type Reach, reachFrom } from '../../../catalog/chain/reach.ts';
import type { Guid } from '../../../catalog/words.ts';
import { backupId, edge, everyPath, goTogether, graphs, guid, leastCost, parseLineage } from './graphs.ts';

const leavingOf = (edges: readonly BackupEdge[]) => (from: string) =>
  edges.filter((step) => step.from === from);
const SNAPSHOTS = [1, 2, 3, 4, 5, 6].map(guid);
const chainsTo = (edges: readonly BackupEdge[], to: Guid) =>
  [...everyPath(edges, to)].filter((path) => path[0]?.from === null && goTogether(path));
const sorted = (reaches: Iterable<Reach>) => [...reaches].map((reach) => JSON.stringify(reach)).sort();

test('the cheapest chain to each snapshot is what trying every path finds', () => {
  fc.assert(
    fc.property(graphs, (edges) => {
      const reaches = reachFrom(edges, { leaving: leavingOf(edges), standing: () => [] });
      for (const to of SNAPSHOTS) {
        const cheapest = reaches.find((reach) => reach.guid === to);
        const least = leastCost(chainsTo(edges, to));
        assert.deepEqual(cheapest && { stored: cheapest.cost, steps: cheapest.steps }, least);
      }
    }),
    { numRuns: 1000 },
  );
});

test('so it is for each kind of flags that a chain may end with', () => {
  const withoutCircles = graphs.map((edges) => edges.filter(({ from, to }) => from === null || from < to));
  fc.assert(
    fc.property(withoutCircles, (edges) => {
      const reaches = reachFrom(edges, { leaving: leavingOf(edges), standing: () => [] });
      for (const to of SNAPSHOTS) {
        const kinds = Map.groupBy(chainsTo(edges, to), (path) => JSON.stringify(path.at(-1)?.flags));
        const least = new Map([...kinds].map(([kind, paths]) => [kind, leastCost(paths)]));
        const found = reaches
          .filter((reach) => reach.guid === to)
          .map(({ flags, cost, steps }) => [JSON.stringify(flags), { stored: cost, steps }] as const);
        assert.deepEqual(new Map(found), least);
      }
    }),
    { numRuns: 1000 },
  );
});

test('bringing it up to date backup by backup, in any order, gives the same as all at once', () => {
  fc.assert(
    fc.property(graphs, fc.infiniteStream(fc.nat()), (edges, chance) => {
      const kept = new Map<string, Reach>();
      const added: BackupEdge[] = [];
      const order = edges.map((step) => ({ step, at: chance.next().value })).sort((a, b) => a.at - b.at);
      for (const { step } of order) {
        added.push(step);
        const standing = (to: string) => [...kept.values()].filter((reach) => reach.guid === to);
        for (const reach of reachFrom([step], { leaving: leavingOf(added), standing })) {
          kept.set(reach.guid + JSON.stringify(reach.flags), reach);
        }
      }
      const atOnce = reachFrom(edges, { leaving: leavingOf(edges), standing: () => [] });
      assert.deepEqual(sorted(kept.values()), sorted(atOnce));
    }),
    { numRuns: 1000 },
  );
});

test('a backup that makes nothing cheaper changes nothing', () => {
  const edges = [edge(null, 1), edge(1, 2)];
  const first = reachFrom(edges, { leaving: leavingOf(edges), standing: () => [] });
  const dear = edge(null, 2, { stored: 1000 });
  const standing = (to: string) => first.filter((reach) => reach.guid === to);
  assert.deepEqual(reachFrom([dear], { leaving: leavingOf([...edges, dear]), standing }), []);
});

test('a lineage is what hangs together, under the smallest backup id in it', () => {
  const edges = [
    edge(null, 1, { backup: backupId(5) }),
    edge(3, 2, { backup: backupId(2) }),
    edge(7, 8, { backup: backupId(9) }),
    edge(1, 2, { backup: backupId(7) }),
  ];
  const [one, other] = [parseLineage(backupId(2)), parseLineage(backupId(9))];
  assert.deepEqual(
    new Map([...lineagesOf(edges)].sort()),
    new Map(
      [1, 2, 3]
        .map((number) => [guid(number), one] as const)
        .concat([
          [guid(7), other],
          [guid(8), other],
        ]),
    ),
  );
});

test('lineages are those of flooding, whatever the order', () => {
  fc.assert(
    fc.property(graphs, (edges) => {
      const lineages = lineagesOf([...edges].reverse());
      for (const { from, to } of edges) {
        const flooded = flood(edges, to);
        const smallest = edges
          .filter((step) => flooded.has(step.to))
          .map((step) => step.backup as string)
          .sort()[0];
        assert.equal(lineages.get(to), smallest);
        if (from) assert.equal(lineages.get(from), smallest);
      }
    }),
  );
});

function flood(edges: readonly BackupEdge[], start: string): Set<string> {
  const wet = new Set([start]);
  for (const spot of wet) {
    for (const { from, to } of edges) {
      if (from === spot) wet.add(to);
      if (to === spot && from) wet.add(from);
    }
  }
  return wet;
}
