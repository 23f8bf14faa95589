import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Throttle } from '../../../../agent/backup/upload/throttle.ts';
import type { Clock } from '../../../../catalog/clock.ts';
import { openTransfers } from '../../../../catalog/repository/store/transfer.ts';
import { startPlainServer } from '../../../catalog/repository/store/plain-server.ts';
import { ManualClock } from '../../../server/fixture/manual-clock.ts';

const KIB = 1024;
const PIECE = 64 * KIB;

describe('a throttle', () => {
  it('lets no more pass in any span of time than its limit says, and a little that it is ahead', async () => {
    const asked = fc.array(fc.integer({ min: 1, max: PIECE }), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(asked, fc.integer({ min: 16 * KIB, max: 10 * PIECE }), async (sizes, rate) => {
        const clock = new ManualClock(0);
        const throttle = new Throttle(() => rate, clock);
        const passed: { at: number; sum: number }[] = [{ at: 0, sum: 0 }];
        let sum = 0;
        for (const size of sizes) {
          await throttle.take(size);
          sum += size;
          passed.push({ at: clock.now(), sum });
        }
        // What is asked for at once is let pass in pieces, the last one a tenth of a second ahead.
        const ahead = rate / 5 + throttle.piece() + 1;
        for (const { at, sum: then } of passed) {
          for (const later of passed.filter((one) => one.at >= at)) {
            const size = Math.max(...sizes);
            assert.ok(later.sum - then <= ((later.at - at) / 1000) * rate + ahead + size);
          }
        }
        assert.ok(sum <= (clock.now() / 1000) * rate + ahead);
        assert.ok(clock.now() <= (sum / rate) * 1000 + sizes.length + 1);
      }),
    );
  });

  it('asks for pieces of a tenth of a second, and never for more than 64 KiB', () => {
    assert.equal(new Throttle(() => 100 * KIB).piece(), 10 * KIB);
    assert.equal(new Throttle(() => 100 * KIB * KIB).piece(), PIECE);
    assert.equal(new Throttle(() => null).piece(), PIECE);
    assert.equal(new Throttle(() => 1).piece(), 1);
  });

  it('gives no credit for the time in which nobody asked', async () => {
    const clock = new ManualClock(0);
    const throttle = new Throttle(() => 10 * KIB, clock);
    await throttle.take(KIB);
    clock.pass(3_600_000);
    const before = clock.now();
    await throttle.take(100 * KIB);
    assert.ok(clock.now() - before >= 9_700, `${clock.now() - before}`);
  });

  it('follows a limit that changes while bytes wait, up, down and away', async () => {
    const clock = new ManualClock(0);
    let rate: number | null = KIB;
    const throttle = new Throttle(() => (clock.now() < 5_000 ? KIB : rate), clock);
    rate = 100 * KIB;
    await throttle.take(105 * KIB);
    // Five KiB in five seconds, then a hundred in one.
    assert.ok(clock.now() >= 5_500 && clock.now() <= 7_500, `${clock.now()}`);
    rate = null;
    const before = clock.now();
    await throttle.take(1e12);
    assert.equal(clock.now(), before);
  });

  it('makes nobody wait for a clock that was set back', async () => {
    const clock = new ManualClock(1e12);
    const throttle = new Throttle(() => 10 * KIB, clock);
    await throttle.take(10 * KIB);
    clock.pass(-3_600_000);
    const before = clock.now();
    await throttle.take(10 * KIB);
    assert.ok(clock.now() - before < 3_000);
  });

  it('ends a wait with the signal, and what others wait for goes on', async () => {
    const stop = new AbortController();
    const clock: Clock = { now: () => 0, random: () => 0, sleep: untilAborted };
    const throttle = new Throttle(() => KIB, clock);
    const waiting = throttle.take(10 * KIB, stop.signal);
    stop.abort(new Error('enough'));
    await assert.rejects(waiting, /enough/);
    await assert.rejects(throttle.take(1, stop.signal), /enough/);
  });

  it('lets bodies go one after the other while there is a limit, and together without one', async () => {
    let rate: number | null = KIB;
    const throttle = new Throttle(() => rate, new ManualClock());
    const { signal } = new AbortController();
    const leave = await throttle.line(signal);
    const stop = new AbortController();
    const second = throttle.line(stop.signal);
    const third = throttle.line(signal);
    stop.abort(new Error('enough'));
    await assert.rejects(second, /enough/);
    leave();
    (await third)();
    rate = null;
    await throttle.line(signal);
    await throttle.line(signal);
  });

  it('slows a real body down, which no time-out of the store takes for a stall', async (t) => {
    const server = await startPlainServer();
    // A twentieth of what the body takes: only the time that the store itself takes counts.
    const transfers = openTransfers({ timeouts: { connect: 2_000, stall: 1_000, whole: 100 } });
    t.after(async () => {
      await transfers.close();
      await server.stop();
    });
    server.answer({ status: 200 });
    const throttle = new Throttle(() => 16 * KIB);
    const body = Buffer.alloc(64 * KIB, 'x');
    const headers = { 'content-length': String(body.length) };
    const grant = { method: 'PUT' as const, url: `${server.url}/key`, headers, expires: Date.now() + 60_000 };
    const began = performance.now();
    await transfers.putByGrant(grant, body, undefined, throttle);
    const seconds = (performance.now() - began) / 1000;
    assert.ok(seconds > 3.5, `${seconds}`);
    assert.ok(server.arrived[0]?.body.equals(body));
  });
});

async function untilAborted(_milliseconds: number, signal?: AbortSignal): Promise<void> {
  await new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
