import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { planRestore } from '../../../../catalog/chain/restore.ts';
import { ZkeepError } from '../../../../catalog/errors.ts';
import { CatalogIndex } from '../../../../catalog/index/catalog-index.ts';
import { backupOf } from '../../../../catalog/index/tables/backup.ts';
import type { Depth, Entry } from '../../../../catalog/journal/entry.ts';
import { outcomeOf } from '../asking.ts';
import { backupId, drafts, guid, manifestOf, shuffled } from '../manifests.ts';
import { at, damaged, entry, journals, marked, pin, policy, proven, removed, unmarked } from './entries.ts';

const chance = fc.infiniteStream(fc.nat());
const SNAPSHOTS = [1, 2, 3, 4, 5, 6, 7, 8].map(guid);

test('the content depends on manifests and entries alone, not on when which of them came, or how often', () => {
  fc.assert(
    fc.property(drafts, journals, chance, (all, entries, order) => {
      const kept = all.map((draft) => backupOf(manifestOf(draft)));
      const index = new CatalogIndex(':memory:');
      index.apply(entries);
      index.addAll(kept);
      const other = new CatalogIndex(':memory:');
      const steps = [
        ...[...kept, ...kept].map((backup) => () => other.addAll([backup])),
        ...[...entries, ...entries].map((one) => () => other.apply([one])),
        // Removed, and added once more.
        ...kept.map((backup) => () => {
          if (other.remove(backup.backup) > 0) other.addAll([backup]);
        }),
      ];
      for (const step of shuffled(steps, order)) step();
      assert.deepEqual([...other.dump()], [...index.dump()]);
    }),
    { numRuns: 100 },
  );
});

test('what holds is what the last words about each thing say', () => {
  fc.assert(
    fc.property(drafts, journals, chance, (all, entries, order) => {
      const kept = all.map((draft) => backupOf(manifestOf(draft)));
      const index = new CatalogIndex(':memory:');
      index.addAll(kept);
      index.apply(shuffled(entries, order));
      const model = foldAll(entries);
      assert.deepEqual(index.policies(), [...model.policies.values()].sort(byName));
      assert.deepEqual(
        index.pins(0).map((row) => row.pin),
        [...model.pins].sort(),
      );
      const there = kept.map(({ backup }) => backup).sort();
      assert.deepEqual(
        index.marks().map(({ backup }) => backup),
        there.filter((backup) => model.marks.has(backup)),
      );
      assert.deepEqual(
        index.damage().map(({ backup }) => backup),
        there.filter((backup) => model.isDamaged(backup)),
      );
      for (const backup of there) {
        const { light, deep } = index.proofOf(backup);
        assert.deepEqual([light, deep], [model.proof(backup, 'light'), model.proof(backup, 'deep')]);
      }
      assert.deepEqual(
        [...index.edges()]
          .filter((edge) => edge.damaged)
          .map(({ backup }) => backup)
          .sort(),
        there.filter((backup) => model.isDamaged(backup)),
      );
    }),
    { numRuns: 100 },
  );
});

test('what is known, planned and stored already is what the chain says of whole backups', () => {
  const have = fc.uniqueArray(fc.constantFrom(...SNAPSHOTS), { maxLength: 2 });
  fc.assert(
    fc.property(drafts, journals, have, fc.boolean(), (all, entries, has, rollback) => {
      const kept = all.map((draft) => backupOf(manifestOf(draft)));
      const index = new CatalogIndex(':memory:');
      const half = entries.length >> 1;
      index.apply(entries.slice(0, half));
      index.addAll(kept);
      index.apply(entries.slice(half));
      const model = foldAll(entries);
      const isDamaged = ({ backup }: { backup: string }) => model.isDamaged(backup);
      const whole = kept.filter((backup) => !isDamaged(backup));
      for (const wanted of SNAPSHOTS) {
        const fresh = planRestore({ edges: whole, wanted, have: [], rollback: false });
        const [known] = index.known([wanted]);
        assert.equal(known?.restorable ?? false, fresh.possible);
        for (const from of [null, ...SNAPSHOTS]) {
          const stored = whole.filter((backup) => backup.from === from && backup.to === wanted);
          assert.equal(
            index.backupOf(from, wanted)?.backup,
            stored
              .map(({ backup }) => backup)
              .sort()
              .at(-1),
          );
        }
        if (!kept.some(({ to }) => to === wanted)) continue;
        const answer = planRestore({ edges: kept, wanted, have: has, rollback, isDamaged });
        const plan = outcomeOf(() => index.plan({ wanted: { guids: [wanted] }, have: has, rollback }));
        if (!answer.possible) {
          assert.ok(plan instanceof ZkeepError);
          assert.equal(plan.code === 'chain.damaged', answer.reason.code === 'chain.damaged');
          assert.deepEqual(plan.facts['backups'], answer.reason.facts['backups']);
        } else {
          assert.ok(!(plan instanceof ZkeepError));
          assert.deepEqual([plan.stored, plan.steps.length], [answer.path.stored, answer.path.steps.length]);
          assert.ok(plan.steps.every((step) => !isDamaged(step)));
        }
      }
    }),
    { numRuns: 100 },
  );
});

test('a light proof does not refute what a deep look found, a deep one does', () => {
  const index = new CatalogIndex(':memory:');
  index.add(manifestOf({ number: 1, from: null, to: 1 }));
  index.apply([entry(1, damaged(1, 'deep')), entry(2, proven(1, 'light'))]);
  assert.equal(index.known([guid(1)])[0]?.restorable, false);
  assert.deepEqual(index.damage()[0]?.found, at(1));
  assert.deepEqual(index.proofOf(backupId(1)), { backup: backupId(1), light: at(2), deep: null });
  index.apply([entry(3, proven(1, 'deep'))]);
  assert.equal(index.known([guid(1)])[0]?.restorable, true);
  assert.deepEqual(index.damage(), []);
  assert.deepEqual(index.proofOf(backupId(1)), { backup: backupId(1), light: at(3), deep: at(3) });
});

test('what was said of a backup before it was removed is forgotten; what is said later holds, should it be back', () => {
  const index = new CatalogIndex(':memory:');
  index.add(manifestOf({ number: 1, from: null, to: 1 }));
  index.apply([entry(5, removed(1)), entry(2, marked(1)), entry(3, damaged(1)), entry(4, proven(1, 'deep'))]);
  assert.deepEqual([index.marks(), index.damage(), index.proofOf(backupId(1)).deep], [[], [], null]);
  index.apply([entry(6, marked(1)), entry(7, damaged(1))]);
  assert.deepEqual([index.marks().length, index.damage().length], [1, 1]);
  index.apply([entry(8, unmarked(1)), entry(9, proven(1))]);
  assert.deepEqual([index.marks().length, index.damage().length], [0, 0]);
});

test('a pin is over when its end has come, and tells what it keeps', () => {
  const index = new CatalogIndex(':memory:');
  index.add(manifestOf({ number: 1, from: null, to: 1, name: 'monday' }));
  const until = '2030-01-01T00:00:00.000Z';
  index.apply([entry(1, { kind: 'pin.set', pin: pin(1, 1, { until }) })]);
  index.apply([entry(2, { kind: 'pin.set', pin: pin(2, 9, { legal: true }) })]);
  const [first, second] = index.pins(Date.parse(until) - 1);
  assert.deepEqual(
    [first?.host, first?.dataset, first?.name, first?.at, first?.by, first?.until],
    ['alpha', 'tank/fs', 'monday', at(1), 'alice', until],
  );
  assert.deepEqual([second?.dataset, second?.legal], [null, true]);
  assert.deepEqual(
    index.pins(Date.parse(until)).map(({ legal }) => legal),
    [true],
  );
});

test('an emptied index has forgotten the journal, and takes it in again', () => {
  const index = new CatalogIndex(':memory:');
  const entries = [entry(1, { kind: 'policy.set', policy: policy('a') }), entry(2, damaged(1))];
  const objects = [{ key: 'journal/a.json', whole: true }];
  assert.equal(index.apply(entries, objects).length, 2);
  assert.equal(index.apply(entries, objects).length, 0);
  const before = [...index.dump()];
  index.clear();
  assert.deepEqual([[...index.dump()], index.policies(), index.lastEntry()], [[], [], undefined]);
  index.apply(entries, objects);
  assert.deepEqual([...index.dump()], before);
});

/** The rules of JOURNAL.md, from the entries alone. */
function foldAll(entries: readonly Entry[]) {
  const sorted = [...entries].sort((a, b) => (a.id < b.id ? -1 : 1));
  const policies = new Map<string, ReturnType<typeof policy>>();
  const pins = new Set<string>();
  const marks = new Set<string>();
  const looks = new Map<string, { depth: Depth; at: string; whole: boolean }[]>();
  const look = (backup: string, depth: Depth, at: string, whole: boolean) => {
    looks.set(backup, [...(looks.get(backup) ?? []), { depth, at, whole }]);
  };
  for (const { fact, at } of sorted) {
    if (fact.kind === 'policy.set') policies.set(fact.policy.name, fact.policy);
    if (fact.kind === 'policy.removed') policies.delete(fact.name);
    if (fact.kind === 'pin.set') pins.add(fact.pin.pin);
    if (fact.kind === 'pin.removed') pins.delete(fact.pin);
    if (fact.kind === 'backups.marked') for (const { backup } of fact.backups) marks.add(backup);
    if (fact.kind === 'backups.unmarked') for (const { backup } of fact.backups) marks.delete(backup);
    if (fact.kind === 'proven') for (const { backup, depth } of fact.proofs) look(backup, depth, at, true);
    if (fact.kind === 'damaged') look(fact.damage.backup, fact.damage.depth, at, false);
    if (fact.kind === 'backups.removed') {
      for (const { backup } of fact.backups) {
        marks.delete(backup);
        looks.delete(backup);
      }
    }
  }
  const reaches = (depth: Depth, least: Depth) => depth === least || depth === 'deep';
  const proof = (backup: string, depth: Depth) =>
    looks.get(backup)?.findLast((one) => one.whole && reaches(one.depth, depth))?.at ?? null;
  const isDamaged = (backup: string) => {
    const all = looks.get(backup) ?? [];
    return all.some(
      ({ whole, depth }, at) =>
        !whole && !all.slice(at + 1).some((later) => later.whole && reaches(later.depth, depth)),
    );
  };
  return { policies, pins, marks, proof, isDamaged };
}

function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : 1;
}
