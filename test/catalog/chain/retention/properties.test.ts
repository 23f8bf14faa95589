/** What holds of every plan, whatever the history. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { reachAll } from '../../../../catalog/chain/reach.ts';
import { planRestore } from '../../../../catalog/chain/restore.ts';
import { Chains } from '../../../../catalog/chain/retention/chains.ts';
import type { RetentionEdge } from '../../../../catalog/chain/retention/edge.ts';
import { Numbered } from '../../../../catalog/chain/retention/numbered.ts';
import {
  type Fate,
  inSteps,
  type PlannedRow,
  planRetention,
  type RetentionQuestion,
} from '../../../../catalog/chain/retention/plan.ts';
import type { Guid } from '../../../../catalog/words.ts';
import { DAY, questions } from './histories.ts';

const runs = { numRuns: 1000 };
const edgesOf = (asked: RetentionQuestion) => [...asked.edges];

/** The backups that are left when those of these fates are gone. */
function without(
  asked: RetentionQuestion,
  rows: readonly PlannedRow[],
  fates: readonly Fate[],
): RetentionEdge[] {
  const gone = new Set(rows.filter(({ fate }) => fates.includes(fate)).map(({ backup }) => backup));
  return edgesOf(asked).filter(({ backup }) => !gone.has(backup));
}

/** What a restore of a snapshot fetches; `undefined`: it cannot be restored. */
function cost(
  edges: readonly RetentionEdge[],
  { damaged }: RetentionQuestion,
  wanted: Guid,
): number | undefined {
  const whole = edges.filter(({ backup }) => !damaged.has(backup));
  const answer = planRestore({ edges: whole, wanted, have: [], rollback: false });
  return answer.possible ? answer.path.stored : undefined;
}

function everySnapshot(edges: readonly RetentionEdge[]): Guid[] {
  return [...new Set(edges.map(({ to }) => to))];
}

test('every kept snapshot that could be restored still can, at the same cost, when all that may go is gone', () => {
  fc.assert(
    fc.property(questions, (asked) => {
      const rows = planRetention(asked);
      const left = without(asked, rows, ['mark', 'marked', 'remove']);
      for (const { to, because } of rows) {
        if (because.length === 0) continue;
        assert.equal(cost(left, asked, to), cost(edgesOf(asked), asked, to));
      }
    }),
    runs,
  );
});

test('what is listed after a removal can be restored as before, and after each of its steps', () => {
  fc.assert(
    fc.property(questions, (asked) => {
      const rows = planRetention(asked);
      const doomed = inSteps(rows.filter(({ fate }) => fate === 'remove')).flat();
      let left = edgesOf(asked);
      for (const { backup } of doomed) {
        left = left.filter((edge) => edge.backup !== backup);
        for (const to of everySnapshot(left)) {
          const before = cost(edgesOf(asked), asked, to) !== undefined;
          assert.equal(cost(left, asked, to) !== undefined, before, `${to} after ${backup}`);
        }
      }
    }),
    runs,
  );
});

test('what was planned and done leaves nothing to do', () => {
  fc.assert(
    fc.property(questions, (asked) => {
      const rows = planRetention(asked);
      const edges = without(asked, rows, ['mark', 'marked', 'remove']);
      const there = new Set(rows.filter(({ fate }) => fate === 'in-use').map(({ backup }) => backup));
      const marks = asked.marks.filter(({ backup }) => there.has(backup));
      const again = planRetention({ ...asked, edges, marks });
      // What is left only because it is used may be out of reach by then, and is as that judged anew.
      assert.deepEqual(
        again.filter(
          ({ fate, backup }) => !['kept', 'needed', 'in-use'].includes(fate) && !there.has(backup),
        ),
        [],
      );
    }),
    runs,
  );
});

test('the order in which backups, policies and pins come changes nothing', () => {
  fc.assert(
    fc.property(questions, fc.infiniteStream(fc.nat()), (asked, chance) => {
      const shuffled = <T>(items: Iterable<T>) =>
        [...items]
          .map((item) => ({ item, at: chance.next().value ?? 0 }))
          .sort((a, b) => a.at - b.at)
          .map(({ item }) => item);
      const other = {
        ...asked,
        edges: shuffled(asked.edges),
        policies: shuffled(asked.policies),
        pins: shuffled(asked.pins),
        marks: [...new Map(asked.marks.map((mark) => [mark.backup, mark])).values()],
      };
      const sorted = (rows: PlannedRow[]) =>
        rows.map((row) => ({ ...row, because: row.because.map((one) => JSON.stringify(one)).sort() }));
      assert.deepEqual(sorted(planRetention(other)), sorted(planRetention(asked)));
    }),
    runs,
  );
});

test('as time passes, nothing comes to be wanted that was not', () => {
  fc.assert(
    fc.property(questions, fc.integer({ min: 1, max: 500 }), (chance, days) => {
      // When the last of an old name goes, the policies of that name are not asked any more.
      const policies = chance.policies.map((policy) => ({ ...policy, datasets: ['**'], hosts: [] }));
      // Of several backups to a snapshot, that which was stored first says how it counts: when it goes, another one.
      const firsts = new Map([...chance.edges].toReversed().map((edge) => [edge.to, edge]));
      const asked = { ...chance, policies, edges: [...firsts.values()] };
      const stays = (rows: PlannedRow[]) =>
        rows.filter(({ fate }) => ['kept', 'needed', 'unmark'].includes(fate)).map(({ backup }) => backup);
      const now = new Set(stays(planRetention(asked)));
      const later = stays(planRetention({ ...asked, now: asked.now + days * DAY }));
      assert.deepEqual(
        later.filter((backup) => !now.has(backup)),
        [],
      );
    }),
    runs,
  );
});

test('nothing goes without having been marked for as long as the grace', () => {
  fc.assert(
    fc.property(questions, (asked) => {
      const marked = new Map(asked.marks.map(({ backup, at }) => [backup, at]));
      for (const { backup, fate, until } of planRetention(asked)) {
        if (fate !== 'remove') continue;
        assert.ok((marked.get(backup) ?? asked.now) + asked.grace <= asked.now);
        assert.ok(Date.parse(until ?? '') <= asked.now);
      }
    }),
    runs,
  );
});

test('the chains are those of the index', () => {
  fc.assert(
    fc.property(questions, (asked) => {
      const edges = edgesOf(asked);
      const chains = new Chains(new Numbered(edges), ({ backup }) => !asked.damaged.has(backup));
      const reaches = reachAll(edges.filter(({ backup }) => !asked.damaged.has(backup)));
      for (const [number, { backup }] of edges.entries()) {
        const reach = reaches.get(backup);
        const before = edges[chains.before(number)]?.backup ?? null;
        assert.deepEqual([chains.steps(number), before], [reach?.steps ?? 0, reach?.before ?? null]);
      }
    }),
    runs,
  );
});
