/** However a stream is cut into buffers, and wherever its reader is saved and resumed, the outcome is the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checker } from '../../../catalog/schema.ts';
import { type RecordView, StreamReader } from '../../../catalog/stream/reader.ts';
import { type EntryPoint, type ReaderState, ReaderStateSchema } from '../../../catalog/stream/state.ts';
import { recordedStream } from '../../fixtures/recorded-streams.ts';
import { begun, END, part, putTogether, SMALL_STREAM } from './parts.ts';

const STREAMS = [
  ['a stream of all record types', putTogether(SMALL_STREAM)],
  ['a big-endian stream', putTogether(SMALL_STREAM, { order: 'big' })],
  ['raw-spill', recordedStream('raw-spill')],
  ['spill-Lc', recordedStream('spill-Lc')],
  ['lustre-mdt0-incr-s1-s2', recordedStream('lustre-mdt0-incr-s1-s2')],
] as const;

const parseState = checker(ReaderStateSchema, 'the state');

/** Everything that a reader tells of a stream in these pieces, resumed before each when `resumed`. */
function outcome(stream: Uint8Array, cuts: readonly number[], resumed = false) {
  const entries: EntryPoint[] = [];
  const records: unknown[] = [];
  const options = {
    onEntryPoint: (entry: EntryPoint) => entries.push(entry),
    onRecord: ({ number, type, position, length, object }: RecordView) =>
      records.push([number, type, position, length, object]),
  };
  let reader = new StreamReader(options);
  const places = [0, ...cuts.toSorted((one, other) => one - other), stream.length];
  for (const [n, start] of places.entries()) {
    if (resumed) {
      const state = parseState(JSON.parse(JSON.stringify(reader.save())));
      reader = StreamReader.resume(state, reader.begin, options);
      assert.deepEqual(reader.save(), state, 'a state survives its resuming');
    }
    reader.write(stream.subarray(start, places[n + 1]));
  }
  return { summary: reader.end(), entries, records };
}

for (const [name, stream] of STREAMS) {
  const cuts = fc.array(fc.nat(stream.length), { maxLength: 12 });
  const whole = outcome(stream, []);

  test(`${name}: any buffers give the same records, entry points and summary`, () => {
    assert.ok(whole.entries.length > 1 && whole.records.length > 10);
    fc.assert(fc.property(cuts, (cuts) => assert.deepEqual(outcome(stream, cuts), whole)));
    const everyByte = Array.from(stream.subarray(0, 4000).keys());
    assert.deepEqual(outcome(stream, everyByte), whole);
  });

  test(`${name}: saved and resumed at any byte it goes on the same`, () => {
    fc.assert(fc.property(cuts, (cuts) => assert.deepEqual(outcome(stream, cuts, true), whole)));
  });

  test(`${name}: the state at a byte does not depend on the buffers before`, () => {
    fc.assert(
      fc.property(cuts, fc.nat(stream.length), (cuts, at) => {
        const [one, other] = [new StreamReader(), new StreamReader()];
        one.write(stream.subarray(0, at));
        const before = cuts.filter((cut) => cut < at).toSorted((a, b) => a - b);
        for (const [n, start] of [0, ...before].entries())
          other.write(stream.subarray(start, before[n] ?? at));
        assert.deepEqual(other.save(), one.save());
      }),
    );
  });
}

test('saved and resumed at every single byte it goes on the same', () => {
  const stream = putTogether(SMALL_STREAM);
  assert.deepEqual(outcome(stream, Array.from(stream.keys()), true), outcome(stream, []));
});

test('a state is small: at most 1 KiB of JSON, mostly 200 bytes', () => {
  const stream = recordedStream('raw-w');
  const reader = new StreamReader();
  const sizes: number[] = [];
  for (let at = 0; at < stream.length; at += 997) {
    reader.write(stream.subarray(at, at + 997));
    sizes.push(JSON.stringify(reader.save()).length);
  }
  assert.ok(Math.max(...sizes) < 1024, `${Math.max(...sizes)}`);
  assert.ok((sizes.toSorted((a, b) => a - b)[sizes.length >> 1] ?? 0) < 240);
});

test('a resumed reader refuses damage as one that saw everything does', () => {
  const stream = recordedStream('spill-Lc');
  fc.assert(
    fc.property(fc.nat(stream.length - 1), fc.nat(stream.length - 1), fc.nat(7), (at, byte, bit) => {
      fc.pre(byte >= at);
      const reader = new StreamReader();
      reader.write(stream.subarray(0, at));
      const resumed = StreamReader.resume(reader.save(), reader.begin);
      const rest = Buffer.from(stream.subarray(at));
      rest[byte - at] = (rest[byte - at] ?? 0) ^ (1 << bit);
      assert.throws(
        () => {
          resumed.write(rest);
          resumed.end();
        },
        { name: 'StreamError' },
      );
    }),
  );
});

test('a resumed reader still awaits a spill block, and knows what END carried', () => {
  const parts = [begun(), part('OBJECT', { object: 9n, flags: 4 }), END];
  const stream = putTogether(parts);
  const reader = new StreamReader();
  reader.write(stream.subarray(0, 624));
  const state = reader.save();
  assert.deepEqual(state.spill, ['9']);
  assert.throws(() => StreamReader.resume(state, reader.begin).write(stream.subarray(624)), {
    code: 'stream.spoilt',
  });

  const whole = new StreamReader();
  whole.write(recordedStream('incr-empty'));
  const ended = StreamReader.resume(whole.save(), whole.begin);
  assert.deepEqual(ended.end(), whole.end());
  assert.throws(() => ended.write(Uint8Array.of(1)), { code: 'stream.trailing' });
});

test('a resumed reader names the record whose payload is cut', () => {
  const reader = new StreamReader();
  reader.write(recordedStream('resume-whole').subarray(0, 400_000));
  const resumed = StreamReader.resume(reader.save(), reader.begin);
  assert.throws(() => resumed.end(), {
    code: 'stream.truncated',
    record: 16,
    type: 'WRITE',
    position: 400_000,
  });
});

test('a state in the middle of a stream needs its BEGIN, and a sum that is one', () => {
  const reader = new StreamReader();
  reader.write(recordedStream('full').subarray(0, 5000));
  const state: ReaderState = reader.save();
  assert.throws(() => StreamReader.resume(state, undefined), { code: 'stream.state' });
  assert.throws(() => StreamReader.resume({ ...state, sum: 'x' }, reader.begin), { code: 'stream.state' });
});
