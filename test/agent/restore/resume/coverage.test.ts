import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { coveredEnd, type Interval, withSent } from '../../../../agent/restore/resume/coverage.ts';

const interval = fc.tuple(fc.nat(60), fc.nat(30)).map(([from, length]): Interval => [from, from + length]);
const intervals = fc.array(interval, { maxLength: 12 });

/** The bytes themselves. */
const bytesOf = (some: readonly Interval[]) =>
  new Set(some.flatMap(([from, to]) => Array.from({ length: to - from }, (_, n) => from + n)));

const joinedOf = (some: readonly Interval[]) =>
  some.reduce<Interval[]>((all, each) => withSent(all, each), []);

test('no byte is lost or added, in whatever order tries come', () => {
  fc.assert(
    fc.property(intervals, (some) => {
      const joined = joinedOf(some);
      assert.deepEqual(bytesOf(joined), bytesOf(some));
      assert.deepEqual(joined, joinedOf(some.toReversed()));
      for (const [at, [from, to]] of joined.entries()) {
        assert.ok(from < to);
        assert.ok(from > (joined[at - 1]?.[1] ?? -1), 'apart from the one before');
      }
    }),
  );
});

test('what is covered from the first byte on is counted without a gap', () => {
  fc.assert(
    fc.property(intervals, (some) => {
      const bytes = bytesOf(some);
      let end = 0;
      while (bytes.has(end)) end++;
      assert.equal(coveredEnd(some), end);
    }),
  );
});

test('nothing was sent: nothing is covered', () => {
  assert.deepEqual(withSent([], [5, 5]), []);
  assert.equal(coveredEnd([]), 0);
  assert.equal(coveredEnd([[1, 100]]), 0);
});
