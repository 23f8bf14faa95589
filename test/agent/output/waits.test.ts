import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Waits } from '../../../agent/output/waits.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { ManualClock } from '../../server/fixture/manual-clock.ts';

const full = new ZkeepError('full', 'store.full', 'no room');
const away = new ZkeepError('unavailable', 'service.unreachable', 'http://x does not answer: ECONNREFUSED');
const LIMIT = 15 * 60_000;

function house(silent = false) {
  const clock = new ManualClock(0);
  const notes: string[] = [];
  const waits = new Waits({ note: (text) => void notes.push(text), silent }, clock);
  return { clock, notes, waits };
}

describe('a wait', () => {
  it('is told at once, then every minute with what is left of it, and when it is over', () => {
    const { clock, notes, waits } = house();
    for (let tries = 0; tries < 13; tries++) {
      waits.tell({ party: 'store', failure: full, since: 0, until: LIMIT });
      clock.pass(10_000);
    }
    waits.end('store', 130_000);
    assert.deepEqual(notes, [
      'waits for the store: it is full; gives up in 15 m',
      'waits for the store: it is full; since 60 s; gives up in 14 m',
      'waits for the store: it is full; since 2 m; gives up in 13 m',
      'the store is back after 2 m: it goes on',
    ]);
  });

  it('is told anew when the trouble is another one', () => {
    const { notes, waits } = house();
    waits.tell({ party: 'store', failure: full, since: 0, until: LIMIT });
    waits.tell({ party: 'service', failure: away, since: 0, until: 5_000 });
    const slow = new ZkeepError('unavailable', 'store.unavailable', '503 SlowDown', {
      facts: { status: 503 },
    });
    waits.tell({ party: 'store', failure: slow, since: 0, until: LIMIT });
    assert.deepEqual(notes.slice(1), [
      'waits for the service: it does not answer (http://x does not answer: ECONNREFUSED); gives up in 5 s',
      'waits for the store: it cannot do it now (503 SlowDown); gives up in 15 m',
    ]);
  });

  it('is told once where no progress is wanted', () => {
    const { clock, notes, waits } = house(true);
    for (let tries = 0; tries < 20; tries++) {
      waits.tell({ party: 'store', failure: full, since: 0, until: LIMIT });
      clock.pass(10_000);
    }
    assert.equal(notes.length, 1);
  });

  it('that nobody was told of does not end in words', () => {
    const { notes, waits } = house();
    waits.end('store', 1000);
    assert.deepEqual(notes, []);
  });
});
