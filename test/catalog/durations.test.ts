import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { durationMeant, parseDuration } from '../../catalog/durations.ts';

const [SECOND, MINUTE, HOUR, DAY, WEEK] = [1000, 60_000, 3_600_000, 86_400_000, 604_800_000];

describe('a duration', () => {
  const good: readonly [text: string, milliseconds: number][] = [
    ['90s', 90 * SECOND],
    ['15m', 15 * MINUTE],
    ['1h30m', HOUR + 30 * MINUTE],
    ['2d', 2 * DAY],
    ['4w', 4 * WEEK],
    ['1w2d3h4m5s', WEEK + 2 * DAY + 3 * HOUR + 4 * MINUTE + 5 * SECOND],
    ['0', 0],
    ['0s', 0],
    ['007m', 7 * MINUTE],
    ['999999w', 999_999 * WEEK],
  ];
  for (const [text, milliseconds] of good) {
    test(`is read from ${text}`, () => {
      assert.equal(durationMeant(text), milliseconds);
      assert.equal(parseDuration(text), milliseconds);
    });
  }

  for (const text of [
    '',
    '1',
    '1.5h',
    '-1h',
    '1h 30m',
    '30m1h',
    '1h1h',
    '1y',
    'h',
    '1H',
    '1ms',
    ' 1h',
    '1000000s',
  ]) {
    test(`is not ${JSON.stringify(text)}, and the refusal says how to write one`, () => {
      assert.equal(durationMeant(text), undefined);
      assert.throws(() => parseDuration(text), {
        kind: 'usage',
        code: 'words.duration',
        advice: /90s, 15m, 1h30m/,
      });
    });
  }

  test('of a thousand letters is cut in the words of the refusal', () => {
    assert.throws(
      () => parseDuration('x'.repeat(1000)),
      (error: Error) => error.message.length < 100,
    );
  });

  test('is the sum of its parts, whichever are there', () => {
    const parts = fc.record({
      w: fc.nat(999),
      d: fc.nat(999),
      h: fc.nat(999),
      m: fc.nat(999),
      s: fc.nat(999),
    });
    fc.assert(
      fc.property(parts, fc.subarray(['w', 'd', 'h', 'm', 's'] as const, { minLength: 1 }), (all, units) => {
        const lengths = { w: WEEK, d: DAY, h: HOUR, m: MINUTE, s: SECOND };
        const ordered = (['w', 'd', 'h', 'm', 's'] as const).filter((unit) => units.includes(unit));
        const text = ordered.map((unit) => `${all[unit]}${unit}`).join('');
        const sum = ordered.reduce((total, unit) => total + all[unit] * lengths[unit], 0);
        assert.equal(durationMeant(text), sum);
      }),
    );
  });
});
