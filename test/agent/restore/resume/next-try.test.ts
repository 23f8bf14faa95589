import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENDING, nextTry } from '../../../../agent/restore/resume/next-try.ts';
import { ZkeepError } from '../../../../catalog/errors.ts';
import type { ResumeToken } from '../../../../catalog/stream/token.ts';
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

test('a receive that was killed and is still at it is waited for, and not for ever', () => {
  const asked = { tried: TOKEN, there: TOKEN };
  assert.equal(nextTry(failure('zfs.busy'), { ...asked, waited: 0 }).kind, 'wait');
  assert.equal(nextTry(failure('zfs.busy'), { ...asked, waited: ENDING }).kind, 'give-up');
});

test('a token that has moved on meanwhile is no reason to throw anything away', () => {
  const moved = { tried: TOKEN, there: LATER, waited: 0 };
  assert.deepEqual(nextTry(failure('zfs.too-old'), moved), { kind: 'resume', token: LATER });
  assert.equal(nextTry(failure('zfs.too-old'), { ...moved, waited: ENDING }).kind, 'give-up');
});

test('what ZFS does not take as the rest of the very token that is there begins again', () => {
  const same = { tried: TOKEN, there: { ...TOKEN }, waited: 0 };
  assert.equal(nextTry(failure('zfs.too-old'), same).kind, 'again');
  assert.equal(nextTry(failure('resume.entry'), same).kind, 'again');
  const other = { ...TOKEN, toguid: guid(3) };
  assert.equal(nextTry(failure('zfs.too-old'), { tried: TOKEN, there: other, waited: 0 }).kind, 'again');
});

test('anything else is the end of it', () => {
  const asked = { tried: TOKEN, there: LATER, waited: 0 };
  assert.equal(nextTry(failure('zfs.full'), asked).kind, 'give-up');
  assert.equal(nextTry(new Error('a slip'), asked).kind, 'give-up');
});

function failure(code: string): ZkeepError {
  return new ZkeepError('failed', code, 'said by a test');
}
