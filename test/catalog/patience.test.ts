import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import { Patience, type PatienceOptions, type Waiting } from '../../catalog/patience.ts';
import { ManualClock } from '../server/fixture/manual-clock.ts';

const MINUTE = 60_000;

const away = () => new ZkeepError('unavailable', 'service.unreachable', 'no answer');
const full = () => new ZkeepError('full', 'store.full', 'no room', { facts: { status: 507 } });
const slow = () =>
  new ZkeepError('unavailable', 'store.unavailable', 'slow down', { facts: { status: 503 } });

interface House {
  readonly clock: ManualClock;
  readonly patience: Patience;
  readonly waits: Waiting[];
  readonly ends: [string, number][];
}

/** A patience of 15 minutes at its service's first success. */
function house(options: PatienceOptions = {}): House {
  const clock = new ManualClock(0);
  const waits: Waiting[] = [];
  const ends: [string, number][] = [];
  const patience = new Patience({
    clock,
    limit: 15 * MINUTE,
    onWait: (waiting) => waits.push(waiting),
    onEnd: (party, waited) => ends.push([party, waited]),
    ...options,
  });
  return { clock, patience, waits, ends };
}

/** Fails until so much time has passed. */
function until(clock: ManualClock, time: number, failure: () => ZkeepError) {
  return async () => {
    if (clock.now() < time) throw failure();
    return 'done';
  };
}

describe('patience', () => {
  it('ends at once for a failure that no waiting mends', async () => {
    const { patience, clock, waits } = house();
    patience.heard();
    for (const kind of ['usage', 'missing', 'refused', 'damaged', 'busy', 'denied', 'failed'] as const) {
      const failure = new ZkeepError(kind, 'x.y', 'no');
      await assert.rejects(
        patience.keep('store', async () => {
          throw failure;
        }),
        failure,
      );
    }
    const defect = new TypeError('a defect');
    await assert.rejects(
      patience.keep('store', async () => {
        throw defect;
      }),
      defect,
    );
    assert.deepEqual([clock.now(), waits.length], [0, 0]);
  });

  it('ends after seconds while nobody has answered at all: the address may be wrong', async () => {
    const { patience, clock } = house();
    const failure = away();
    await assert.rejects(
      patience.keep('service', async () => {
        throw failure;
      }),
      failure,
    );
    assert.equal(clock.now(), 5_000);
  });

  it('of no time tries nothing again', async () => {
    for (const heard of [true, false]) {
      const { patience, clock, waits } = house({ limit: 0 });
      if (heard) patience.heard();
      let tries = 0;
      const work = async () => {
        tries += 1;
        throw full();
      };
      await assert.rejects(patience.keep('store', work), /no room/);
      assert.deepEqual([tries, clock.now(), waits.length], [1, 0, 0]);
    }
  });

  it('outlasts a service that is gone for an hour when it is that long, and says so', async () => {
    const { patience, clock, waits, ends } = house({ limit: 61 * MINUTE });
    patience.heard();
    assert.equal(await patience.keep('service', until(clock, 60 * MINUTE, away)), 'done');
    assert.ok(
      waits.every(({ party, since, until }) => party === 'service' && since === 0 && until === 61 * MINUTE),
    );
    assert.deepEqual(
      ends.map(([party]) => party),
      ['service'],
    );
    // Neither hammered, nor found out late that it is back.
    assert.ok(waits.length < 300 && clock.now() <= 60.5 * MINUTE, `${waits.length} tries`);
  });

  it('tries a last time when it ends, and then throws what that try threw', async () => {
    const { patience, clock } = house();
    patience.heard();
    const tried: number[] = [];
    const work = async () => {
      tried.push(clock.now());
      throw full();
    };
    await assert.rejects(patience.keep('store', work), /no room/);
    assert.equal(tried.at(-1), 15 * MINUTE);
  });

  it('counts from the first failure after a success, whoever had it', async () => {
    const { patience, clock } = house();
    patience.heard();
    let turns = 0;
    const work = async () => {
      turns += 1;
      // The store takes something of somebody else from time to time.
      if (turns % 20 === 0) await patience.keep('store', async () => 'taken');
      if (clock.now() < 100 * MINUTE) throw slow();
      return 'done';
    };
    assert.equal(await patience.keep('store', work), 'done');
    assert.ok(clock.now() >= 100 * MINUTE);
  });

  it('does not begin anew for the next request while nothing has succeeded since', async () => {
    const { patience, clock } = house();
    patience.heard();
    const work = async () => {
      throw full();
    };
    await assert.rejects(patience.keep('store', work), /no room/);
    await assert.rejects(patience.keep('store', work), /no room/);
    assert.equal(clock.now(), 15 * MINUTE);
  });

  it('with the store is not renewed by a service that answers, nor the other way round', async () => {
    const { patience, clock } = house();
    const work = async () => {
      await patience.keep('service', async () => 'granted');
      throw full();
    };
    await assert.rejects(patience.keep('store', work), /no room/);
    assert.equal(clock.now(), 15 * MINUTE);
  });

  it('that ended for a request ends for what the request is a part of', async () => {
    const { patience, clock } = house();
    patience.heard();
    const asking = () =>
      patience.keep('service', async () => {
        throw away();
      });
    await assert.rejects(patience.keep('store', asking), /no answer/);
    assert.equal(clock.now(), 15 * MINUTE);
  });

  it('says who is in trouble, although another tells it', async () => {
    const { patience, clock, waits, ends } = house();
    patience.heard();
    await patience.keep('service', until(clock, MINUTE, full));
    assert.deepEqual([...new Set(waits.map(({ party }) => party))], ['store']);
    assert.deepEqual(
      ends.map(([party]) => party),
      ['store'],
    );
  });

  it('is long for a store that refuses its very first request: it is there', async () => {
    const { patience, clock } = house();
    assert.equal(await patience.keep('store', until(clock, 10 * MINUTE, slow)), 'done');
  });

  it('ends at once when it is interrupted, with the reason of that', async () => {
    const clock = {
      ...systemClock,
      sleep: (_: number, signal?: AbortSignal) => systemClock.sleep(MINUTE, signal),
    };
    const { patience } = house({ clock, onWait: () => setImmediate(() => stop.abort(new Error('enough'))) });
    patience.heard();
    const stop = new AbortController();
    let tries = 0;
    const work = async () => {
      tries += 1;
      throw full();
    };
    await assert.rejects(patience.keep('store', work, { signal: stop.signal }), /enough/);
    assert.equal(tries, 1);
  });
});
