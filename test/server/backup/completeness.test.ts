import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { segmentKey } from '../../../catalog/repository/names.ts';
import { type CompletenessFacts, checkComplete } from '../../../server/backup/completeness.ts';
import type { Candidate } from '../../../server/state/candidates.ts';
import { commitRequest, openRequest, partsOf, someBackup } from '../fixture/samples.ts';

const backup = someBackup(1);
const opened = openRequest({ to: 1n });

/** A backup of so many parts that is whole. */
function facts(count: number, changes: Partial<CompletenessFacts> = {}): CompletenessFacts {
  const parts = partsOf(count).map((part): Candidate => ({ ...part, expires: 0, durable: true, sure: true }));
  const stored = new Map(parts.map((part) => [keyOf(part), part.segment.stored]));
  const commit = commitRequest(opened, count);
  return { backup, opened, granted: parts, durable: parts, commit, encrypted: false, stored, ...changes };
}

/** The same with parts that are not there, or others than they should be. */
function having(whole: CompletenessFacts, parts: readonly (Candidate | undefined)[]): CompletenessFacts {
  const there = parts.filter((part) => part !== undefined);
  const stored = new Map(there.map((part) => [keyOf(part), part.segment.stored]));
  return { ...whole, granted: there, durable: there, stored };
}

function keyOf({ number }: Candidate): string {
  return segmentKey(backup, number, false);
}

function without(whole: CompletenessFacts, number: number): CompletenessFacts {
  const stored = new Map([...whole.stored].filter(([key]) => key !== segmentKey(backup, number, false)));
  return { ...whole, stored, durable: whole.durable.filter((part) => part.number !== number) };
}

describe('a backup that is not whole is not committed', () => {
  const whole = facts(3);
  const [a, b, c] = whole.granted;
  const changed = (part: Candidate | undefined, changes: Partial<Candidate>) =>
    part ? { ...part, ...changes } : assert.fail();
  const ended = changed(c, {}).after;
  const broken: [name: string, code: string, facts: CompletenessFacts][] = [
    ['when a part in the middle was never granted', 'missing', having(whole, [a, c])],
    ['when the last part was never granted', 'missing', having(whole, [a, b])],
    ['when no part was granted', 'missing', having(whole, [])],
    [
      'when more parts were granted than there are said to be',
      'extra',
      facts(3, { commit: commitRequest(opened, 2) }),
    ],
    [
      'when there are said to be more parts than any stream has',
      'missing',
      facts(1, { commit: { ...commitRequest(opened, 1), segments: Number.MAX_SAFE_INTEGER } }),
    ],
    ['when a part is not in the store', 'absent', without(whole, 1)],
    [
      'when what the store has of a part was never granted',
      'content',
      { ...without(whole, 2), stored: new Map(whole.stored).set(segmentKey(backup, 2, false), 1) },
    ],
    [
      'when an object in the store belongs to no part',
      'strange',
      { ...whole, stored: new Map(whole.stored).set(segmentKey(backup, 3, false), 1) },
    ],
    [
      'when parts do not lie end to end',
      'offset',
      having(whole, [a && changed(a, { segment: { ...a.segment, size: 999 } }), b, c]),
    ],
    [
      'when the parts hold more than the stream',
      'bytes',
      facts(3, { commit: { ...whole.commit, stream: { ...whole.commit.stream, bytes: 2999 } } }),
    ],
    [
      'when a part goes on with another stream than the part before, at the same place',
      'state',
      having(whole, [a, b && changed(b, { after: b.after && { ...b.after, sum: 'e'.repeat(64) } }), c]),
    ],
    ['when the last part is not the end of the stream', 'end', having(whole, [a, b, notEnded(c)])],
    [
      'when the stream is said to end with another checksum than its last part',
      'end',
      having(whole, [a, b, changed(c, { after: ended && { ...ended, sum: 'e'.repeat(64) } })]),
    ],
    [
      'when the stream is said to have other records than its last part has counted',
      'end',
      having(whole, [a, b, changed(c, { after: ended && { ...ended, counts: Array<number>(11).fill(1) } })]),
    ],
    ['when the stream is another one', 'begin', { ...whole, opened: openRequest({ to: 2n }) }],
  ];
  for (const [name, code, wrong] of broken) {
    it(name, () => {
      assert.throws(() => checkComplete(wrong), { kind: 'refused', code: `commit.${code}` });
    });
  }

  it('whichever one thing of it is missing', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(), fc.boolean(), (count, pick, inStore) => {
        const all = facts(count);
        const gone = pick % count;
        const left = all.granted.filter(({ number }) => number !== gone);
        const wrong = inStore ? without(all, gone) : having(all, left);
        assert.throws(() => checkComplete(wrong), { kind: 'refused' });
      }),
    );
  });
});

it('a backup that is whole passes, whatever the number of its parts', () => {
  for (const count of [1, 2, 64, 1000]) checkComplete(facts(count));
});

it('parts that an older service wrote down, without the state behind them, are not refused for it', () => {
  const whole = facts(3);
  checkComplete(
    having(
      whole,
      whole.granted.map((part) => ({ ...part, after: undefined })),
    ),
  );
});

function notEnded(part: Candidate | undefined): Candidate {
  const { ended: _, ...after } = part?.after ?? assert.fail();
  return { ...(part ?? assert.fail()), after };
}
