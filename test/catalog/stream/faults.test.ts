/** Everything that must be refused, and that nothing slips through. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { FLETCHER4_ROOM } from '../../../catalog/stream/fletcher4.ts';
import { StreamReader } from '../../../catalog/stream/reader.ts';
import { MOST_PAYLOAD } from '../../../catalog/stream/reading/payload.ts';
import { type NewRecord, RECORD_NAMES } from '../../../catalog/stream/record.ts';
import { StreamError } from '../../../catalog/stream/stream-error.ts';
import { recordedStream } from '../../fixtures/recorded-streams.ts';
import { begun, END, type Making, type Part, part, putTogether, SMALL_STREAM, takeApart } from './parts.ts';

// One memory for the many thousand readers of this file.
const room = { memory: new WebAssembly.Memory({ initial: Math.ceil(FLETCHER4_ROOM / 65536) }), at: 0 };

/** The error that a stream gives; `undefined` when it is whole. */
function refusal(bytes: Uint8Array): StreamError | undefined {
  const reader = new StreamReader({ room });
  try {
    reader.write(bytes);
    reader.end();
    return undefined;
  } catch (thrown) {
    if (thrown instanceof StreamError) return thrown;
    throw thrown;
  }
}

function assertRefused(
  bytes: Uint8Array,
  code: string,
  place?: { record: number; type: string | null; position: number },
) {
  const found = refusal(bytes);
  assert.ok(found, `refused as ${code}`);
  assert.equal(found.code, code);
  assert.equal(found.kind, 'damaged');
  assert.ok(found.advice);
  const { record, type, position } = found;
  if (place) assert.deepEqual({ record, type, position }, place);
  assert.equal(found.facts['position'], position);
}

const made = (parts: readonly Part[], making?: Making) => putTogether([begun(), ...parts, END], making);

test('nothing at all is refused', () => {
  assertRefused(new Uint8Array(), 'stream.empty', { record: 0, type: null, position: 0 });
});

test('what is no stream is refused as that, however short or long', () => {
  const stream = recordedStream('incr-empty');
  for (const bytes of [
    Buffer.from('cannot open: dataset does not exist\n'),
    Buffer.from('x'),
    Buffer.alloc(100_000),
    gzipSync(stream),
    stream.subarray(4),
    stream.subarray(312),
  ]) {
    assertRefused(bytes, 'stream.not-a-stream');
  }
});

test('an unknown type of header is no stream', () => {
  for (const type of [0n, 3n])
    assertRefused(putTogether([begun({ versioninfo: type }), END]), 'stream.not-a-stream');
  assertRefused(putTogether([begun({ versioninfo: (1n << 60n) | 1n }), END]), 'stream.not-a-stream');
});

for (const [name, stream] of [
  ['incr-empty', recordedStream('incr-empty')],
  ['raw-w-incr', recordedStream('raw-w-incr')],
  ['a big-endian stream', putTogether(SMALL_STREAM, { order: 'big' })],
] as const) {
  test(`${name} is refused when it ends after any of its bytes but the last`, () => {
    const reader = new StreamReader();
    for (let length = 1; length < stream.length; length++) {
      reader.write(stream.subarray(length - 1, length));
      assert.throws(
        () => StreamReader.resume(reader.save(), reader.begin, { room }).end(),
        { name: 'StreamError', code: 'stream.truncated', position: length },
        `at byte ${length}`,
      );
    }
    reader.write(stream.subarray(-1));
    assert.equal(reader.end().bytes, stream.length);
  });
}

test('a truncated stream is refused with the record that is not whole', () => {
  const stream = recordedStream('resume-whole');
  assertRefused(stream.subarray(0, 400_000), 'stream.truncated', {
    record: 16,
    type: 'WRITE',
    position: 400_000,
  });
  assertRefused(stream.subarray(0, 700), 'stream.truncated', { record: 2, type: null, position: 700 });
  assertRefused(stream.subarray(0, -312), 'stream.truncated');
  fc.assert(
    fc.property(fc.nat(stream.length - 1), (length) => refusal(stream.subarray(0, length)) !== undefined),
  );
});

for (const [name, stream] of [
  ['incr-empty', recordedStream('incr-empty')],
  ['a stream of all record types', putTogether(SMALL_STREAM)],
  ['a big-endian stream', putTogether(SMALL_STREAM, { order: 'big' })],
  ['a stream without checksums in its records', putTogether(SMALL_STREAM, { sums: false })],
] as const) {
  test(`${name} is refused with any single bit flipped`, () => {
    assert.equal(refusal(stream), undefined);
    for (let bit = 0; bit < stream.length * 8; bit++) {
      const flipped = Buffer.from(stream);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.ok(refusal(flipped), `bit ${bit & 7} of byte ${bit >> 3} went unseen`);
    }
  });
}

for (const name of [
  'full',
  'raw-w',
  'compressed-c-lz4',
  'zvol',
  'spill-Lc',
  'lustre-mdt0-incr-s1-s2',
  'large-L',
]) {
  test(`${name} is refused with a random bit flipped, and the place is not after the damage's record`, () => {
    const stream = recordedStream(name);
    const ends = takeApart(stream).map(({ position, payload }) => position + 312 + payload.length);
    fc.assert(
      fc.property(fc.nat(stream.length - 1), fc.nat(7), (byte, bit) => {
        stream[byte] = (stream[byte] ?? 0) ^ (1 << bit);
        const found = refusal(stream);
        stream[byte] = (stream[byte] ?? 0) ^ (1 << bit);
        assert.ok(found);
        // BEGIN has no checksum of its own: a wrong length in it shows where the next header should be.
        const endOfRecord = ends.find((end) => end > byte) ?? 0;
        assert.ok(byte < 312 || found.position <= endOfRecord, String(found));
      }),
      { numRuns: 300 },
    );
  });
}

test('several damaged bytes, swapped records and missing pieces are refused', () => {
  const stream = recordedStream('embedded-Lec');
  const place = fc.nat(stream.length - 8);
  fc.assert(
    fc.property(place, fc.uint8Array({ minLength: 1, maxLength: 8 }), (at, bytes) => {
      const changed = Buffer.from(stream);
      changed.set(bytes, at);
      return changed.equals(stream) || refusal(changed) !== undefined;
    }),
  );
  fc.assert(
    fc.property(place, fc.integer({ min: 1, max: 2000 }), (at, length) => {
      const without = Buffer.concat([stream.subarray(0, at), stream.subarray(at + length)]);
      return refusal(without) !== undefined;
    }),
  );
  const positions = takeApart(stream).map(({ position }) => position);
  const [, first, second, third] = positions;
  const swapped = [
    stream.subarray(0, first),
    stream.subarray(second, third),
    stream.subarray(first, second),
    stream.subarray(third),
  ];
  assertRefused(Buffer.concat(swapped), 'stream.checksum');
});

test('damage is named at the first header whose checksum shows it', () => {
  const stream = recordedStream('full');
  const parts = takeApart(stream);
  const record = parts.findIndex(({ payload }) => payload.length > 10_000);
  const [damaged, next] = [parts[record], parts[record + 1]];
  assert.ok(damaged && next);
  stream[damaged.position + 5000] = (stream[damaged.position + 5000] ?? 0) ^ 1;
  const found = refusal(stream);
  assert.equal(found?.code, 'stream.checksum');
  assert.equal(found.record, record + 1);
  assert.equal(found.position, next.position);
  const text = `record ${record + 1}, ${next.record.name}, at byte ${next.position}`;
  assert.ok(found.message.includes(text), found.message);
});

test('END with a wrong total is refused, though its own checksum is right', () => {
  const stream = putTogether(SMALL_STREAM, {
    edit: (header, name) => name === 'END' && header.setUint8(8, header.getUint8(8) ^ 1),
  });
  assertRefused(stream, 'stream.checksum', { record: 11, type: 'END', position: stream.length - 312 });
});

test('a type of record that does not exist is refused, though its checksum is right', () => {
  for (const type of [11, 255, 0xffffffff]) {
    const edit: Making['edit'] = (header, name) => name === 'FREE' && header.setUint32(0, type, true);
    assertRefused(made([part('FREE')], { edit }), 'stream.unknown-record');
  }
});

test('a second BEGIN is refused', () => {
  assertRefused(made([begun()]), 'stream.second-begin', { record: 1, type: 'BEGIN', position: 312 });
});

test('a record of another stream is refused, whatever its type', () => {
  for (const name of RECORD_NAMES.filter((each) => each !== 'BEGIN')) {
    for (const toguid of [0n, 1n, 0x1122334455667789n, 0x9122334455667788n]) {
      const other = { record: { name, fields: { toguid } } as NewRecord, payload: new Uint8Array() };
      const place = { record: 1, type: name, position: 312 };
      assertRefused(putTogether([begun(), other, ...(name === 'END' ? [] : [END])]), 'stream.mixed', place);
    }
  }
});

test('a stream of a half received snapshot, by `zfs send -S`, is refused', () => {
  assert.ok(refusal(recordedStream('saved-S')));
});

test('lengths beyond what OpenZFS writes are refused before anything is made of them', () => {
  const huge = (1n << 64n) - 4n;
  const tooLong: Part[] = [
    part('OBJECT', { bonuslen: MOST_PAYLOAD.OBJECT + 1 }),
    part('OBJECT', { bonuslen: 0xffffffff }),
    part('OBJECT', { raw_bonuslen: MOST_PAYLOAD.OBJECT + 4 }),
    part('WRITE', { logical_size: BigInt(MOST_PAYLOAD.WRITE) + 4n }),
    part('WRITE', { logical_size: 4n, compressiontype: 15, compressed_size: huge }),
    part('WRITE', { logical_size: huge }),
    part('SPILL', { length: BigInt(MOST_PAYLOAD.SPILL) + 4n }),
    part('SPILL', { length: 4n, compressed_size: huge }),
    part('WRITE_EMBEDDED', { psize: 113 }),
    part('WRITE_EMBEDDED', { psize: 0xffffffff }),
  ];
  for (const each of tooLong) {
    assertRefused(made([each]), 'stream.bounds', { record: 1, type: each.record.name, position: 312 });
  }
  assertRefused(putTogether([begun({ payloadlen: (1 << 28) + 4 }), END]), 'stream.bounds');
});

test('a payload that does not fill whole words is refused: its last bytes would not be in the checksum', () => {
  assertRefused(made([part('WRITE', { logical_size: 510n }, Buffer.alloc(510))]), 'stream.bounds');
  assertRefused(putTogether([begun({ payloadlen: 3 }, Buffer.alloc(3)), END]), 'stream.bounds');
});

test('the longest payloads are taken', () => {
  const parts = [
    part('OBJECT', { bonuslen: MOST_PAYLOAD.OBJECT }, Buffer.alloc(MOST_PAYLOAD.OBJECT)),
    part('WRITE_EMBEDDED', { psize: 112 }, Buffer.alloc(112)),
    part('WRITE', { logical_size: 1n << 24n }, Buffer.alloc(1 << 24)),
  ];
  assert.equal(refusal(made(parts)), undefined);
});

test('bytes after END are refused, in the same buffer or a later one', () => {
  const stream = recordedStream('incr-empty');
  const place = { record: 2, type: null, position: 624 };
  assertRefused(Buffer.concat([stream, Buffer.alloc(1)]), 'stream.trailing', place);
  assertRefused(Buffer.concat([stream, stream]), 'stream.trailing', place);
  const reader = new StreamReader();
  reader.write(stream);
  reader.write(new Uint8Array());
  assert.throws(() => reader.write(Uint8Array.of(0)), { code: 'stream.trailing' });
  assert.throws(() => reader.end(), { code: 'stream.trailing' });
});

test('after an error there is no way on', () => {
  const stream = recordedStream('full');
  stream[1000] = (stream[1000] ?? 0) ^ 1;
  const reader = new StreamReader();
  const caught: unknown[] = [];
  for (const attempt of [
    () => reader.write(stream),
    () => reader.write(new Uint8Array()),
    () => reader.save(),
    () => reader.end(),
  ]) {
    try {
      attempt();
    } catch (thrown) {
      caught.push(thrown);
    }
  }
  assert.equal(caught.length, 4);
  assert.ok(caught[0] instanceof StreamError);
  assert.deepEqual(new Set(caught).size, 1);
});

test('what a callback throws comes out as it is, and ends the reading', () => {
  const wanted = new Error('of the caller');
  const reader = new StreamReader({
    onRecord: () => {
      throw wanted;
    },
  });
  assert.throws(() => reader.write(recordedStream('incr-empty')), wanted);
  assert.throws(() => reader.end(), wanted);
});

test('garbage of any kind gives a StreamError and nothing else', () => {
  const begin = putTogether([begun()]);
  const header = fc.uint8Array({ minLength: 312, maxLength: 312 });
  const garbage = fc.oneof(
    fc.uint8Array({ maxLength: 2000 }),
    header.map((bytes) => Buffer.concat([begin, bytes])),
    // Records without a checksum are not refused for it: only their other parts can be wrong.
    fc.tuple(header, fc.nat(11)).map(([bytes, type]) => {
      bytes.fill(0, 280).set([type, 0, 0, 0]);
      return Buffer.concat([begin, bytes]);
    }),
  );
  fc.assert(
    fc.property(garbage, (bytes) => {
      assert.ok(refusal(bytes)?.code.startsWith('stream.'));
    }),
    { numRuns: 1000 },
  );
});
