import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseSchedule, type ScheduleOptions } from '../../catalog/schedule.ts';

const BERLIN = 'Europe/Berlin';
const at = (text: string) => Date.parse(text);
/** The runs after a moment, as text. */
function runs(schedule: string, after: string, count: number, options: ScheduleOptions = {}): string[] {
  const { next } = parseSchedule(schedule, options);
  const found: string[] = [];
  for (let moment = next(at(after)); moment !== undefined && found.length < count; moment = next(moment)) {
    found.push(new Date(moment).toISOString().replace('.000Z', 'Z'));
  }
  return found;
}

describe('a schedule', () => {
  for (const text of [
    '',
    'every',
    'every 0 minutes',
    'every 1.5 hours',
    'each day',
    '* * * *',
    '* * * * * * *',
    '60 * * * *',
    '30 2 32 * *',
    'hourly',
    '@daily',
    '0 0 30 2 *',
  ]) {
    it(`is refused when it is none, or never comes: ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseSchedule(text), { kind: 'usage', code: 'schedule.malformed' });
    });
  }

  it('is refused with what it could be', () => {
    assert.throws(() => parseSchedule('every 15 minuts'), {
      message: /neither "every 15 minutes", .*"every day"/,
    });
    assert.throws(() => parseSchedule('hourly'), { message: /five fields, .*"every 15 minutes"/ });
    assert.throws(() => parseSchedule('61 * * * *'), {
      message: /no schedule: Invalid value for minute: 61$/,
    });
  });

  it('in a zone that does not exist is refused', () => {
    for (const text of ['30 2 * * *', 'every day'])
      assert.throws(() => parseSchedule(text, { zone: 'Mars/Base' }), { code: 'schedule.malformed' });
  });

  it('runs on the grid of the clock, whenever it was read', () => {
    assert.deepEqual(runs('every 15 minutes', '2026-11-20T12:07:31Z', 3), [
      '2026-11-20T12:15:00Z',
      '2026-11-20T12:30:00Z',
      '2026-11-20T12:45:00Z',
    ]);
    assert.deepEqual(runs('every 6 hours', '2026-11-20T12:00:00Z', 2), [
      '2026-11-20T18:00:00Z',
      '2026-11-21T00:00:00Z',
    ]);
    assert.deepEqual(runs('every hour', '2026-11-20T12:59:59Z', 1), ['2026-11-20T13:00:00Z']);
    assert.deepEqual(runs('every 2 weeks', '2026-11-20T12:00:00Z', 2), [
      '2026-11-23T00:00:00Z',
      '2026-12-07T00:00:00Z',
    ]);
  });

  it('of days and weeks runs at midnight of its zone, weeks on Monday', () => {
    assert.deepEqual(runs('every day', '2026-11-20T12:00:00Z', 1, { zone: BERLIN }), [
      '2026-11-20T23:00:00Z',
    ]);
    assert.deepEqual(runs('every week', '2026-11-20T12:00:00Z', 1, { zone: BERLIN }), [
      '2026-11-22T23:00:00Z',
    ]);
    assert.deepEqual(runs('every week', '2026-11-20T12:00:00Z', 1), ['2026-11-23T00:00:00Z']);
  });

  it('runs once, right after the gap, when its hour is left out in spring', () => {
    assert.deepEqual(runs('30 2 * * *', '2026-03-28T00:00:00Z', 3, { zone: BERLIN }), [
      '2026-03-28T01:30:00Z',
      // 02:30 is not there on the 29th: clocks go from 02:00 to 03:00.
      '2026-03-29T01:00:00Z',
      '2026-03-30T00:30:00Z',
    ]);
  });

  it('runs once when its hour comes twice in autumn', () => {
    const found = runs('30 2 * * *', '2026-10-24T12:00:00Z', 2, { zone: BERLIN });
    assert.equal(found.length, 2);
    assert.ok(['2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z'].includes(found[0] ?? ''), found[0]);
    assert.equal(found[1], '2026-10-26T01:30:00Z');
  });

  it('of a day with 23 or 25 hours still runs once on each', () => {
    assert.deepEqual(runs('every day', '2026-03-28T12:00:00Z', 3, { zone: BERLIN }), [
      '2026-03-28T23:00:00Z',
      '2026-03-29T22:00:00Z',
      '2026-03-30T22:00:00Z',
    ]);
    assert.deepEqual(runs('every day', '2026-10-24T12:00:00Z', 2, { zone: BERLIN }), [
      '2026-10-24T22:00:00Z',
      '2026-10-25T23:00:00Z',
    ]);
  });

  it('of minutes takes no notice of summer time', () => {
    const found = runs('every 30 minutes', '2026-10-25T00:00:00Z', 6, { zone: BERLIN }).map(at);
    assert.deepEqual(
      found.slice(1).map((moment, n) => moment - (found[n] ?? 0)),
      Array(5).fill(1_800_000),
    );
  });

  it('takes six fields, with seconds', () => {
    assert.deepEqual(runs('*/20 0 12 * * *', '2026-11-20T00:00:00Z', 3), [
      '2026-11-20T12:00:00Z',
      '2026-11-20T12:00:20Z',
      '2026-11-20T12:00:40Z',
    ]);
  });
});

describe('a spread schedule', () => {
  const HOUR = 3_600_000;
  const of = (key: string) => parseSchedule('every hour', { spread: HOUR / 2, key });

  it('comes later by the same part each time, less than the spread', () => {
    const first = of('mds1').next(0) ?? 0;
    const later = first % HOUR;
    assert.ok(later < HOUR / 2);
    assert.equal(of('mds1').next(first), first + HOUR);
  });

  it('is even over a hundred hosts', () => {
    const parts = Array.from({ length: 100 }, (_, n) => ((of(`host${n}`).next(0) ?? 0) % HOUR) / (HOUR / 2));
    for (let tenth = 0; tenth < 10; tenth++) {
      const count = parts.filter((part) => Math.floor(part * 10) === tenth).length;
      assert.ok(count >= 2 && count <= 25, `${count} of 100 in the tenth ${tenth}`);
    }
  });
});

describe('the next run', () => {
  const schedules = fc.constantFrom(
    'every minute',
    'every 7 minutes',
    'every day',
    'every week',
    'every 3 days',
    '30 2 * * *',
    '*/5 * * * *',
    '0 0 1 * *',
    '0 3 * * 0',
    '15 1,2,3 * 3,10 *',
  );
  const zones = fc.constantFrom('UTC', BERLIN, 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata');
  const moments = fc.integer({ min: at('2020-01-01T00:00:00Z'), max: at('2035-01-01T00:00:00Z') });
  /** Around the changes of clocks in 2026. */
  const changes = fc
    .tuple(
      fc.constantFrom(
        '2026-03-29T01:00:00Z',
        '2026-10-25T01:00:00Z',
        '2026-03-08T07:00:00Z',
        '2026-11-01T06:00:00Z',
      ),
      fc.integer({ min: -7_200_000, max: 7_200_000 }),
    )
    .map(([change, beside]) => at(change) + beside);

  it('is later than the moment it is asked for, and strictly later the later that is', () => {
    fc.assert(
      fc.property(
        schedules,
        zones,
        fc.oneof(moments, changes),
        fc.integer({ min: 0, max: 600_000 }),
        (text, zone, after, spread) => {
          const { next } = parseSchedule(text, { zone, spread, key: 'a' });
          const one = next(after) ?? assert.fail('it comes');
          const two = next(one) ?? assert.fail('it comes again');
          assert.ok(one > after && two > one, `${after} ${one} ${two}`);
          // Nothing lies between: asked from anywhere before it, it is the same.
          assert.equal(next(one - 1), one);
          assert.equal(next(Math.floor((after + one) / 2)), one);
        },
      ),
      { numRuns: 300 },
    );
  });
});
