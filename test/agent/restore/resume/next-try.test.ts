import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENDING, type Failed, nextTry } from '../../../../agent/restore/resume/next-try.ts';
import { ZkeepError } from '../../../../catalog/errors.ts';
import type { ResumeToken } from '../../../../catalog/stream/resuming/token.ts';
import { guid } from '../made-steps.ts';

const TOKEN: ResumeToken = {
  object: 7n,
  offset: 131_072n,
  bytes: 1_000_000n,
  toguid: guid(2),
  toname: 'tank/a@two',
  fromguid: guid(1),
  raw: false,
  largeBlocks: true,
  compressed: true,
  embedded: false,
  redactSnaps: null,
};
const LATER = { ...TOKEN, offset: 262_144n };

const at = (token: ResumeToken | undefined): Failed => ({
  tried: TOKEN,
  to: guid(2),
  there: { partial: { to: guid(2), token }, snapshots: [] },
  tries: 1,
  waited: 0,
});

test('a receive that was killed and is still at it is waited for, longer each time, and not for ever', () => {
  const pauses = [1, 2, 3, 20].map((tries) => nextTry(failure('zfs.busy'), { ...at(TOKEN), tries }));
  assert.deepEqual(
    pauses.map((next) => (next.kind === 'wait' ? next.pause : next.kind)),
    [1000, 2000, 4000, 15_000],
  );
  assert.equal(nextTry(failure('zfs.busy'), { ...at(TOKEN), waited: ENDING }).kind, 'give-up');
});

test('a token that has moved on meanwhile is no reason to throw anything away', () => {
  assert.deepEqual(nextTry(failure('zfs.too-old'), at(LATER)), { kind: 'resume', token: LATER });
  assert.equal(nextTry(failure('zfs.too-old'), { ...at(LATER), waited: ENDING }).kind, 'give-up');
});

test('a receive that came to its end meanwhile has done what was to be done', () => {
  const snapshots = [{ guid: guid(2), name: 'two' }];
  for (const code of ['zfs.busy', 'zfs.too-old', 'zfs.exists'])
    assert.equal(
      nextTry(failure(code), { ...at(TOKEN), there: { partial: undefined, snapshots } }).kind,
      'done',
    );
});

test('where nothing is left of a receive, and nothing came of it, nothing is thrown away', () => {
  const gone = { partial: undefined, snapshots: [{ guid: guid(1), name: 'one' }] };
  assert.equal(nextTry(failure('zfs.too-old'), { ...at(TOKEN), there: gone }).kind, 'give-up');
});

test('what ZFS does not take as the rest of the very token that is there begins again', () => {
  assert.equal(nextTry(failure('zfs.too-old'), at({ ...TOKEN })).kind, 'again');
  assert.equal(nextTry(failure('resume.entry'), at({ ...TOKEN })).kind, 'again');
  assert.equal(nextTry(failure('zfs.too-old'), at({ ...TOKEN, toguid: guid(3) })).kind, 'again');
  assert.equal(nextTry(failure('zfs.too-old'), at(undefined)).kind, 'again');
});

test('anything else is the end of it', () => {
  assert.equal(nextTry(failure('zfs.full'), at(LATER)).kind, 'give-up');
  assert.equal(nextTry(failure('zfs.exists'), at(LATER)).kind, 'give-up');
  assert.equal(nextTry(new Error('a slip'), at(LATER)).kind, 'give-up');
});

function failure(code: string): ZkeepError {
  return new ZkeepError('failed', code, 'said by a test');
}
