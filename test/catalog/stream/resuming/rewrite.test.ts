import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ByteOrder } from '../../../../catalog/stream/fletcher4.ts';
import { StreamReader } from '../../../../catalog/stream/reader.ts';
import { RECORD_SIZE, SUM_AT } from '../../../../catalog/stream/record.ts';
import { Rewriter } from '../../../../catalog/stream/resuming/rewrite.ts';
import { recordedStream } from '../../../fixtures/recorded-streams.ts';
import { type Part, putTogether, SMALL_STREAM, takeApart } from '../parts.ts';

const ORDERS: readonly ByteOrder[] = ['little', 'big'];

/** The headers and payloads of a stream of these parts. */
function piecesOf(parts: readonly Part[], order: ByteOrder): { header: Uint8Array; payload: Uint8Array }[] {
  const stream = putTogether(parts, { order });
  let at = 0;
  return parts.map(({ payload }) => {
    const header = stream.subarray(at, at + RECORD_SIZE);
    at += RECORD_SIZE + payload.length;
    return { header, payload };
  });
}

/** These pieces as one stream. */
function rewritten(pieces: readonly { header: Uint8Array; payload: Uint8Array }[], order: ByteOrder): Buffer {
  const rewriter = new Rewriter(order);
  const out: Uint8Array[] = [];
  for (const [n, { header, payload }] of pieces.entries()) {
    if (n === 0) rewriter.begin(header);
    out.push(n === 0 ? header : rewriter.header(header), payload);
    if (n === 0) rewriter.begin(payload);
    else rewriter.payload(payload);
  }
  return Buffer.concat(out);
}

test('records that are left out leave a stream with right checksums', () => {
  for (const order of ORDERS) {
    for (const parts of [SMALL_STREAM, takeApart(recordedStream('raw-w-incr'))]) {
      const pieces = piecesOf(parts, order);
      const chosen = fc.array(fc.boolean(), { minLength: parts.length, maxLength: parts.length });
      fc.assert(
        fc.property(chosen, (chosen) => {
          const kept = (_: unknown, n: number) => n === 0 || n === parts.length - 1 || chosen[n] === true;
          const wanted = putTogether(parts.filter(kept), { order });
          assert.deepEqual(rewritten(pieces.filter(kept), order), wanted);
        }),
        { numRuns: 30 },
      );
    }
  }
});

test('what all of a stream is made into is the same stream', () => {
  for (const name of ['full', 'raw-spill', 'zvol-incr', 'embedded-Lec', 'large-L', 'incr-empty']) {
    const stream = recordedStream(name);
    assert.deepEqual(rewritten(piecesOf(takeApart(stream), 'little'), 'little'), stream, name);
  }
});

test('records without checksums are given some', () => {
  const bare = putTogether(SMALL_STREAM, { sums: false });
  const pieces = takeApart(bare).map(({ position, payload }) => ({
    header: bare.subarray(position, position + RECORD_SIZE),
    payload,
  }));
  assert.deepEqual(rewritten(pieces, 'little'), putTogether(SMALL_STREAM));
});

test('it goes on in the middle of a stream, with payloads in pieces of any size', () => {
  for (const order of ORDERS) {
    const parts = takeApart(recordedStream('spill-Lc'));
    const stream = putTogether(parts, { order });
    const { position: start } = parts[parts.length >> 1] ?? assert.fail();
    const reader = new StreamReader();
    reader.write(stream.subarray(0, start));
    const { sum } = reader.save();
    const sizes = fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(sizes, (sizes) => {
        const rewriter = new Rewriter(order, { sum });
        const out: Uint8Array[] = [];
        let turn = 0;
        for (const { position, payload } of parts.filter((part) => part.position >= start)) {
          const header = Buffer.from(stream.subarray(position, position + RECORD_SIZE));
          header.fill(0xee, SUM_AT); // whatever stood there
          out.push(rewriter.header(header), payload);
          for (let at = 0; at < payload.length; ) {
            const piece = payload.subarray(at, at + (sizes[turn++ % sizes.length] ?? 1));
            rewriter.payload(piece);
            at += piece.length;
          }
        }
        assert.deepEqual(Buffer.concat(out), stream.subarray(start));
      }),
      { numRuns: 20 },
    );
  }
});

test('the header that is given stays as it was', () => {
  const [, second] = piecesOf(SMALL_STREAM, 'little');
  assert.ok(second);
  const before = Buffer.from(second.header);
  const rewriter = new Rewriter('little');
  const one = rewriter.header(second.header);
  const copy = Buffer.from(one);
  rewriter.header(second.header);
  assert.deepEqual([Buffer.from(second.header), Buffer.from(one)], [before, copy]);
});

test('a sum that is none is refused', () => {
  assert.throws(() => new Rewriter('little', { sum: 'x' }), { kind: 'damaged', code: 'stream.state' });
});
