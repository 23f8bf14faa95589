/** The points that a reader names are those of facts seen live: the last whole OBJECT, WRITE or WRITE_EMBEDDED. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checker } from '../../../catalog/schema.ts';
import { StreamReader } from '../../../catalog/stream/reader.ts';
import { type ReaderState, type ResumePoint, ResumePointSchema } from '../../../catalog/stream/state.ts';
import { recordedStream } from '../../fixtures/recorded-streams.ts';
import { begun, END, type Part, part, putTogether, SMALL_STREAM, takeApart } from './parts.ts';

const STREAMS = [
  ['a stream of all record types', putTogether(SMALL_STREAM)],
  ['a big-endian stream', putTogether(SMALL_STREAM, { order: 'big' })],
  ['full', recordedStream('full')],
  ['incr-i-a-b', recordedStream('incr-i-a-b')],
  ['raw-spill', recordedStream('raw-spill')],
  ['spill-Lc', recordedStream('spill-Lc')],
  ['embedded-Lec', recordedStream('embedded-Lec')],
  ['large-L', recordedStream('large-L')],
  ['zvol-incr', recordedStream('zvol-incr')],
  ['lustre-mdt0-incr-s1-s2', recordedStream('lustre-mdt0-incr-s1-s2')],
] as const;

const parsePoint = checker(ResumePointSchema, 'the point');

/** The reader's state after these bytes. */
function stateAfter(bytes: Uint8Array): ReaderState {
  const reader = new StreamReader();
  reader.write(bytes);
  return reader.save();
}

/** The point after these bytes, whatever buffers they come in. */
function pointAfter(bytes: Uint8Array, cuts: readonly number[] = []): ResumePoint | undefined {
  const reader = new StreamReader();
  const places = [0, ...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length];
  for (const [n, start] of places.entries()) reader.write(bytes.subarray(start, places[n + 1]));
  return reader.point;
}

/** The same, by the slow and plain way: `parts` are the records of the stream, `at` the bytes taken of it. */
function plainPoint(parts: ReturnType<typeof takeApart>, at: number) {
  for (const { record, payload, position } of parts.toReversed()) {
    if (position + 312 + payload.length > at) continue;
    const { name, fields } = record;
    if (name !== 'OBJECT' && name !== 'WRITE' && name !== 'WRITE_EMBEDDED') continue;
    const offset = 'offset' in fields ? fields.offset : 0n;
    if (fields.object === 0n || offset >= 1n << 63n) continue;
    return { type: name, object: String(fields.object), offset: String(offset), position };
  }
  return undefined;
}

const write = (object: bigint, offset: bigint) =>
  part('WRITE', { object, offset, logical_size: 8n }, Buffer.alloc(8));
const embedded = (object: bigint, offset: bigint) =>
  part('WRITE_EMBEDDED', { object, offset, length: 512n, psize: 8 }, Buffer.alloc(8));

/** The points at the end of all bytes up to each record, as `TYPE object offset`. */
function pointsOf(parts: readonly Part[]): string[] {
  return parts.map((_, n) => {
    const point = pointAfter(putTogether(parts.slice(0, n + 1)));
    return point ? `${point.type} ${point.object} ${point.offset}` : 'none';
  });
}

test('records that a sender merges, or sends along with others, are no points', () => {
  const parts = [
    begun(),
    part('OBJECT_RANGE', { firstobj: 0n, numslots: 32n }),
    part('FREEOBJECTS', { firstobj: 0n, numobjs: 2n }),
    part('OBJECT', { object: 2n, flags: 4 }),
    part('SPILL', { object: 2n, length: 8n }, Buffer.alloc(8)),
    part('FREE', { object: 2n, offset: 4096n, length: 8n }),
    write(2n, 4096n),
    part('REDACT', { object: 2n, offset: 0n, length: 8n }),
    embedded(2n, 1n << 40n),
    END,
  ];
  assert.deepEqual(pointsOf(parts), [
    ...['none', 'none', 'none', 'OBJECT 2 0', 'OBJECT 2 0', 'OBJECT 2 0'],
    ...['WRITE 2 4096', 'WRITE 2 4096', 'WRITE_EMBEDDED 2 1099511627776', 'WRITE_EMBEDDED 2 1099511627776'],
  ]);
});

test('what lies at an offset from 2^63 on is a misplaced spill block, and object 0 no object: no points', () => {
  const parts = [
    begun(),
    part('OBJECT', { object: 0n }),
    part('OBJECT', { object: 1n << 63n }),
    embedded(7n, (1n << 64n) - 1024n),
    write(7n, 1n << 63n),
    write(7n, (1n << 63n) - 8n),
  ];
  const second = 'OBJECT 9223372036854775808 0';
  assert.deepEqual(pointsOf(parts), ['none', 'none', second, second, second, 'WRITE 7 9223372036854775800']);
});

test('a record whose payload has not come whole is no point yet', () => {
  const parts = [begun(), write(2n, 0n), write(2n, 8n)];
  const stream = putTogether(parts);
  const offsets = Array.from(stream.keys(), (at) => pointAfter(stream.subarray(0, at))?.offset);
  const wanted = offsets.map((_, at) => (at < 632 ? undefined : '0'));
  assert.deepEqual(offsets, wanted);
  assert.equal(pointAfter(stream)?.offset, '8');
});

for (const [name, stream] of STREAMS) {
  const parts = takeApart(
    name === 'a big-endian stream' ? putTogether(SMALL_STREAM) : stream, // positions are the same
  );
  const cuts = fc.array(fc.nat(stream.length), { maxLength: 6 });

  test(`${name}: at any byte, however it came there, the point is the last whole record that is one`, () => {
    fc.assert(
      fc.property(fc.nat(stream.length), cuts, (at, cuts) => {
        const point = pointAfter(stream.subarray(0, at), cuts);
        const wanted = plainPoint(parts, at);
        assert.equal(point === undefined, wanted === undefined);
        if (!point || !wanted) return;
        const { state, ...named } = point;
        assert.deepEqual({ ...named, position: state.at }, wanted);
        assert.deepEqual(state, stateAfter(stream.subarray(0, state.at)));
        assert.deepEqual(parsePoint(JSON.parse(JSON.stringify(point))), point);
      }),
      { numRuns: 40 },
    );
  });

  test(`${name}: a reader resumed at a point reads the rest as one that saw everything`, () => {
    const whole = new StreamReader();
    whole.write(stream);
    fc.assert(
      fc.property(fc.nat(stream.length), (at) => {
        const point = pointAfter(stream.subarray(0, at));
        fc.pre(point !== undefined);
        const resumed = StreamReader.resume(point.state, whole.begin);
        resumed.write(stream.subarray(point.state.at));
        assert.deepEqual(resumed.end(), whole.end());
      }),
      { numRuns: 25 },
    );
  });

  test(`${name}: a resumed reader knows no point before it has passed one, then the right one`, () => {
    fc.assert(
      fc.property(fc.nat(stream.length), fc.nat(stream.length), (one, other) => {
        const [start, end] = [Math.min(one, other), Math.max(one, other)];
        const first = new StreamReader();
        first.write(stream.subarray(0, start));
        const resumed = StreamReader.resume(first.save(), first.begin);
        assert.equal(resumed.point, undefined);
        resumed.write(stream.subarray(start, end));
        const wanted = pointAfter(stream.subarray(0, end));
        // Of a record whose header came before the cut it knows nothing: the point from before still holds.
        const passed = wanted !== undefined && wanted.state.at + 312 > start;
        assert.deepEqual(resumed.point, passed ? wanted : undefined);
      }),
      { numRuns: 40 },
    );
  });
}

test('a stream that turned out damaged still has the last point before the damage', () => {
  const stream = recordedStream('incr-i-a-b');
  const damaged = Buffer.from(stream);
  const at = takeApart(stream).find(({ record, position }) => record.name === 'WRITE' && position > 90_000);
  assert.ok(at);
  damaged[at.position + 300] = ~(damaged[at.position + 300] ?? 0);
  const reader = new StreamReader();
  assert.throws(() => reader.write(damaged), { code: 'stream.checksum' });
  assert.deepEqual(reader.point, pointAfter(stream.subarray(0, at.position)));
});
