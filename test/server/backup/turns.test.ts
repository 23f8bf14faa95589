import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Turns } from '../../../server/backup/turns.ts';

describe('turns', () => {
  it('of one key come one after the other, in order, also after a failure', async () => {
    const turns = new Turns<string>();
    const seen: string[] = [];
    const work = (name: string) => async () => {
      seen.push(`${name} begins`);
      await setImmediate();
      seen.push(`${name} ends`);
      if (name === 'a') throw new Error('a fails');
      return name;
    };
    const [a, b, c] = await Promise.allSettled(['a', 'b', 'c'].map((name) => turns.take('key', work(name))));
    assert.deepEqual(seen, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
    assert.equal(a?.status, 'rejected');
    assert.deepEqual(
      [b, c].map((end) => end?.status === 'fulfilled' && end.value),
      ['b', 'c'],
    );
  });

  it('of different keys do not wait for each other', async () => {
    const turns = new Turns<string>();
    const never = Promise.withResolvers<void>();
    const first = turns.take('one', () => never.promise);
    assert.equal(await turns.take('two', async () => 'done'), 'done');
    never.resolve();
    await first;
  });
});
