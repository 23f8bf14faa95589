import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { costOfDamage } from '../../../catalog/chain/damage.ts';
import type { BackupEdge } from '../../../catalog/chain/graph.ts';
import type { BackupId, Guid } from '../../../catalog/words.ts';
import { edge, everyPath, goTogether, graphs, guid, LARGE, PLAIN, RAW } from './graphs.ts';

const SNAPSHOTS = [1, 2, 3, 4, 5, 6].map(guid);
const chainsTo = (edges: readonly BackupEdge[], to: Guid) =>
  [...everyPath(edges, to)].filter((path) => path[0]?.from === null && goTogether(path));
const reachable = (edges: readonly BackupEdge[]) =>
  SNAPSHOTS.filter((snapshot) => chainsTo(edges, snapshot).length > 0);

/** A graph, some of its backups damaged. */
const broken = fc.tuple(graphs, fc.infiniteStream(fc.nat({ max: 3 }))).map(([edges, chance]) => ({
  edges,
  damaged: new Set(edges.filter(() => chance.next().value === 0).map(({ backup }) => backup)),
}));

/** The costs of all that is damaged, by backup. */
function costsOf({ edges, damaged }: { edges: readonly BackupEdge[]; damaged: ReadonlySet<BackupId> }) {
  const { costOf, restorable } = costOfDamage(edges, damaged);
  const costs = edges.flatMap(({ backup }) => {
    const cost = costOf(backup);
    return cost ? [[backup, cost] as const] : [];
  });
  return { costs: new Map(costs), restorable };
}

function costs(edges: readonly BackupEdge[], ...damaged: BackupEdge[]) {
  const found = costOfDamage(edges, new Set(damaged.map(({ backup }) => backup)));
  return damaged.map(({ backup }) => found.costOf(backup) ?? assert.fail('a damaged backup is left out'));
}

test('what is lost by several is what can be restored with them and cannot without, each by one at least', () => {
  fc.assert(
    fc.property(broken, ({ edges, damaged }) => {
      const whole = edges.filter(({ backup }) => !damaged.has(backup));
      const found = costsOf({ edges, damaged });
      const restorable = reachable(whole);
      assert.deepEqual([...found.restorable].sort(), restorable);
      const lost = new Set([...found.costs.values()].flatMap((cost) => cost.lost));
      assert.deepEqual(
        [...lost].sort(),
        reachable(edges).filter((snapshot) => !restorable.includes(snapshot)),
      );
      assert.deepEqual([...found.costs.keys()].sort(), [...damaged].sort());
    }),
    { numRuns: 2000 },
  );
});

test('each snapshot is lost by a backup that is on a way to it, the last damaged one on some', () => {
  fc.assert(
    fc.property(broken, ({ edges, damaged }) => {
      for (const [backup, { lost }] of costsOf({ edges, damaged }).costs) {
        for (const snapshot of lost) {
          assert.ok(isOnAWay(edges, backup, snapshot), `${snapshot} is not behind ${backup}`);
        }
      }
    }),
    { numRuns: 2000 },
  );
});

/** Whether a walk from a backup on leads to a snapshot, circles and all. */
function isOnAWay(edges: readonly BackupEdge[], backup: BackupId, snapshot: Guid): boolean {
  const walk = new Set(edges.filter((one) => one.backup === backup));
  for (const step of walk) for (const next of edges) if (next.from === step.to) walk.add(next);
  return [...walk].some(({ to }) => to === snapshot);
}

test('a backup is repaired when it costs nothing and its snapshot can be restored', () => {
  fc.assert(
    fc.property(broken, ({ edges, damaged }) => {
      const { costs, restorable } = costsOf({ edges, damaged });
      for (const one of edges) {
        const cost = costs.get(one.backup);
        if (cost) assert.equal(cost.repaired, cost.lost.length === 0 && restorable.has(one.to));
      }
    }),
  );
});

test('the order of the backups does not matter', () => {
  fc.assert(
    fc.property(broken, ({ edges, damaged }) => {
      const one = costsOf({ edges, damaged });
      const other = costsOf({ edges: [...edges].reverse(), damaged });
      assert.deepEqual(new Map([...other.costs].sort()), new Map([...one.costs].sort()));
    }),
  );
});

test('an increment in the middle takes all that hang on it along, and not what is before it', () => {
  const [full, middle, last] = [edge(null, 1), edge(1, 2), edge(2, 3)];
  const [cost] = costs([full, middle, last], middle);
  assert.deepEqual(cost, { lost: [guid(2), guid(3)], repaired: false });
});

test('sent again between the same snapshots, it is repaired, and so is all behind it', () => {
  const [full, middle, last, again] = [edge(null, 1), edge(1, 2), edge(2, 3), edge(1, 2)];
  assert.deepEqual(costs([full, middle, last, again], middle), [{ lost: [], repaired: true }]);
});

test('what goes around it saves what is behind, not its own snapshot', () => {
  const [full, middle, around] = [edge(null, 1), edge(1, 2), edge(1, 3)];
  assert.deepEqual(costs([full, middle, around], middle), [{ lost: [guid(2)], repaired: false }]);
});

test('a repaired one does not answer for the next damaged one behind it', () => {
  const [full, one, again, other] = [edge(null, 1), edge(1, 2), edge(1, 2), edge(2, 3)];
  assert.deepEqual(costs([full, one, again, other], one, other), [
    { lost: [], repaired: true },
    { lost: [guid(3)], repaired: false },
  ]);
});

test('two in a row both answer for what is behind both', () => {
  const [full, one, other] = [edge(null, 1), edge(1, 2), edge(2, 3)];
  assert.deepEqual(costs([full, one, other], one, other), [
    { lost: [guid(2), guid(3)], repaired: false },
    { lost: [guid(3)], repaired: false },
  ]);
});

test('one that no chain led to has lost nothing, and is not repaired either', () => {
  const behindAGap = edge(1, 2);
  assert.deepEqual(costs([behindAGap], behindAGap), [{ lost: [], repaired: false }]);
});

test('a stand-in with other flags does not save what cannot follow it', () => {
  const [raw, plain, next] = [
    edge(null, 1, { flags: RAW }),
    edge(null, 1, { flags: PLAIN }),
    edge(1, 2, { flags: RAW }),
  ];
  assert.deepEqual(costs([raw, plain, next], raw), [{ lost: [guid(2)], repaired: false }]);
  const [large, small, follows] = [
    edge(null, 1, { flags: LARGE }),
    edge(null, 1, { flags: PLAIN }),
    edge(1, 2, { flags: LARGE }),
  ];
  assert.deepEqual(costs([large, small, follows], large), [{ lost: [], repaired: true }]);
});
