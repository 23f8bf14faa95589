import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fetches } from '../../../../agent/restore/resume/fetches.ts';
import { notedBegin } from '../../../../agent/restore/resume/stream.ts';
import { readBegin } from '../../../../catalog/stream/reading/begin.ts';
import { makeStream } from '../../../made-stream.ts';

/** Segments of 100 bytes, of which 40 are stored, and of one more for each number. */
const segment = (number: number) => ({ offset: number * 100, size: 100, stored: 40 + number });

test('what comes once is not fetched again, in whatever order', () => {
  const fetches = new Fetches();
  for (const number of [3, 1, 2, 0]) fetches.add(segment(number));
  assert.equal(fetches.again, 0);
  assert.deepEqual(fetches.intervals, [[0, 400]]);
});

test('what earlier tries fetched counts, and what they sent where no more was noted', () => {
  const fetches = new Fetches();
  fetches.recall(undefined);
  fetches.recall({ sent: [[0, 120]], fetched: [[0, 300]] });
  for (const number of [2, 3]) fetches.add(segment(number));
  assert.equal(fetches.again, 42);
  const older = new Fetches();
  older.recall({ sent: [[0, 120]] });
  for (const number of [1, 2]) older.add(segment(number));
  assert.equal(older.again, 41);
});

test('it is the sum over all that comes more than once', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), (numbers) => {
      const fetches = new Fetches();
      for (const number of numbers) fetches.add(segment(number));
      const seen = new Set<number>();
      let wanted = 0;
      for (const number of numbers) {
        if (seen.has(number)) wanted += segment(number).stored;
        seen.add(number);
      }
      assert.equal(fetches.again, wanted);
    }),
  );
});

test('a BEGIN that was noted is used if it is that of the stream, whole', () => {
  const [header = new Uint8Array()] = makeStream({ toGuid: 7n, toName: 'tank/a@b', blocks: [] });
  const bytes = Buffer.from(header.subarray(0, 312));
  const begin = readBegin(bytes)?.begin ?? assert.fail();
  const text = bytes.toString('base64');
  assert.deepEqual(notedBegin(text, begin), bytes);
  assert.equal(notedBegin(undefined, begin), undefined);
  assert.equal(notedBegin(text.slice(0, -4), begin), undefined);
  assert.equal(notedBegin('what is this', begin), undefined);
  assert.equal(notedBegin(Buffer.alloc(312).toString('base64'), begin), undefined);
  assert.equal(notedBegin(text, { ...begin, toName: 'tank/a@c' }), undefined);
});
