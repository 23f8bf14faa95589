import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { splitPackage } from '../../../catalog/stream/package.ts';
import { StreamReader } from '../../../catalog/stream/reader.ts';
import type { StreamError } from '../../../catalog/stream/stream-error.ts';
import { recordedStream } from '../../fixtures/recorded-streams.ts';
import { begun, type Making, part, putTogether, SMALL_STREAM } from './parts.ts';

/** The bytes in buffers, cut at these places. */
async function* inPieces(bytes: Uint8Array, cuts: readonly number[] = []): AsyncGenerator<Uint8Array> {
  const places = [0, ...cuts.toSorted((one, other) => one - other), bytes.length];
  for (const [n, start] of places.entries()) yield bytes.subarray(start, places[n + 1]);
}

/** All streams of a package: what was said of them, and their bytes. */
async function split(source: AsyncIterable<Uint8Array>) {
  const streams: { number: number; packaged: boolean; toName: string; bytes: Buffer }[] = [];
  for await (const { number, packaged, begin, bytes } of splitPackage(source)) {
    const pieces: Uint8Array[] = [];
    for await (const piece of bytes) pieces.push(piece);
    streams.push({ number, packaged, toName: begin.toName, bytes: Buffer.concat(pieces) });
  }
  return streams;
}

const LAST_LITTLE = Buffer.alloc(312);
LAST_LITTLE[0] = 5;
const LAST_BIG = Buffer.alloc(312);
LAST_BIG[3] = 5;

/** A package of small streams, as libzfs writes it: no checksums in the records around them. */
function packed(
  streams: readonly Uint8Array[],
  { order = 'little' as const, ...making }: Making = {},
): Buffer {
  const wrapper = [
    begun({ versioninfo: 2n, toguid: 0n, payloadlen: 8 }, Buffer.alloc(8, 'p')),
    part('END', { toguid: 0n }),
  ];
  const outer = putTogether(wrapper, { ...making, order, sums: false });
  return Buffer.concat([outer, ...streams, order === 'little' ? LAST_LITTLE : LAST_BIG]);
}

const SMALL = putTogether(SMALL_STREAM);
const EMPTY = recordedStream('incr-empty');
const PACKAGE = packed([EMPTY, SMALL]);

async function refusal(bytes: Uint8Array): Promise<StreamError | undefined> {
  return split(inPieces(bytes)).then(
    () => undefined,
    (thrown: StreamError) => thrown,
  );
}

test('a plain stream comes out as the only one, byte for byte', async () => {
  const stream = recordedStream('full');
  const [only, ...others] = await split(inPieces(stream, [100, 311, 313, 100_000]));
  assert.deepEqual(others, []);
  assert.deepEqual([only?.number, only?.packaged, only?.toName], [0, false, 'tank/fs@a']);
  assert.ok(only?.bytes.equals(stream));
});

test('a package of -I comes apart into the streams that -i makes', async () => {
  const streams = await split(inPieces(recordedStream('incr-I-a-d')));
  assert.deepEqual(
    streams.map(({ number, packaged, toName }) => [number, packaged, toName]),
    [
      [0, true, 'tank/fs@b'],
      [1, true, 'tank/fs@c'],
      [2, true, 'tank/fs@d'],
    ],
  );
  assert.ok(streams[0]?.bytes.equals(recordedStream('incr-i-a-b')));
  assert.ok(streams[1]?.bytes.equals(recordedStream('incr-i-b-c')));
});

test('packages of -R and -p come apart into whole streams, and nothing but their wrapping is left out', async () => {
  for (const [name, count] of [
    ['repl-R', 9],
    ['mgt-R', 2],
    ['mgt-p', 1],
    ['lustre-mgt-full-p-s1', 1],
  ] as const) {
    const whole = recordedStream(name);
    const streams = await split(inPieces(whole, [1000, 2000, 40_000]));
    assert.equal(streams.length, count, name);
    for (const { bytes } of streams) {
      const reader = new StreamReader();
      reader.write(bytes);
      assert.equal(reader.end().bytes, bytes.length);
    }
    const inner = Buffer.concat(streams.map(({ bytes }) => bytes));
    const start = whole.indexOf(inner.subarray(0, 4096));
    assert.ok(whole.subarray(start, -312).equals(inner), name);
  }
});

test('any buffers give the same streams', async () => {
  const whole = await split(inPieces(PACKAGE));
  assert.deepEqual(
    whole.map(({ bytes }) => bytes),
    [EMPTY, SMALL],
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(PACKAGE.length), { maxLength: 20 }), async (cuts) => {
      assert.deepEqual(await split(inPieces(PACKAGE, cuts)), whole);
    }),
  );
  assert.deepEqual(await split(inPieces(PACKAGE, Array.from(PACKAGE.keys()))), whole);
});

test('a big-endian package comes apart too, and one without any stream is empty', async () => {
  const big = putTogether(SMALL_STREAM, { order: 'big' });
  const streams = await split(inPieces(packed([big, big], { order: 'big' })));
  assert.deepEqual(
    streams.map(({ bytes }) => bytes),
    [big, big],
  );
  assert.deepEqual(await split(inPieces(packed([]))), []);
});

test('a package with any bit flipped is refused', async () => {
  const small = packed([EMPTY]);
  for (let bit = 0; bit < small.length * 8; bit += 3) {
    const flipped = Buffer.from(small);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const found = await refusal(flipped);
    assert.equal(found?.name, 'StreamError', `bit ${bit & 7} of byte ${bit >> 3} went unseen`);
  }
});

test('a package that ends after any of its bytes but the last is refused', async () => {
  for (let length = 0; length < PACKAGE.length; length += 5) {
    const found = await refusal(PACKAGE.subarray(0, length));
    assert.equal(found?.code, length === 0 ? 'stream.empty' : 'stream.truncated', `at byte ${length}`);
  }
});

test('bytes after a package or a plain stream are refused', async () => {
  for (const bytes of [PACKAGE, SMALL]) {
    const found = await refusal(Buffer.concat([bytes, Buffer.alloc(1)]));
    assert.deepEqual([found?.code, found?.position], ['stream.trailing', bytes.length]);
  }
});

test('garbage, alone or in a package, gives a StreamError and nothing else', async () => {
  const garbage = fc.uint8Array({ maxLength: 1000 });
  const place = fc.nat(PACKAGE.length - 1);
  const anywhere = fc
    .tuple(garbage, place)
    .map(([bytes, at]) => Buffer.concat([PACKAGE.subarray(0, at), bytes, Buffer.alloc(1)]))
    // A package ends with zeros: zeros in their place are no garbage (seed 1729196849).
    .filter((bytes) => !bytes.equals(PACKAGE));
  await fc.assert(
    fc.asyncProperty(fc.oneof(garbage, anywhere), async (bytes) => {
      assert.equal((await refusal(bytes))?.name, 'StreamError');
    }),
  );
});

test('two streams without a wrapping are no package', async () => {
  assert.equal((await refusal(Buffer.concat([EMPTY, EMPTY])))?.code, 'stream.trailing');
});

test('a wrapping that holds more than BEGIN and END is refused, and so is a package in a package', async () => {
  const wrapper = [
    begun({ versioninfo: 2n, toguid: 0n }),
    part('FREE', { toguid: 0n }),
    part('END', { toguid: 0n }),
  ];
  assert.equal((await refusal(putTogether(wrapper)))?.code, 'stream.package');
  assert.equal((await refusal(packed([PACKAGE])))?.code, 'stream.package');
  assert.equal((await refusal(packed([recordedStream('resume-rest')])))?.code, 'stream.resuming');
});

test('damage in a package is named by its place in the whole, with the number of the stream', async () => {
  const start = PACKAGE.length - 312 - SMALL.length;
  const damaged = Buffer.from(PACKAGE);
  damaged[start + 320] = 1;
  const found = await refusal(damaged);
  assert.equal(found?.code, 'stream.checksum');
  assert.match(found.message, /^in substream 1 of the package, the checksum does not match/);
  assert.deepEqual([found.record, found.position, found.facts['substream']], [1, start + 316, 1]);
  assert.ok(found.advice);
});

test('a consumer that stops in the middle of a stream gets the next one, and damage is still found', async () => {
  const names: string[] = [];
  for await (const { begin, bytes } of splitPackage(inPieces(PACKAGE, Array.from(PACKAGE.keys())))) {
    names.push(begin.toName);
    for await (const _ of bytes) break;
  }
  assert.deepEqual(names, ['tank/fs@e', 'pool/data@snap']);

  const damaged = Buffer.from(PACKAGE);
  damaged[PACKAGE.length - 1000] = 0xff;
  await assert.rejects(
    async () => {
      for await (const { begin } of splitPackage(inPieces(damaged))) assert.ok(begin);
    },
    { code: 'stream.checksum' },
  );
});

test('the source is read only as bytes are taken, and closed at the end', async () => {
  const stream = recordedStream('full');
  let given = 0;
  let closed = false;
  async function* source() {
    try {
      for (let at = 0; at < stream.length; at += 1000) {
        given += 1;
        yield stream.subarray(at, at + 1000);
      }
    } finally {
      closed = true;
    }
  }
  for await (const { bytes } of splitPackage(source())) {
    assert.equal(given, 1);
    const iterator = bytes[Symbol.asyncIterator]();
    for (let n = 0; n < 10; n++) await iterator.next();
    assert.ok(given <= 10, `${given} buffers were read`);
    break;
  }
  assert.ok(closed);
  assert.ok(given <= 10, 'nothing is read over when nobody asks for more');
});

test('an error of the source comes out as it is', async () => {
  const wanted = new Error('of the pipe');
  async function* source() {
    yield EMPTY.subarray(0, 400);
    throw wanted;
  }
  await assert.rejects(split(source()), wanted);
});

test('what is handed out are the buffers of the source, not copies, but for the header', async () => {
  const stream = recordedStream('full');
  for await (const { bytes } of splitPackage(inPieces(stream))) {
    const pieces: Uint8Array[] = [];
    for await (const piece of bytes) pieces.push(piece);
    assert.deepEqual(
      pieces.map(({ length }) => length),
      [312, stream.length - 312],
    );
    assert.equal(pieces[1]?.buffer, stream.buffer);
  }
});
