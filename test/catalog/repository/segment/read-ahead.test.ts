import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FEWEST_HELD, ReadAhead } from '../../../../catalog/repository/segment/read-ahead.ts';

test('whatever comes, no more is held than may be, and the next one always', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      fc.array(fc.tuple(fc.boolean(), fc.boolean())),
      (most, told) => {
        const pace = new ReadAhead(most);
        for (const [isThere, isNextThere] of told) {
          pace.wanted(isThere, isNextThere);
          assert.ok(pace.held <= most && pace.held >= Math.min(FEWEST_HELD, most));
        }
      },
    ),
  );
});

test('a reader that does not wait has one segment ahead', () => {
  const pace = new ReadAhead(4);
  for (let n = 0; n < 100; n++) pace.wanted(true, n % 2 === 0);
  assert.equal(pace.held, 2);
});

test('one that waits has one more each time', () => {
  const pace = new ReadAhead(4);
  const held = [1, 2, 3].map(() => {
    pace.wanted(false, false);
    return pace.held;
  });
  assert.deepEqual(held, [3, 4, 4]);
});

test('only after some calm it is one less', () => {
  const pace = new ReadAhead(4);
  pace.wanted(false, false);
  for (let n = 0; n < 3; n++) pace.wanted(true, true);
  pace.wanted(true, false);
  assert.equal(pace.held, 3, 'the next one was not there');
  for (let n = 0; n < 4; n++) pace.wanted(true, true);
  assert.equal(pace.held, 2);
});
