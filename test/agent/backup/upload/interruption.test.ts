/** What stays after a failure for a later run to go on with, and what is taken back. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { goesOn, Interrupted, isLeftAlone } from '../../../../agent/backup/upload/interruption.ts';
import { type ErrorKind, ZkeepError } from '../../../../catalog/errors.ts';
import { StreamError } from '../../../../catalog/stream/stream-error.ts';
import { newUuid7, parseBackupId } from '../../../../catalog/words.ts';

const error = (kind: ErrorKind, code: string) => new ZkeepError(kind, code, 'something is wrong');
const damage = (code: string) => new StreamError(code, 'wrong', { record: 3, type: 'WRITE', position: 9 });
const SOME = { granted: 3, source: 'zfs' } as const;

const INTERRUPTIONS: unknown[] = [
  error('failed', 'agent.interrupted'),
  error('unavailable', 'service.unreachable'),
  error('unavailable', 'store.timeout'),
  error('full', 'store.full'),
  error('denied', 'token.unknown'),
  error('failed', 'zfs.failed'),
  error('missing', 'zfs.no-dataset'),
  error('unavailable', 'zfs.suspended'),
  error('damaged', 'store.spoilt-on-the-way'),
  damage('stream.checksum'),
  damage('stream.truncated'),
  error('refused', 'commit.absent'),
  new TypeError('a defect'),
];
const HOPELESS: unknown[] = [
  error('refused', 'grant.stored'),
  error('refused', 'backup.already'),
  error('refused', 'chain.flags-changed'),
  error('refused', 'commit.differs'),
  error('missing', 'backup.not-open'),
  error('usage', 'grant.part'),
  damage('stream.spoilt'),
];

describe('an upload that failed', () => {
  it('is left open after an interruption, when something of it was granted', () => {
    for (const thrown of INTERRUPTIONS) assert.ok(goesOn(thrown, SOME), String(thrown));
  });

  it('is taken back when nothing of it was granted', () => {
    for (const thrown of INTERRUPTIONS) assert.ok(!goesOn(thrown, { ...SOME, granted: 0 }), String(thrown));
  });

  it('is taken back when going on would end the same way', () => {
    for (const thrown of HOPELESS) assert.ok(!goesOn(thrown, SOME), String(thrown));
  });

  it('is left to whoever writes it now, or may have been committed, whatever was granted', () => {
    for (const code of ['backup.taken-over', 'backup.commit-unknown']) {
      assert.ok(goesOn(error('busy', code), { granted: 0, source: 'file' }));
      assert.ok(isLeftAlone(error('busy', code)));
    }
    assert.ok(!isLeftAlone(error('unavailable', 'store.timeout')));
  });

  it('of a file that is damaged is taken back: it comes no better the next time', () => {
    assert.ok(!goesOn(damage('stream.checksum'), { granted: 3, source: 'file' }));
    assert.ok(goesOn(error('unavailable', 'store.timeout'), { granted: 3, source: 'file' }));
  });
});

describe('an interruption, in words', () => {
  const backup = parseBackupId(newUuid7(1));
  const told = { backup, bytes: 1536, again: 'zkeep backup tank/a', end: 'zkeep backup --abandon X' };

  it('is what it was, with the command that goes on, and the one that ends it', () => {
    const cause = new ZkeepError('unavailable', 'store.timeout', 'too slow', { advice: 'look at it' });
    const { kind, code, message, advice, facts } = new Interrupted(cause, told);
    assert.deepEqual([kind, code, message], ['unavailable', 'store.timeout', 'too slow']);
    assert.equal(
      advice,
      'look at it; then zkeep backup tank/a goes on from 1.5 KiB; zkeep backup --abandon X ends it',
    );
    assert.deepEqual(facts, { backup, resumes_at: 1536 });
  });

  it('tells of a defect too', () => {
    const { kind, code, advice } = new Interrupted(new TypeError('x is undefined'), told);
    assert.deepEqual([kind, code], ['failed', 'agent.unforeseen']);
    assert.match(advice ?? '', /^zkeep backup tank\/a goes on/);
  });
});
