import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { expectedBy } from '../../../catalog/chain/recovery.ts';

const GIB = 1024 ** 3;

describe('how long a restore is expected to take', () => {
  test('is not known where nothing was measured', () => {
    assert.equal(expectedBy([])(1), null);
    assert.equal(expectedBy([{ bytes: 0, seconds: 5 }])(1), null);
  });

  test('is by the rate of one that was measured, for more and for less', () => {
    const expected = expectedBy([{ bytes: GIB, seconds: 10 }]);
    assert.deepEqual([expected(GIB), expected(100 * GIB), expected(GIB / 2)], [10, 1000, 5]);
  });

  test('is not known of much more than a small one, which took as long as any to begin', () => {
    const expected = expectedBy([{ bytes: 3000, seconds: 17 }]);
    assert.deepEqual(
      [expected(3000), expected(48_000), expected(48_001), expected(GIB)],
      [17, 272, null, null],
    );
  });

  test('lies between those that were measured, and is by the rate of the largest above it', () => {
    const expected = expectedBy([
      { bytes: 3 * GIB, seconds: 50 },
      { bytes: 1000, seconds: 10 },
      { bytes: GIB, seconds: 20 },
    ]);
    assert.deepEqual(
      [expected(1000), expected(GIB), expected(2 * GIB), expected(6 * GIB)],
      [10, 20, 35, 100],
    );
  });

  test('is no shorter than that of fewer bytes, though one was measured so', () => {
    const expected = expectedBy([
      { bytes: GIB, seconds: 100 },
      { bytes: 2 * GIB, seconds: 30 },
    ]);
    assert.deepEqual([expected(1.5 * GIB), expected(4 * GIB)], [100, 200]);
  });

  test('never falls as bytes grow, and is a number or unknown, whatever was measured', () => {
    const measured = fc.array(
      fc.record({ bytes: fc.nat(10 * GIB), seconds: fc.double({ min: 0, max: 1e6, noNaN: true }) }),
    );
    fc.assert(
      fc.property(measured, fc.array(fc.integer({ min: 1, max: 100 * GIB })), (some, sizes) => {
        const expected = expectedBy(some);
        let last = 0;
        for (const size of sizes.sort((one, other) => one - other)) {
          const seconds = expected(size);
          if (seconds === null) continue;
          // A line between two points may lose the last digit.
          assert.ok(
            Number.isFinite(seconds) && seconds >= last * (1 - 1e-9),
            `${size}: ${seconds} < ${last}`,
          );
          last = seconds;
        }
      }),
    );
  });
});
