import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { offerOf } from '../../../server/backup/resuming.ts';
import type { Candidate } from '../../../server/state/candidates.ts';
import type { OpenBackupState } from '../../../server/state/open-backups.ts';
import { openRequest, PART_SIZE, partsOf, someBackup } from '../fixture/samples.ts';

const request = openRequest({ to: 1n });
const open: OpenBackupState = {
  backup: someBackup(1),
  token: 'mds1',
  opened: 1_800_000_000_000,
  heard: 1_800_000_001_000,
  request,
  writer: request.writer,
  session: randomUUID(),
  attributes: null,
  adopted: null,
  committing: undefined,
};

function durable(count: number): Candidate[] {
  return partsOf(count).map((part) => ({ ...part, expires: 0, durable: true, sure: true }));
}

describe('from where a backup goes on', () => {
  it('is the beginning when nothing is durable', () => {
    const { segments, bytes, stored, after, point } = offerOf(open, []);
    assert.deepEqual(
      { segments, bytes, stored, after, point },
      {
        segments: 0,
        bytes: 0,
        stored: 0,
        after: null,
        point: null,
      },
    );
  });

  it('is behind the last of the parts that are durable from the first one on, whatever is lost of them', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.array(fc.nat(29)), (count, lost) => {
        const parts = durable(count);
        const left = parts.filter(({ number }) => !lost.includes(number));
        const expected = Math.min(count, ...lost);
        const { segments, bytes, stored, after } = offerOf(open, left);
        assert.equal(segments, expected);
        assert.equal(bytes, expected * PART_SIZE);
        assert.deepEqual(after, expected === 0 ? null : parts[expected - 1]?.after);
        const sum = parts.slice(0, expected).reduce((total, { segment }) => total + segment.stored, 0);
        assert.equal(stored, sum);
      }),
    );
  });

  it('is before a part that does not go on with the stream of the part before it', () => {
    const [a, b, c] = durable(3);
    const strange = b && {
      ...b,
      segment: { ...b.segment, state: { ...b.segment.state, sum: 'e'.repeat(64) } },
    };
    const parts = [a, strange, c].filter((part) => part !== undefined);
    assert.equal(offerOf(open, parts).segments, 1);
  });

  it('is before a part of which nobody wrote down how the stream stood behind it', () => {
    const parts = durable(3).map((part) => (part.number === 1 ? { ...part, after: undefined } : part));
    assert.equal(offerOf(open, parts).segments, 1);
  });

  it('has the last point that there is, also when the last parts have none of their own', () => {
    const parts = durable(4).map((part) => (part.number > 1 ? { ...part, point: null } : part));
    assert.deepEqual(offerOf(open, parts).point, parts[1]?.point);
    assert.equal(offerOf(open, parts.slice(0, 1)).point, null);
  });
});
