import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLETCHER4_ROOM } from '../../../catalog/stream/fletcher4.ts';
import { StreamReader } from '../../../catalog/stream/reader.ts';
import { recordedStream } from '../../fixtures/recorded-streams.ts';
import { begun, END, hexOf, part, plainFletcher4, putTogether, SMALL_STREAM, takeApart } from './parts.ts';

/** The summary of a whole stream, taken at once. */
function read(bytes: Uint8Array) {
  const reader = new StreamReader();
  reader.write(bytes);
  return reader.end();
}

test('a whole stream gives its summary', () => {
  const stream = putTogether(SMALL_STREAM);
  assert.deepEqual(read(stream), {
    begin: {
      order: 'little',
      type: 2,
      flags: 12,
      features: '4',
      toGuid: '1122334455667788',
      fromGuid: null,
      toName: 'pool/data@snap',
      created: 1_700_000_000,
      payload: 4,
    },
    bytes: stream.length,
    records: {
      BEGIN: 1,
      OBJECT: 2,
      FREEOBJECTS: 1,
      WRITE: 2,
      FREE: 1,
      END: 1,
      SPILL: 1,
      WRITE_EMBEDDED: 1,
      OBJECT_RANGE: 1,
      REDACT: 1,
    },
    checksum: hexOf(plainFletcher4(stream.subarray(0, -312), 'little')),
  });
});

test('an incremental stream names its base, and a name of 256 bytes has no end mark', () => {
  const toname = Buffer.alloc(256, 'n');
  const { begin } = read(putTogether([begun({ fromguid: 1n, toname }), END]));
  assert.equal(begin.fromGuid, '0000000000000001');
  assert.equal(begin.toName, 'n'.repeat(256));
});

test('a stream of a big-endian sender is read alike', () => {
  const little = read(putTogether(SMALL_STREAM));
  const big = read(putTogether(SMALL_STREAM, { order: 'big' }));
  assert.notEqual(big.checksum, little.checksum);
  assert.deepEqual(big, { ...little, begin: { ...little.begin, order: 'big' }, checksum: big.checksum });
});

test('a recorded stream turned big-endian is read alike, record by record', () => {
  for (const name of ['spill-Lc', 'raw-spill', 'embedded-Lec', 'redacted', 'zvol-incr']) {
    const stream = recordedStream(name);
    const seen = (bytes: Uint8Array) => {
      const lines: unknown[] = [];
      const reader = new StreamReader({
        onRecord: ({ type, number, position, length, object, offset }) =>
          lines.push({ type, number, position, length, object, offset }),
      });
      reader.write(bytes);
      return { lines, summary: reader.end() };
    };
    const little = seen(stream);
    const big = seen(putTogether(takeApart(stream), { order: 'big' }));
    assert.deepEqual(big.lines, little.lines, name);
    assert.equal(big.summary.begin.order, 'big');
    assert.deepEqual(big.summary.records, little.summary.records);
  }
});

test('a stream whose records carry no checksums, as old senders made, is guarded by END', () => {
  const stream = putTogether(SMALL_STREAM, { sums: false });
  assert.equal(read(stream).checksum, hexOf(plainFletcher4(stream.subarray(0, -312), 'little')));
});

test('records are shown with their place, and WRITE_BYREF of deduplicated streams is one', () => {
  const shown: unknown[] = [];
  const reader = new StreamReader({
    onRecord: ({ number, type, position, length, object, offset, header }) =>
      shown.push([number, type, position, length, object, offset, header.length]),
  });
  reader.write(
    putTogether([
      begun(),
      part('WRITE', { object: 7n, offset: (1n << 64n) - 1n, logical_size: 8n }, Buffer.alloc(8)),
      part('WRITE_BYREF', { object: 7n, offset: 8n, length: 8n, refguid: 1n, refobject: 7n }),
      END,
    ]),
  );
  reader.end();
  assert.deepEqual(shown, [
    [0, 'BEGIN', 0, 0, undefined, undefined, 312],
    [1, 'WRITE', 312, 8, 7n, (1n << 64n) - 1n, 312],
    [2, 'WRITE_BYREF', 632, 0, 7n, 8n, 312],
    [3, 'END', 944, 0, undefined, undefined, 312],
  ]);
});

test('position and begin are known while it reads', () => {
  const stream = recordedStream('incr-empty');
  const reader = new StreamReader();
  reader.write(stream.subarray(0, 311));
  assert.deepEqual([reader.position, reader.begin, reader.ended], [311, undefined, false]);
  reader.write(stream.subarray(311, 312));
  assert.deepEqual([reader.position, reader.begin?.toName, reader.ended], [312, 'tank/fs@e', false]);
  reader.write(stream.subarray(312));
  assert.deepEqual([reader.position, reader.ended], [624, true]);
});

test('read takes no more than the stream, whatever follows', () => {
  const stream = recordedStream('full');
  const reader = new StreamReader();
  const both = Buffer.concat([stream, stream]);
  let taken = 0;
  for (let at = 0; at < both.length; at += 100_000) taken += reader.read(both.subarray(at, at + 100_000));
  assert.equal(taken, stream.length);
  assert.equal(reader.end().bytes, stream.length);
});

test('buffers within the given memory, shared or not, are read where they lie', () => {
  const stream = recordedStream('full');
  for (const shared of [false, true]) {
    const pages = 32;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
    const frame = new Uint8Array(memory.buffer, FLETCHER4_ROOM, 100_001);
    const reader = new StreamReader({ room: { memory, at: 0 } });
    for (let at = 0; at < stream.length; at += frame.length) {
      const piece = stream.subarray(at, at + frame.length);
      frame.set(piece);
      reader.write(frame.subarray(0, piece.length));
    }
    assert.deepEqual(reader.end(), read(stream));
    const scratch = new Uint8Array(memory.buffer, 512, FLETCHER4_ROOM - 512);
    assert.ok(
      scratch.every((byte) => byte === 0),
      'nothing was copied',
    );
  }
});

test('a package and the rest of an interrupted stream are told apart from damage', () => {
  assert.throws(() => read(recordedStream('repl-R')), { name: 'StreamError', code: 'stream.package' });
  assert.throws(() => read(recordedStream('mgt-p')), { name: 'StreamError', code: 'stream.package' });
  assert.throws(() => read(recordedStream('resume-rest')), { name: 'StreamError', code: 'stream.resuming' });
});

test('memory does not grow with payloads, announced or real', () => {
  const most = 16 * 1024 * 1024;
  const stream = putTogether([begun(), part('WRITE', { object: 1n, logical_size: BigInt(most) }), END]);
  const reader = new StreamReader();
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  reader.write(stream.subarray(0, 624));
  const piece = Buffer.alloc(64 * 1024);
  for (let n = 0; n < most / piece.length; n++) reader.write(piece);
  assert.ok(process.memoryUsage().arrayBuffers - arrayBuffers < 1024 * 1024);
  assert.ok(process.memoryUsage().heapUsed - heapUsed < 4 * 1024 * 1024);
  assert.equal(reader.position, 624 + most);
});

test('each payload is shown after its header, whatever buffers it comes in', () => {
  const stream = putTogether(SMALL_STREAM);
  const wanted = SMALL_STREAM.filter(({ payload }) => payload.length > 0).map(({ record, payload }) => [
    record.name,
    Buffer.from(payload).toString('hex'),
  ]);
  for (const size of [1, 7, 313, stream.length]) {
    const shown: [string, string][] = [];
    let type = '';
    const reader = new StreamReader({
      onRecord: (record) => {
        type = record.type;
        if (record.length > 0) shown.push([type, '']);
      },
      onPayload: (piece) => {
        const last = shown.at(-1);
        if (last) last[1] += Buffer.from(piece).toString('hex');
      },
    });
    for (let at = 0; at < stream.length; at += size) reader.write(stream.subarray(at, at + size));
    reader.end();
    assert.deepEqual(shown, wanted, `pieces of ${size} bytes`);
  }
});
