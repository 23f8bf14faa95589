import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { segmentKey } from '../../../catalog/repository/names.ts';
import { type CompletenessFacts, checkComplete } from '../../../server/backup/completeness.ts';
import type { GrantedPart } from '../../../server/state/open-backups.ts';
import { commitRequest, openRequest, part, someBackup } from '../fixture/samples.ts';

const backup = someBackup(1);
const opened = openRequest({ to: 1n });

function facts(count: number, changes: Partial<CompletenessFacts> = {}): CompletenessFacts {
  const parts = Array.from({ length: count }, (_, number) => granted(number));
  const stored = new Map(
    parts.map(({ number, segment }) => [segmentKey(backup, number, false), segment.stored]),
  );
  return {
    backup,
    opened,
    parts,
    commit: commitRequest(opened, count),
    encrypted: false,
    stored,
    ...changes,
  };
}

function granted(number: number): GrantedPart {
  return { ...part(number), expires: 0, contested: false };
}

function without(map: ReadonlyMap<string, number>, number: number): Map<string, number> {
  return new Map([...map].filter(([key]) => key !== segmentKey(backup, number, false)));
}

describe('a backup that is not whole is not committed', () => {
  const whole = facts(3);
  const first = granted(0);
  const broken: [name: string, code: string, facts: CompletenessFacts][] = [
    ['when a part in the middle was never granted', 'missing', { ...whole, parts: [granted(0), granted(2)] }],
    ['when the last part was never granted', 'missing', { ...whole, parts: [granted(0), granted(1)] }],
    ['when no part was granted', 'missing', { ...whole, parts: [] }],
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
    ['when a part is not in the store', 'absent', { ...whole, stored: without(whole.stored, 1) }],
    [
      'when a part in the store is shorter',
      'size',
      { ...whole, stored: new Map(whole.stored).set(segmentKey(backup, 2, false), 1) },
    ],
    [
      'when an object in the store belongs to no part',
      'strange',
      { ...whole, stored: new Map(whole.stored).set(segmentKey(backup, 3, false), 1) },
    ],
    ['when the objects have the names of encrypted ones', 'absent', { ...whole, encrypted: true }],
    [
      'when parts do not lie end to end',
      'offset',
      { ...whole, parts: [{ ...first, segment: { ...first.segment, size: 999 } }, granted(1), granted(2)] },
    ],
    [
      'when the parts hold more than the stream',
      'bytes',
      facts(3, { commit: { ...whole.commit, stream: { ...whole.commit.stream, bytes: 2999 } } }),
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
        const wrong = inStore
          ? { ...all, stored: without(all.stored, gone) }
          : { ...all, parts: all.parts.filter(({ number }) => number !== gone) };
        assert.throws(() => checkComplete(wrong), { kind: 'refused' });
      }),
    );
  });
});

it('a backup that is whole passes, whatever the number of its parts', () => {
  for (const count of [1, 2, 64, 1000]) checkComplete(facts(count));
});
