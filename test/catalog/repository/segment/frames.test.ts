import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  compressFrame,
  decodeSeekTable,
  decompressFrame,
  encodeSeekTable,
  FRAME_SIZE,
} from '../../../../catalog/repository/segment/frames.ts';

const pieces = [randomBytes(FRAME_SIZE), Buffer.alloc(FRAME_SIZE), Buffer.from('the last one is shorter')];

function segmentOf(raws: readonly Buffer[]): Buffer {
  const frames = raws.map((raw) => compressFrame(raw, 3));
  const sizes = frames.map((frame, index) => ({ stored: frame.length, raw: raws[index]?.length ?? 0 }));
  return Buffer.concat([...frames, encodeSeekTable(sizes)]);
}

test('the seek table gives every frame back', () => {
  const segment = segmentOf(pieces);
  let at = 0;
  const raws = decodeSeekTable(segment).map(({ stored, raw }) => {
    at += stored;
    return decompressFrame(segment.subarray(at - stored, at), raw);
  });
  assert.ok(Buffer.concat(raws).equals(Buffer.concat(pieces)));
});

test('a flipped bit anywhere in a segment is refused or gives the same bytes', () => {
  const raw = randomBytes(3000);
  const whole = segmentOf([raw, raw]);
  let refused = 0;
  for (let bit = 0; bit < whole.length * 8; bit += 7) {
    const segment = Buffer.from(whole);
    segment[bit >> 3] = (segment[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    try {
      let at = 0;
      for (const frame of decodeSeekTable(segment)) {
        const bytes = decompressFrame(segment.subarray(at, at + frame.stored), frame.raw);
        assert.ok(bytes.equals(raw), `bit ${bit} changed the bytes without an error`);
        at += frame.stored;
      }
    } catch (thrown) {
      assert.match(String(thrown), /segment is not what zkeep writes/);
      refused += 1;
    }
  }
  assert.ok(refused > whole.length / 2);
});

test('a frame that holds more or less than promised is refused', () => {
  const frame = compressFrame(Buffer.alloc(1000, 1), 3);
  assert.throws(() => decompressFrame(frame, 999), { code: 'segment.malformed' });
  assert.throws(() => decompressFrame(frame, 1001), { code: 'segment.malformed' });
});

test('random bytes are never a seek table', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.throws(() => decodeSeekTable(Buffer.from(bytes)), { code: 'segment.malformed' });
    }),
  );
});
