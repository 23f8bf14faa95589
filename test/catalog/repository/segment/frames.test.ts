import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { constants, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import {
  compressBound,
  decodeSeekTable,
  encodeSeekTable,
  FRAME_SIZE,
  type FrameSizes,
} from '../../../../catalog/repository/segment/frames.ts';
import { FrameCompressor, FrameDecompressor } from '../../../../catalog/repository/segment/zstd.ts';

const pieces = [randomBytes(FRAME_SIZE), Buffer.alloc(FRAME_SIZE), Buffer.from('the last one is shorter')];

const compressor = new FrameCompressor(3);
const decompressor = new FrameDecompressor();

function compressed(raw: Buffer): Buffer {
  const room = Buffer.alloc(compressBound(raw.length));
  return room.subarray(0, compressor.compress(raw, room));
}

function decompressed(segment: Buffer, at: number, sizes: FrameSizes): Buffer {
  const raw = Buffer.alloc(sizes.raw);
  decompressor.decompress(segment.subarray(at), sizes, raw);
  return raw;
}

function segmentOf(raws: readonly Buffer[]): Buffer {
  const frames = raws.map(compressed);
  const sizes = frames.map((frame, index) => ({ stored: frame.length, raw: raws[index]?.length ?? 0 }));
  return Buffer.concat([...frames, encodeSeekTable(sizes)]);
}

test('the seek table gives every frame back', () => {
  const segment = segmentOf(pieces);
  let at = 0;
  const raws = decodeSeekTable(segment).map((frame) => {
    at += frame.stored;
    return decompressed(segment, at - frame.stored, frame);
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
        const bytes = decompressed(segment, at, frame);
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

test('a frame of another size than promised is refused, and the next good one is decoded', () => {
  const segment = segmentOf([Buffer.alloc(1000, 1)]);
  const [sizes = { stored: 0, raw: 0 }] = decodeSeekTable(segment);
  const { stored, raw } = sizes;
  for (const wrong of [
    { stored, raw: raw - 1 },
    { stored, raw: raw + 1 },
    { stored: stored - 1, raw },
    { stored: stored + 1, raw },
  ]) {
    assert.throws(() => decompressed(segment, 0, wrong), { code: 'segment.malformed' });
    assert.equal(decompressed(segment, 0, sizes).length, raw);
  }
});

test('a frame that is cut is refused wherever it is cut', () => {
  const segment = segmentOf([randomBytes(500)]);
  const [sizes = { stored: 0, raw: 0 }] = decodeSeekTable(segment);
  const table = segment.subarray(sizes.stored);
  for (let kept = 0; kept < sizes.stored; kept++) {
    const cut = Buffer.concat([segment.subarray(0, kept), table]);
    assert.throws(() => decompressed(cut, 0, { stored: kept, raw: sizes.raw }), {
      code: 'segment.malformed',
    });
  }
});

test('a frame that would need a larger window than a frame has is refused', () => {
  const raw = Buffer.alloc(4 * FRAME_SIZE, 'long');
  const sizes = { stored: 0, raw: FRAME_SIZE };
  const foreign = zstdCompressSync(raw, { params: { [constants.ZSTD_c_windowLog]: 22 } });
  assert.throws(() => decompressed(foreign, 0, sizes), { code: 'segment.malformed' });
});

test('without room for its frame the compressor says so, and its next frame is whole', () => {
  const raw = randomBytes(1000);
  assert.throws(() => compressor.compress(raw, Buffer.alloc(500)), { code: 'zstd.room' });
  const segment = segmentOf([raw]);
  const [sizes = { stored: 0, raw: 0 }] = decodeSeekTable(segment);
  assert.ok(decompressed(segment, 0, sizes).equals(raw));
});

test('random bytes are never a seek table', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.throws(() => decodeSeekTable(Buffer.from(bytes)), { code: 'segment.malformed' });
    }),
  );
});
