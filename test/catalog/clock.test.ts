import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../catalog/clock.ts';

test('a sleep that is interrupted ends with the reason that was given', async () => {
  const reason = new Error('enough');
  const stop = new AbortController();
  const sleeping = systemClock.sleep(60_000, stop.signal);
  stop.abort(reason);
  await assert.rejects(sleeping, reason);
});
