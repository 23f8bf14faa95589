import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ZkeepError } from '../../catalog/errors.ts';
import { pauseAfter, type RetryPolicy, retry } from '../../catalog/retry.ts';
import { ManualClock } from '../server/fixture/manual-clock.ts';

const away = () => new ZkeepError('unavailable', 'store.unavailable', 'no answer');

describe('a retry', () => {
  it('is not made of a failure that no other try mends', async () => {
    for (const thrown of [new ZkeepError('full', 'store.full', 'no room'), new TypeError('a defect')]) {
      let tries = 0;
      const work = async () => {
        tries += 1;
        throw thrown;
      };
      await assert.rejects(retry(work, { clock: new ManualClock() }), thrown);
      assert.equal(tries, 1);
    }
  });

  it('ends within its count and its budget, whatever they are', async () => {
    const policies = fc.record({
      tries: fc.integer({ min: 1, max: 50 }),
      firstPause: fc.integer({ min: 1, max: 1000 }),
      longestPause: fc.integer({ min: 1, max: 10_000 }),
      budget: fc.integer({ min: 0, max: 60_000 }),
    });
    const bounded = fc.asyncProperty(policies, async (policy: RetryPolicy) => {
      const clock = new ManualClock(0);
      let tries = 0;
      const work = async () => {
        tries += 1;
        throw away();
      };
      await assert.rejects(retry(work, { policy, clock }), /no answer/);
      assert.ok(tries <= policy.tries && clock.now() <= policy.budget);
    });
    await fc.assert(bounded);
  });

  it('pauses longer and longer, and never longer than the longest', () => {
    const clock = { now: () => 0, sleep: async () => undefined, random: () => 0.999 };
    const pauses = [1, 2, 3, 4, 2000].map((attempt) =>
      pauseAfter(attempt, { firstPause: 100, longestPause: 500 }, clock),
    );
    assert.deepEqual(pauses, [100, 200, 400, 500, 500]);
  });
});
