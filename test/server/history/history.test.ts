/**
 * Random histories, and what holds after each of their steps.
 *
 * Some are run with the tests; `ZKEEP_HISTORIES=500 node --test test/server/history/history.test.ts` runs so many
 * of them, and `ZKEEP_HISTORY_SEED=1234` those of a seed. A failure names its seed and path: put it into KEPT.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Keep } from '../../../catalog/chain/retention/policy.ts';
import { History, type Left, policyOf } from './history.ts';
import { type Death, MortalService } from './mortal-service.ts';
import { GRACE } from './truth.ts';

const HOUR = 3_600_000;

type Step =
  | { readonly kind: 'back up'; readonly line: number; readonly left: Left; readonly death: Death | null }
  | { readonly kind: 'again' | 'rename' | 'forget marks' | 'lose a bookmark'; readonly line: number }
  | { readonly kind: 'destroy' | 'roll back' | 'move'; readonly line: number; readonly number: number }
  | { readonly kind: 'pass'; readonly hours: number }
  | {
      readonly kind: 'policy';
      readonly name: string;
      readonly datasets: string;
      readonly keep: Keep;
      readonly zone: string;
      readonly steps: number | undefined;
      readonly death: Death | null;
    }
  | { readonly kind: 'no policy'; readonly name: string }
  | {
      readonly kind: 'pin';
      readonly number: number;
      readonly hours: number | null;
      readonly death: Death | null;
    }
  | { readonly kind: 'unpin' | 'mend' | 'restart' | 'lose the index' | 'lose the state' }
  | {
      readonly kind: 'run';
      readonly job: 'prune' | 'sweep' | 'verify' | 'copy';
      readonly death: Death | null;
    }
  | { readonly kind: 'grow'; readonly line: number; readonly number: number }
  | { readonly kind: 'mark and remove'; readonly death: Death | null }
  | { readonly kind: 'spoil'; readonly number: number; readonly how: 'flip' | 'lose' }
  | { readonly kind: 'plan'; readonly number: number };

const number = fc.nat(40);
/** Chains get long where there are few datasets. */
const line = fc.nat(1);
const death: fc.Arbitrary<Death | null> = fc.option(
  fc.record({
    calls: fc.nat(25),
    when: fc.constantFrom('before', 'after', 'during'),
    loses: fc.constantFrom('nothing', 'nothing', 'nothing', 'index.db', 'all'),
  }),
  { nil: null, freq: 2 },
);
/** Rules of nothing are refused. */
const keep: fc.Arbitrary<Keep> = fc
  .record(
    {
      last: fc.integer({ min: 0, max: 2 }),
      within: fc.constantFrom('1h', '12h'),
      hourly: fc.integer({ min: 0, max: 2 }),
      daily: fc.integer({ min: 0, max: 2 }),
      weekly: fc.integer({ min: 0, max: 1 }),
    },
    { requiredKeys: ['last'] },
  )
  .filter(
    ({ within, ...counts }) => within !== undefined || Object.values(counts).some((count) => count > 0),
  );
const kind = <K extends string>(name: K) => fc.constant(name);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: kind('mark and remove'), death }) },
  { weight: 8, arbitrary: fc.record({ kind: kind('grow'), line, number: fc.integer({ min: 2, max: 5 }) }) },
  {
    weight: 14,
    arbitrary: fc.record({
      kind: kind('back up'),
      line,
      left: fc.constantFrom(null, null, null, null, 'opened', 'sent'),
      death,
    }),
  },
  { weight: 7, arbitrary: fc.record({ kind: kind('pass'), hours: fc.constantFrom(0.5, 3, 13, 25, 25) }) },
  { weight: 7, arbitrary: fc.record({ kind: kind('run'), job: kind('prune'), death }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: kind('run'), job: fc.constantFrom('sweep', 'verify', 'copy'), death }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: kind('policy'),
      name: fc.constantFrom('first', 'q'),
      datasets: fc.constantFrom('**', 'tank/d0', 'tank/n*'),
      keep,
      zone: fc.constantFrom('UTC', 'Europe/Berlin'),
      steps: fc.constantFrom(undefined, 2, 4),
      death,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('again', 'rename', 'forget marks', 'lose a bookmark'),
      line,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('destroy', 'roll back', 'move'), line, number: fc.nat(3) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: kind('no policy'), name: fc.constantFrom('first', 'q') }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: kind('pin'), number, hours: fc.constantFrom(null, 2, 50), death }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('unpin', 'mend', 'restart', 'lose the index', 'lose the state'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: kind('spoil'), number, how: fc.constantFrom('flip', 'lose') }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('plan'), number }) },
);

async function take(history: History, step: Step): Promise<void> {
  const { hosts, service, truth } = history;
  switch (step.kind) {
    case 'back up':
      return await history.backUp(hosts.line(step.line), step.death, step.left);
    case 'again':
      return await history.backUpAgain(hosts.line(step.line));
    case 'rename':
      return hosts.rename(hosts.line(step.line));
    case 'forget marks':
      hosts.line(step.line).bookmarks = [];
      return;
    case 'lose a bookmark':
      hosts.line(step.line).bookmarks.pop();
      return;
    case 'destroy':
      hosts.line(step.line).snapshots.splice(step.number, 1);
      return;
    case 'roll back':
      return hosts.rollback(hosts.line(step.line), step.number);
    case 'move':
      return await history.move(hosts.line(step.line), step.number);
    case 'pass':
      return service.clock.pass(step.hours * HOUR);
    case 'policy': {
      const { name, datasets, keep, zone, steps } = step;
      return await history.setPolicy(policyOf(name, datasets, keep, zone, steps), step.death);
    }
    case 'no policy':
      return await history.dropPolicy(step.name);
    case 'pin':
      return await history.pin(step.number, step.hours, step.death);
    case 'unpin':
      return await history.unpin();
    case 'mend':
      return await truth.mend();
    case 'restart':
      return await service.restart();
    case 'lose the index':
      return await service.loseIndex();
    case 'lose the state':
      return await service.loseState();
    case 'run':
      return await history.run(step.job, step.death);
    case 'grow':
      for (let left = step.number; left > 0; left--) {
        await history.backUp(hosts.line(step.line));
        service.clock.pass(HOUR);
      }
      return;
    case 'mark and remove':
      await history.run('prune');
      service.clock.pass(GRACE);
      return await history.run('prune', step.death);
    case 'spoil':
      return await truth.spoil(step.number, step.how);
    case 'plan':
      return await history.planRestore(step.number);
  }
}

/** In the end all is found, all is mended, and only what is kept is left. */
async function endsWell(history: History): Promise<void> {
  const { service, truth } = history;
  service.clock.pass(2 * HOUR);
  await history.run('verify');
  assert.deepEqual((await truth.knownDamage()).toSorted(), await truth.realDamage(), 'all damage is found');
  await truth.mend();
  service.clock.pass(25 * HOUR);
  await history.run('verify');
  assert.deepEqual(await truth.knownDamage(), [], 'what was mended is whole again');
  await truth.holds();
  for (let turn = 0; turn < 3; turn++) {
    await history.run('prune');
    service.clock.pass(GRACE + HOUR);
  }
  await history.run('prune');
  await history.run('sweep');
  await truth.holds();
  await truth.hasNoOrphans();
}

/** What was met, so that a run that met nothing is seen. */
const met = { histories: 0, deaths: 0, compared: 0, removed: 0 };
async function runHistory(steps: readonly Step[]): Promise<void> {
  const service = await new MortalService().start();
  try {
    const history = new History(service, 2);
    await history.setPolicy(policyOf('first', '**', { last: 1 }, 'UTC', 3));
    for (const step of steps) {
      await take(history, step);
      // Each moment is one of its own.
      service.clock.pass(60_000);
      await history.truth.holds();
    }
    await endsWell(history);
    met.histories += 1;
    met.deaths += service.deaths;
    met.compared += history.truth.compared;
    met.removed += history.truth.removed;
  } finally {
    await service.end();
  }
}

/** Histories in which something was found. */
const KEPT: readonly (readonly Step[])[] = [
  [
    { kind: 'back up', line: 0, left: 'sent', death: null },
    { kind: 'back up', line: 1, left: null, death: null },
    { kind: 'plan', number: 2 },
    { kind: 'back up', line: 0, left: null, death: null },
    { kind: 'rename', line: 1 },
    { kind: 'pass', hours: 13 },
    { kind: 'mend' },
    { kind: 'back up', line: 1, left: null, death: { calls: 8, when: 'before', loses: 'index.db' } },
    { kind: 'pin', number: 39, hours: null, death: null },
    { kind: 'lose a bookmark', line: 0 },
    { kind: 'run', job: 'prune', death: null },
    { kind: 'run', job: 'prune', death: { calls: 24, when: 'after', loses: 'all' } },
    { kind: 'mark and remove', death: { calls: 9, when: 'after', loses: 'nothing' } },
    { kind: 'back up', line: 0, left: null, death: { calls: 16, when: 'before', loses: 'nothing' } },
    { kind: 'back up', line: 1, left: null, death: { calls: 3, when: 'after', loses: 'all' } },
    { kind: 'mark and remove', death: null },
    { kind: 'grow', line: 0, number: 3 },
    { kind: 'spoil', number: 33, how: 'lose' },
    { kind: 'pin', number: 13, hours: 2, death: null },
  ],
];

test('histories in which something was found hold', async () => {
  for (const steps of KEPT) await runHistory(steps);
});

test('after each step of a history with deaths every snapshot that is listed is restored byte for byte', {
  timeout: 3_600_000,
}, async (context) => {
  const asked = Number(process.env['ZKEEP_HISTORIES'] ?? 0);
  const seed = process.env['ZKEEP_HISTORY_SEED'];
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 15, maxLength: 35, size: 'max' }),
    runHistory,
  );
  await fc.assert(property, {
    numRuns: asked || 1000,
    ...(asked ? {} : { interruptAfterTimeLimit: 25_000 }),
    ...(seed ? { seed: Number(seed) } : {}),
    endOnFailure: asked > 0,
  });
  context.diagnostic(
    Object.entries(met)
      .map(([what, count]) => `${count} ${what}`)
      .join(', '),
  );
  assert.ok(met.histories > 0 && met.deaths > 0 && met.compared > 0 && met.removed > 0, 'something was met');
});
