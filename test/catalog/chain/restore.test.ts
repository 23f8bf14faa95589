import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { BackupEdge } from '../../../catalog/chain/graph.ts';
import { planRestore, type RestorePath, type RestoreQuestion } from '../../../catalog/chain/restore.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { Guid } from '../../../catalog/words.ts';
import {
  costOf,
  edge,
  everyPath,
  goTogether,
  graphs,
  guid,
  LARGE,
  leastCost,
  node,
  PLAIN,
  RAW,
} from './graphs.ts';

type Question = RestoreQuestion<BackupEdge>;

function planned(question: Partial<Question> & Pick<Question, 'edges' | 'wanted'>): RestorePath<BackupEdge> {
  const answer = planRestore({ have: [], rollback: false, ...question });
  assert.ok(answer.possible, 'a path was found');
  return answer.path;
}

function refused(question: Partial<Question> & Pick<Question, 'edges' | 'wanted'>): ZkeepError {
  const answer = planRestore({ have: [], rollback: false, ...question });
  assert.ok(!answer.possible, 'no path was found');
  return answer.reason;
}

describe('a fresh target', () => {
  test('starts with a full backup and goes on in order', () => {
    const chain = [edge(2, 3), edge(null, 1), edge(1, 2)];
    const path = planned({ edges: chain, wanted: guid(3) });
    assert.deepEqual(path.steps, [chain[1], chain[2], chain[0]]);
    assert.deepEqual([path.base, path.rollback, path.bytes, path.stored], [null, false, 600, 300]);
  });

  test('takes the way that fetches the fewest stored bytes, though it has more steps', () => {
    const [full, first, second] = [edge(null, 1), edge(1, 2, { stored: 5 }), edge(2, 3, { stored: 5 })];
    const path = planned({ edges: [edge(1, 3, { stored: 11 }), full, first, second], wanted: guid(3) });
    assert.deepEqual(path.steps, [full, first, second]);
  });

  test('of two ways that cost the same takes the shorter one', () => {
    const [full, skip] = [edge(null, 1), edge(1, 3, { stored: 10 })];
    const path = planned({
      edges: [edge(1, 2, { stored: 5 }), edge(2, 3, { stored: 5 }), full, skip],
      wanted: guid(3),
    });
    assert.deepEqual(path.steps, [full, skip]);
  });

  test('does not mix raw and plain, though that would be cheaper', () => {
    const [full, plain] = [edge(null, 1), edge(1, 2, { stored: 1000 })];
    const raw = [edge(null, 1, { flags: RAW, stored: 1 }), edge(1, 2, { flags: RAW, stored: 2000 })];
    assert.deepEqual(planned({ edges: [...raw, full, plain], wanted: guid(2) }).steps, [full, plain]);
  });

  test('goes from small blocks to large ones and never back', () => {
    const up = [edge(null, 1), edge(1, 2, { flags: LARGE }), edge(2, 3, { flags: LARGE })];
    assert.deepEqual(planned({ edges: up, wanted: guid(3) }).steps, up);
    const back = [edge(null, 1, { flags: LARGE }), edge(1, 2, { flags: PLAIN })];
    assert.equal(refused({ edges: back, wanted: guid(2) }).code, 'chain.flags-mixed');
  });
});

describe('a target with snapshots', () => {
  const chain = [edge(null, 1), edge(1, 2), edge(2, 3), edge(3, 4)];

  test('that stands at the wanted snapshot needs nothing', () => {
    const path = planned({ edges: chain, wanted: guid(3), have: [guid(3), guid(1)] });
    assert.deepEqual(path, { base: guid(3), rollback: false, steps: [], bytes: 0, stored: 0 });
  });

  test('goes on from its newest', () => {
    const path = planned({ edges: chain, wanted: guid(4), have: [guid(2), guid(1)] });
    assert.deepEqual(path.steps, chain.slice(2));
    assert.equal(path.base, guid(2));
  });

  test('goes on from a snapshot that the repository has only as a base', () => {
    const path = planned({ edges: [edge(7, 8)], wanted: guid(8), have: [guid(7)] });
    assert.deepEqual([path.base, path.steps.length], [guid(7), 1]);
  });

  test('never takes a full stream', () => {
    const error = refused({ edges: chain, wanted: guid(1), have: [guid(99)] });
    assert.deepEqual([error.kind, error.code], ['refused', 'chain.target-unrelated']);
  });

  test('never goes on from one that is not its newest, unless it may be rolled back', () => {
    const question = { edges: chain, wanted: guid(4), have: [guid(50), guid(2), guid(1)] };
    assert.equal(refused(question).code, 'chain.target-has-newer');
    const path = planned({ ...question, rollback: true });
    assert.deepEqual([path.base, path.rollback, path.steps], [guid(2), true, chain.slice(2)]);
  });

  test('is rolled back to the wanted snapshot that it has, if it may be', () => {
    const question = { edges: chain, wanted: guid(2), have: [guid(3), guid(2)] };
    assert.equal(refused(question).code, 'chain.target-has-newer');
    const path = planned({ ...question, rollback: true });
    assert.deepEqual([path.base, path.rollback, path.steps], [guid(2), true, []]);
  });

  test('is not rolled back when there is a way without, though it is dearer', () => {
    const cheap = edge(1, 4, { stored: 1 });
    const path = planned({
      edges: [...chain, cheap],
      wanted: guid(4),
      have: [guid(3), guid(1)],
      rollback: true,
    });
    assert.deepEqual([path.base, path.rollback, path.steps], [guid(3), false, chain.slice(3)]);
  });

  test('is taken to hold a snapshot in any way that the repository keeps it, and no other', () => {
    const both = [edge(null, 1), edge(null, 1, { flags: RAW }), edge(1, 2, { flags: RAW })];
    assert.equal(planned({ edges: both, wanted: guid(2), have: [guid(1)] }).steps.length, 1);
    const plainOnly = [edge(null, 1), edge(1, 2, { flags: RAW })];
    assert.equal(refused({ edges: plainOnly, wanted: guid(2), have: [guid(1)] }).code, 'chain.flags-mixed');
  });
});

describe('a reason', () => {
  const nodes = [1, 2, 3, 4, 5].map((number) => node(number));

  test('names the backup that is missing, from the newest restorable snapshot before the gap', () => {
    const edges = [edge(null, 1), edge(1, 2), edge(3, 4), edge(4, 5)];
    const error = refused({ edges, wanted: guid(5), nodes });
    assert.deepEqual([error.kind, error.code], ['missing', 'chain.gap']);
    assert.equal(
      error.message,
      'no chain leads to tank/fs@s5 (0000000000000005): the backup from tank/fs@s2 (0000000000000002) to tank/fs@s3 (0000000000000003) is missing',
    );
    assert.deepEqual(error.facts['missing'], [`${guid(2)} -> ${guid(3)}`]);
  });

  test('names a full backup when nothing before the gap can be restored', () => {
    const error = refused({ edges: [edge(2, 3), edge(3, 4)], wanted: guid(4), nodes: nodes.slice(1) });
    assert.match(error.message, /a full backup of tank\/fs@s2 \(0000000000000002\) is missing$/);
  });

  test('names every end of a chain with several', () => {
    const error = refused({ edges: [edge(2, 4), edge(3, 4)], wanted: guid(4), nodes });
    assert.match(error.message, /one of these is missing: .*@s2 .*; .*@s3 /);
  });

  test('does not propose a snapshot of another dataset, nor one that cannot be restored', () => {
    const strangers = [node(3), node(1, { dataset: 'tank/other' }), node(2, { dataset: 'tank/fs' })];
    const error = refused({
      edges: [edge(null, 1), edge(9, 2), edge(3, 4)],
      wanted: guid(4),
      nodes: strangers,
    });
    assert.deepEqual(error.facts['missing'], [`nothing -> ${guid(3)}`]);
  });

  test('believes a node that says it is restorable', () => {
    const told = [{ ...node(1), restorable: true }, node(3)];
    const error = refused({ edges: [edge(3, 4)], wanted: guid(4), nodes: told });
    assert.deepEqual(error.facts['missing'], [`${guid(1)} -> ${guid(3)}`]);
  });

  test('says that nobody knows the snapshot', () => {
    const error = refused({ edges: [edge(null, 1)], wanted: guid(9) });
    assert.deepEqual([error.kind, error.code], ['missing', 'chain.unknown-snapshot']);
  });

  test('says where raw and plain would mix', () => {
    const edges = [edge(null, 1), edge(1, 2, { flags: RAW })];
    const error = refused({ edges, wanted: guid(2), nodes });
    assert.equal(error.code, 'chain.flags-mixed');
    assert.match(
      error.message,
      /the backup from tank\/fs@s1 .* to tank\/fs@s2 .* is raw, what comes before it is plain$/,
    );
  });

  test('says that the target has newer data of the lineage', () => {
    const error = refused({ edges: [edge(null, 1)], wanted: guid(1), have: [guid(5)], nodes });
    assert.equal(error.code, 'chain.target-has-newer');
    assert.match(error.message, /tank\/fs@s5 .*which is newer than tank\/fs@s1/);
  });

  test('says that the target is not empty when only a full backup leads on', () => {
    const error = refused({ edges: [edge(null, 1), edge(null, 4)], wanted: guid(4), have: [guid(1)], nodes });
    assert.equal(error.code, 'chain.target-not-empty');
    assert.match(error.advice ?? '', /new dataset/);
  });

  test('names the gap also to a target that could not be used anyhow', () => {
    const error = refused({ edges: [edge(null, 1), edge(3, 4)], wanted: guid(4), have: [guid(1)], nodes });
    assert.deepEqual(error.facts['missing'], [`${guid(1)} -> ${guid(3)}`]);
  });

  test('counts what a rollback would destroy', () => {
    const edges = [edge(null, 1), edge(1, 2), edge(2, 3)];
    const error = refused({ edges, wanted: guid(1), have: [guid(3), guid(2), guid(1)], nodes });
    assert.equal(error.facts['newer'], 2);
    assert.match(
      error.message,
      /the target stands at tank\/fs@s3 .*, 2 snapshots after the wanted tank\/fs@s1/,
    );
  });

  test('is given for backups that form a circle', () => {
    const error = refused({ edges: [edge(1, 2), edge(2, 1), edge(2, 2)], wanted: guid(2), nodes });
    assert.equal(error.code, 'chain.gap');
  });
});

describe('a damaged backup', () => {
  const nodes = [1, 2, 3].map((number) => node(number));
  const [full, first, second] = [edge(null, 1), edge(1, 2), edge(2, 3)];
  const damaged = (...all: BackupEdge[]) => ({ isDamaged: (step: BackupEdge) => all.includes(step) });

  test('is gone round where another chain leads there, though that is dearer', () => {
    const again = edge(null, 3, { stored: 1000 });
    const path = planned({ edges: [full, first, second, again], wanted: guid(3), ...damaged(first) });
    assert.deepEqual(path.steps, [again]);
  });

  test('is named where no whole chain is left, with the last snapshot that can be restored', () => {
    const names = nodes.map((one) => ({ ...one, restorable: one.guid === guid(1) }));
    const edges = [full, first, second];
    const error = refused({ edges, wanted: guid(3), nodes: names, ...damaged(first) });
    assert.deepEqual([error.kind, error.code], ['damaged', 'chain.damaged']);
    assert.match(
      error.message,
      /the backup from tank\/fs@s1 .* to tank\/fs@s2 .*, [0-9a-f-]{36} is damaged$/,
    );
    assert.deepEqual(error.facts['backups'], [first.backup]);
    assert.match(error.advice ?? '', /the last one before it that can be restored is tank\/fs@s1/);
  });

  test('does not hide that backups are missing as well', () => {
    const error = refused({ edges: [first, second], wanted: guid(3), nodes, ...damaged(second) });
    assert.equal(error.code, 'chain.gap');
  });

  test('does not hide that the target is in the way', () => {
    const edges = [full, first, second, edge(null, 3)];
    const error = refused({ edges, wanted: guid(3), have: [guid(2)], nodes, ...damaged(second) });
    assert.equal(error.code, 'chain.target-not-empty');
  });

  test('still tells in which way a target holds its snapshot', () => {
    const raw = edge(null, 1, { flags: RAW });
    const error = refused({ edges: [raw, first], wanted: guid(2), have: [guid(1)], ...damaged(raw) });
    assert.equal(error.code, 'chain.flags-mixed');
  });
});

describe('any graph', () => {
  const questions = fc.record({
    edges: graphs,
    wanted: fc.integer({ min: 1, max: 7 }).map(guid),
    have: fc.uniqueArray(fc.integer({ min: 1, max: 7 }).map(guid), { maxLength: 3 }),
    rollback: fc.boolean(),
  });

  test('is planned at the cost that trying every path finds, by a path that a receiver takes', () => {
    fc.assert(
      fc.property(questions, (question) => {
        const answer = planRestore(question);
        const least = bruteForce(question);
        assert.equal(answer.possible, least !== undefined);
        if (answer.possible) {
          assert.deepEqual(costOf(answer.path.steps), { stored: least?.stored, steps: least?.steps });
          assertReceivable(question, answer.path);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('with damaged backups is planned as if they were not there', () => {
    fc.assert(
      fc.property(questions, fc.infiniteStream(fc.boolean()), (question, chance) => {
        const damaged = new Set(question.edges.filter(() => chance.next().value));
        const isDamaged = (step: BackupEdge) => damaged.has(step);
        const answer = planRestore({ ...question, isDamaged });
        const least = bruteForce({ ...question, isDamaged });
        assert.equal(answer.possible, least !== undefined);
        if (answer.possible) {
          assert.deepEqual(costOf(answer.path.steps), { stored: least?.stored, steps: least?.steps });
          assertReceivable(question, answer.path);
          return;
        }
        const { code, facts } = answer.reason;
        if (code !== 'chain.damaged') return;
        const named = question.edges.filter(({ backup }) => (facts['backups'] as string[]).includes(backup));
        assert.ok(named.length > 0 && named.every(isDamaged), 'it names what is damaged');
        const repaired = { isDamaged: (step: BackupEdge) => isDamaged(step) && !named.includes(step) };
        const after = planRestore({ ...question, ...repaired, have: [] });
        const there = planRestore({ ...question, ...repaired });
        assert.ok(after.possible || there.possible, 'were that whole, there would be a path');
      }),
      { numRuns: 3000 },
    );
  });

  test('gives one plan whatever the order of its backups', () => {
    fc.assert(
      fc.property(questions, fc.infiniteStream(fc.nat()), (question, chance) => {
        const shuffled = question.edges
          .map((step) => ({ step, at: chance.next().value }))
          .sort((a, b) => a.at - b.at)
          .map(({ step }) => step);
        assert.deepEqual(planRestore({ ...question, edges: shuffled }), planRestore(question));
      }),
      { numRuns: 1000 },
    );
  });

  test('that gives no plan gives a reason, refused or missing, with words and advice', () => {
    fc.assert(
      fc.property(questions, fc.subarray([1, 2, 3, 4, 5, 6, 7]), (question, known) => {
        const answer = planRestore({ ...question, nodes: known.map((number) => node(number)) });
        if (answer.possible) return;
        assert.ok(answer.reason instanceof ZkeepError);
        assert.ok(['refused', 'missing'].includes(answer.reason.kind));
        assert.match(answer.reason.code, /^chain\.[a-z-]+$/);
        assert.ok(answer.reason.message.length > 0 && answer.reason.advice);
      }),
      { numRuns: 3000 },
    );
  });

  test('of a hundred thousand backups is planned within a second', () => {
    const count = 50_000;
    const line = Array.from({ length: count }, (_, at) => edge(at === 0 ? null : at, at + 1));
    const skips = Array.from({ length: count }, (_, at) =>
      edge((at * 7919) % count || 1, ((at * 104_729) % count) + 1, { stored: 100 + (at % 900) }),
    );
    const began = performance.now();
    const path = planned({ edges: [...line, ...skips], wanted: guid(count) });
    assert.ok(performance.now() - began < 1000, `took ${performance.now() - began} ms`);
    assert.ok(path.steps.length > 0);
  });
});

/** The rules of CHAIN.md, tried on every path. */
function bruteForce({
  edges,
  wanted,
  have,
  rollback,
  isDamaged = () => false,
}: {
  edges: BackupEdge[];
  wanted: Guid;
  have: Guid[];
  rollback: boolean;
  isDamaged?: (edge: BackupEdge) => boolean;
}) {
  const whole = edges.filter((step) => !isDamaged(step));
  const [newest] = have;
  const from = (start: Guid | null) =>
    leastCost(
      [...everyPath(whole, wanted)].filter((path) => path[0]?.from === start && fitsStart(edges, path)),
    );
  if (newest === undefined) return from(null);
  const straight = newest === wanted ? { stored: 0, steps: 0 } : from(newest);
  if (straight || !rollback) return straight;
  if (have.includes(wanted)) return { stored: 0, steps: 0 };
  const costs = have.flatMap((start) => from(start) ?? []);
  return costs.sort((a, b) => a.stored - b.stored || a.steps - b.steps)[0];
}

function fitsStart(edges: readonly BackupEdge[], path: BackupEdge[]): boolean {
  const start = path[0]?.from ?? null;
  const ways = start === null ? [] : edges.filter(({ to }) => to === start);
  return ways.length === 0 ? goTogether(path) : ways.some((way) => goTogether([way, ...path]));
}

function assertReceivable(
  { wanted, have, rollback }: Omit<Question, 'edges'>,
  path: RestorePath<BackupEdge>,
): void {
  let stands = path.base;
  for (const step of path.steps) {
    assert.equal(step.from, stands, 'each step starts where the one before ended');
    stands = step.to;
  }
  assert.equal(stands, wanted);
  assert.ok(path.base === null ? have.length === 0 : have.includes(path.base));
  assert.equal(path.rollback, path.base !== null && path.base !== have[0]);
  assert.ok(rollback || !path.rollback);
}
