import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BackupEdge } from '../../../catalog/chain/graph.ts';
import { lineagesOf } from '../../../catalog/chain/lineage.ts';
import { type Reach, type ReachedGraph, reachAll, reachFrom } from '../../../catalog/chain/reach.ts';
import type { BackupId, Guid } from '../../../catalog/words.ts';
import { backupId, edge, everyPath, goTogether, graphs, guid, leastCost, parseLineage } from './graphs.ts';

const SNAPSHOTS = [1, 2, 3, 4, 5, 6].map(guid);
const chainsTo = (edges: readonly BackupEdge[], to: Guid) =>
  [...everyPath(edges, to)].filter((path) => path[0]?.from === null && goTogether(path));

/** A graph in which these chains stand. */
function graphOf(edges: readonly BackupEdge[], chains: ReadonlyMap<BackupId, Reach>): ReachedGraph {
  const reached = (found: readonly BackupEdge[]) =>
    found.map((edge) => ({ edge, reach: chains.get(edge.backup) }));
  return {
    entering: (to) => reached(edges.filter((edge) => edge.to === to)),
    leaving: (from) => reached(edges.filter((edge) => edge.from === from)),
  };
}

test('the cheapest chain to each snapshot is what trying every path finds', () => {
  fc.assert(
    fc.property(graphs, (edges) => {
      const chains = reachAll(edges);
      for (const to of SNAPSHOTS) {
        const entering = edges
          .filter((edge) => edge.to === to)
          .flatMap((edge) => chains.get(edge.backup) ?? []);
        const costs = entering.map(({ cost, steps }) => ({ stored: cost, steps }));
        const [cheapest] = costs.sort((a, b) => a.stored - b.stored || a.steps - b.steps);
        assert.deepEqual(cheapest, leastCost(chainsTo(edges, to)));
      }
    }),
    { numRuns: 1000 },
  );
});

test('so is the cheapest chain that ends with each backup', () => {
  const withoutCircles = graphs.map((edges) => edges.filter(({ from, to }) => from === null || from < to));
  fc.assert(
    fc.property(withoutCircles, (edges) => {
      const chains = reachAll(edges);
      for (const edge of edges) {
        const chain = chains.get(edge.backup);
        const least = leastCost(chainsTo(edges, edge.to).filter((path) => path.at(-1) === edge));
        assert.deepEqual(chain && { stored: chain.cost, steps: chain.steps }, least);
        if (chain?.before) assert.equal(edges.find(({ backup }) => backup === chain.before)?.to, edge.from);
      }
    }),
    { numRuns: 1000 },
  );
});

test('bringing it up to date backup by backup, in any order, gives the same as all at once', () => {
  fc.assert(
    fc.property(graphs, fc.infiniteStream(fc.nat()), (edges, chance) => {
      const chains = new Map<BackupId, Reach>();
      const added: BackupEdge[] = [];
      const order = edges.map((edge) => ({ edge, at: chance.next().value })).sort((a, b) => a.at - b.at);
      for (const { edge } of order) {
        added.push(edge);
        for (const [backup, reach] of reachFrom([edge], graphOf(added, chains))) chains.set(backup, reach);
      }
      assert.deepEqual(chains, reachAll(edges));
    }),
    { numRuns: 1000 },
  );
});

test('a backup that makes nothing else cheaper changes nothing else', () => {
  const edges = [edge(null, 1), edge(1, 2), edge(2, 3)];
  const dear = edge(null, 2, { stored: 1000 });
  const changed = reachFrom([dear], graphOf([...edges, dear], reachAll(edges)));
  assert.deepEqual(changed, new Map([[dear.backup, { cost: 1000, steps: 1, before: null }]]));
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
