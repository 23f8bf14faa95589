import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkFlags, mayFollow } from '../../../catalog/chain/flags.ts';
import { goTogether, LARGE, PLAIN, RAW } from './graphs.ts';

test('what may follow is what goes together in a chain of two', () => {
  const flags = fc.record({ raw: fc.boolean(), large_blocks: fc.boolean() });
  fc.assert(
    fc.property(flags, flags, (before, next) => {
      assert.equal(mayFollow(before, next), goTogether([{ flags: before }, { flags: next }]));
      assert.equal(checkFlags(before, next) === undefined, mayFollow(before, next));
    }),
  );
});

test('a backup that would change the flags of its chain is refused with words for each change', () => {
  const refusals = [
    [RAW, PLAIN, /kept raw, and this stream is plain/, /send it raw \(-w\)/],
    [PLAIN, RAW, /kept plain, and this stream is raw/, /send it without -w/],
    [LARGE, PLAIN, /with large blocks, and this stream is without/, /send it with -L/],
  ] as const;
  for (const [base, next, words, advice] of refusals) {
    const refusal = checkFlags(base, next);
    assert.deepEqual([refusal?.kind, refusal?.code], ['refused', 'chain.flags-changed']);
    assert.match(refusal?.message ?? '', words);
    assert.match(refusal?.advice ?? '', advice);
  }
});

test('one fitting way to the base is enough, and no way known says nothing', () => {
  assert.equal(checkFlags([RAW, PLAIN], PLAIN), undefined);
  assert.equal(checkFlags([], RAW), undefined);
  assert.notEqual(checkFlags([RAW, LARGE], PLAIN), undefined);
});
