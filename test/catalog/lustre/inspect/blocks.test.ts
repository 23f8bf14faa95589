import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ZkeepError } from '../../../../catalog/errors.ts';
import { unpackBlock } from '../../../../catalog/lustre/inspect/compression/block.ts';
import { unpackLz4 } from '../../../../catalog/lustre/inspect/compression/lz4.ts';
import { contentsOf, KeptObjects } from '../../../../catalog/lustre/inspect/objects.ts';
import { recordedStream } from '../../../fixtures/recorded-streams.ts';
import { takeApart } from '../../stream/parts.ts';

/** Sequences of an LZ4 block: literals, then a match; the last has literals alone. */
type Sequence = { literals: Uint8Array; distance: number; length: number };

/** Writes a block as its format says, and beside it what it means. */
function lz4Of(sequences: readonly Sequence[], last: Uint8Array): { packed: Buffer; plain: Buffer } {
  const packed: number[] = [];
  const plain: number[] = [];
  const more = (left: number) => {
    for (; left >= 255; left -= 255) packed.push(255);
    packed.push(left);
  };
  for (const { literals, distance, length } of sequences) {
    const far = 1 + (distance % (plain.length + literals.length));
    packed.push((Math.min(15, literals.length) << 4) | Math.min(15, length - 4));
    if (literals.length >= 15) more(literals.length - 15);
    packed.push(...literals, far & 255, far >> 8);
    if (length - 4 >= 15) more(length - 4 - 15);
    plain.push(...literals);
    for (let n = 0; n < length; n++) plain.push(plain.at(-far) ?? 0);
  }
  packed.push(Math.min(15, last.length) << 4);
  if (last.length >= 15) more(last.length - 15);
  packed.push(...last);
  plain.push(...last);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(packed.length);
  return { packed: Buffer.concat([head, Buffer.from(packed)]), plain: Buffer.from(plain) };
}

const sequence = fc.record({
  literals: fc.uint8Array({ minLength: 1, maxLength: 300 }),
  distance: fc.nat({ max: 60_000 }),
  length: fc.integer({ min: 4, max: 600 }),
});

test('an LZ4 block of any sequences unpacks to what they mean', () => {
  const blocks = fc.tuple(
    fc.array(sequence, { maxLength: 8 }),
    fc.uint8Array({ minLength: 5, maxLength: 40 }),
  );
  fc.assert(
    fc.property(blocks, fc.nat({ max: 7 }), ([sequences, last], padding) => {
      const { packed, plain } = lz4Of(sequences, last);
      const stored = Buffer.concat([packed, Buffer.alloc(padding)]); // to a whole sector
      assert.deepEqual(Buffer.from(unpackLz4(stored, plain.length) ?? []), plain);
      assert.equal(unpackLz4(stored, plain.length + 1), undefined);
      assert.equal(unpackLz4(stored.subarray(0, packed.length - 1), plain.length), undefined);
    }),
  );
});

test('the blocks of recorded streams of -c and -e unpack to their sizes', () => {
  let unpacked = 0;
  for (const name of ['compressed-c-lz4', 'compressed-c-zstd', 'embedded-Lec', 'lustre-mdt0-full-s1']) {
    for (const { record, payload } of takeApart(recordedStream(name))) {
      const { fields } = record;
      if (record.name === 'WRITE' && 'compressiontype' in fields && fields.compressiontype > 2) {
        const { compressiontype: compression, logical_size } = record.fields;
        unpackBlock({ bytes: payload, compression, size: Number(logical_size) });
        unpacked++;
      } else if (record.name === 'WRITE_EMBEDDED') {
        const { compression, lsize, psize } = record.fields;
        unpackBlock({ bytes: payload.subarray(0, psize), compression, size: lsize });
        unpacked++;
      }
    }
  }
  assert.ok(unpacked > 300, `${unpacked} blocks`);
});

test('any bytes unpack to the size that is asked for, or are an error in words', () => {
  const method = fc.integer({ min: 0, max: 255 });
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      method,
      fc.nat({ max: 70_000 }),
      (bytes, compression, size) => {
        try {
          assert.equal(unpackBlock({ bytes, compression, size }).length, size);
        } catch (thrown) {
          assert.ok(thrown instanceof ZkeepError, String(thrown));
        }
      },
    ),
    { numRuns: 500 },
  );
  assert.throws(() => unpackBlock({ bytes: new Uint8Array(), compression: 15, size: 2 ** 30 }), /more than/);
});

test('kept objects count every byte that they hold, and none when they hold nothing', () => {
  const number = fc.integer({ min: 1, max: 4 });
  const offset = fc.integer({ min: 0, max: 5 }).map((block) => block * 512);
  const deed = fc.oneof(
    fc.tuple(fc.constant('put'), number, fc.constantFrom(512, 1024), fc.nat({ max: 30 })),
    fc.tuple(fc.constant('write'), number, offset, fc.nat({ max: 512 })),
    fc.tuple(fc.constant('free'), number, offset, fc.nat({ max: 3000 })),
    fc.tuple(fc.constant('drop'), number, fc.nat({ max: 3 }), fc.constant(0)),
  );
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 40 }), (deeds) => {
      const objects = new KeptObjects();
      for (const [what, object, one, two] of deeds) {
        if (what === 'put') {
          objects.put(object, { type: 19, blockSize: one, bonusType: 44 }, new Uint8Array(two));
        } else if (what === 'write') {
          objects.write(object, one, { bytes: new Uint8Array(two), compression: 0, size: two });
        } else if (what === 'free') objects.free(object, one, two);
        else objects.dropRange(object, one);
      }
      let held = 0;
      for (const each of [...objects.numbers()]) {
        const object = objects.get(each);
        held += object?.bonus.length ?? 0;
        for (const { bytes } of object?.blocks.values() ?? []) held += bytes.length;
      }
      assert.ok(objects.bytes >= held);
      objects.dropRange(0, 100);
      assert.equal(objects.bytes, 0);
    }),
  );
});

test('contents have zeros for holes, and are refused when they reach too far', () => {
  const objects = new KeptObjects();
  objects.put(7, { type: 19, blockSize: 512, bonusType: 44 }, new Uint8Array());
  objects.write(7, 1024, { bytes: Buffer.alloc(512, 'x'), compression: 0, size: 512 });
  const object = objects.get(7);
  assert.ok(object);
  const contents = Buffer.from(contentsOf(object, 'a file', 10_000));
  assert.deepEqual([contents.length, contents.indexOf('x'), contents[0]], [1536, 1024, 0]);
  assert.throws(() => contentsOf(object, 'a file', 1000), /a file takes more than 1000 bytes/);
  objects.write(7, 2 ** 60, { bytes: Buffer.alloc(512), compression: 0, size: 512 });
  assert.throws(() => contentsOf(object, 'a file', 10_000), ZkeepError);
});
