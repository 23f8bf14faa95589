import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { keptName } from '../../../agent/backup/import.ts';
import { exitOf, failedResult } from '../../../agent/backup/results.ts';
import { deadRival, isWriting, thisWriter, writtenHere } from '../../../agent/backup/writer.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { LEASE_MILLISECONDS } from '../../../catalog/protocol/protocol.ts';
import { newUuid7, parseBackupId } from '../../../catalog/words.ts';

const ID = newUuid7(1);
const busy = (host: string, process: number) =>
  new ZkeepError('busy', 'backup.busy', 'somebody is at it', { facts: { backup: ID, host, process } });

describe('a writer in the way', () => {
  const self = { host: 'here', process: 10 };

  it('on another host is never taken for dead', () => {
    assert.equal(
      deadRival(busy('there', 11), self, () => false),
      undefined,
    );
  });

  it('on this host is taken over only when it is dead, or is ourselves', () => {
    assert.equal(
      deadRival(busy('here', 11), self, () => true),
      undefined,
    );
    assert.equal(
      deadRival(busy('here', 11), self, () => false),
      ID,
    );
    assert.equal(
      deadRival(busy('here', 10), self, () => true),
      ID,
    );
  });

  it('is not taken over where another run of this very process is at it', () => {
    writtenHere.add(parseBackupId(ID));
    try {
      assert.equal(
        deadRival(busy('here', 10), self, () => true),
        undefined,
      );
    } finally {
      writtenHere.delete(parseBackupId(ID));
    }
  });

  it('is looked for among the processes of this machine', () => {
    const { pid } = spawnSync('/bin/true');
    const { host, process: id } = thisWriter();
    assert.equal(deadRival(busy(host, pid), { host, process: id + 1 }), ID);
    assert.equal(deadRival(busy(host, id), { host, process: id + 1 }), undefined);
    assert.equal(deadRival(busy(host, 1), { host, process: id }), undefined);
  });

  it('is not seen in other failures', () => {
    assert.equal(
      deadRival(new ZkeepError('busy', 'other.busy', ''), self, () => false),
      undefined,
    );
    assert.equal(
      deadRival(new Error('x'), self, () => false),
      undefined,
    );
  });
});

describe('the writer of an open backup', () => {
  const heard = '2026-11-20T12:00:00.000Z';
  const now = Date.parse(heard) + LEASE_MILLISECONDS;
  const written = (host: string, process = 11) => ({ writer: { host, process }, heard });

  it('on another host is at it until its lease is over, whatever lives here', () => {
    const at = (moment: number) => ({ host: 'here', now: moment, lives: () => true });
    assert.equal(isWriting(written('there'), at(now - 1)), true);
    assert.equal(isWriting(written('there'), at(now)), false);
  });

  it('on this host is at it as long as its process lives, whenever it was heard', () => {
    const lives = (process: number) => process === 11;
    assert.equal(isWriting(written('here'), { host: 'here', now: now * 2, lives }), true);
    assert.equal(isWriting(written('here', 12), { host: 'here', now: now - 1, lives }), false);
  });

  it('is looked for here and now', () => {
    const { pid } = spawnSync('/bin/true');
    assert.equal(isWriting({ writer: thisWriter(), heard }), true);
    assert.equal(isWriting({ writer: { ...thisWriter(), process: pid }, heard }), false);
  });
});

describe('the exit code of several', () => {
  const stored = {
    ...failedResult({ dataset: 'a', kind: null, snapshot: null }, undefined),
    outcome: 'stored' as const,
  };
  const failure = (code: number) => failedResult({ dataset: 'a', kind: null, snapshot: null }, code);
  const codeOf = (thrown: unknown) => Number(thrown);

  it('is 0, that of all, or 7', () => {
    assert.equal(exitOf([stored, stored], codeOf), 0);
    assert.equal(exitOf([failure(5)], codeOf), 5);
    assert.equal(exitOf([failure(6), failure(6)], codeOf), 6);
    assert.equal(exitOf([failure(6), failure(5)], codeOf), 7);
    assert.equal(exitOf([stored, failure(5)], codeOf), 7);
  });
});

describe('the name of an imported dataset', () => {
  it('keeps its place below the first', () => {
    assert.equal(keptName('tank/a', 'tank/a', 'old'), 'old');
    assert.equal(keptName('tank/a/b/c', 'tank/a', 'old/x'), 'old/x/b/c');
  });

  it('is refused for a dataset that is elsewhere, or cannot be one', () => {
    assert.throws(
      () => keptName('tank/ab', 'tank/a', 'old'),
      (thrown: unknown) => thrown instanceof ZkeepError && thrown.kind === 'refused',
    );
    assert.throws(
      () => keptName('tank/a/b\nc', 'tank/a', 'old'),
      (thrown: unknown) => thrown instanceof ZkeepError && thrown.kind === 'usage',
    );
  });
});
