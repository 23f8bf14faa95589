import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { ZkeepError } from '../../../../catalog/errors.ts';
import { inspectTarget, type TargetStream } from '../../../../catalog/lustre/inspect/inspect.ts';
import { recordedStream } from '../../../fixtures/recorded-streams.ts';
import { begun, END, type Part, part, putTogether, takeApart } from '../../stream/parts.ts';
import { datasetParts, directoryOf, fatZap, lastRcvd, numbersFile, objectOf } from './made-target.ts';

/** Streams of these bytes, in pieces, and how many bytes of them were taken. */
function streamsOf(streams: readonly Uint8Array[], size = 65_536, once = false) {
  const read = { bytes: 0, times: 0 };
  const made: TargetStream[] = streams.map((bytes) => ({
    once,
    async *open() {
      read.times++;
      for (let at = 0; at < bytes.length; at += size) {
        const piece = Buffer.from(bytes.subarray(at, at + size));
        read.bytes += piece.length;
        yield piece;
        piece.fill(0xee); // a piece is only good until the next one
      }
    },
  }));
  return { streams: made, read };
}

const recorded = (...names: string[]) => streamsOf(names.map(recordedStream)).streams;
const isCode = (code: string) => (thrown: unknown) => {
  assert.ok(thrown instanceof ZkeepError, String(thrown));
  assert.equal(thrown.code, code, thrown.message);
  return true;
};

const MDT = {
  kind: 'MDT',
  configurations: ['lustrefs-MDT0000', 'lustrefs-client', 'params'],
  last_received: {
    uuid: 'lustrefs-MDT0000_UUID',
    fsname: 'lustrefs',
    kind: 'MDT',
    index: 0,
    mounts: '1',
    transaction: '4294967296',
    clients: 1,
    servers: 0,
  },
};

test('a recorded MDT tells its files, and an increment changes what it changed', async () => {
  for (const whole of [true, false]) {
    const full = await inspectTarget(recorded('lustre-mdt0-full-s1'), { whole });
    assert.deepEqual(full, {
      ...MDT,
      snapshot: { name: 'mdtpool/mdt0@s1', guid: '8457c2979ebea116', created: 0x6afffbdf },
      last_used: [
        { index: 0, sequence: '240000400', id: '169' },
        { index: 1, sequence: '280000400', id: '151' },
      ],
    });
    const both = await inspectTarget(recorded('lustre-mdt0-full-s1', 'lustre-mdt0-incr-s1-s2'), { whole });
    assert.deepEqual(both, {
      ...MDT,
      snapshot: { name: 'mdtpool/mdt0@s2', guid: 'dbbec37f62627e73', created: 0x6afffbf6 },
      last_used: [
        { index: 0, sequence: '240000400', id: '221' },
        { index: 1, sequence: '280000400', id: '204' },
      ],
    });
  }
});

test('a recorded MGT tells the configuration logs of its file system, in a package too', async () => {
  for (const name of ['lustre-mgt-full-s1', 'lustre-mgt-full-p-s1']) {
    const { kind, configurations, last_received, last_used } = await inspectTarget(recorded(name), {
      whole: true,
    });
    assert.deepEqual([kind, last_received, last_used], ['MGT', null, null]);
    assert.deepEqual(configurations, [
      'lustrefs-MDT0000',
      'lustrefs-OST0000',
      'lustrefs-OST0001',
      'lustrefs-client',
      'nodemap',
      'params',
    ]);
  }
});

test('a stored stream is read only as far as its files lie', async () => {
  const bytes = recordedStream('lustre-mdt0-full-s1');
  const { streams, read } = streamsOf([bytes], 4096);
  await inspectTarget(streams);
  assert.ok(read.bytes < bytes.length * 0.9, `${read.bytes} of ${bytes.length} bytes`);
});

test('what is no target, raw, a volume or out of order is refused with words', async () => {
  const cases: [string, string[]][] = [
    ['inspect.not-lustre', ['full']],
    ['inspect.not-lustre', ['zvol']],
    ['inspect.encrypted', ['raw-w']],
    ['inspect.not-the-next', ['lustre-mdt0-incr-s1-s2']],
    ['inspect.not-the-next', ['lustre-mdt0-full-s1', 'lustre-mgt-incr-s1-s2']],
    ['inspect.not-the-next', ['lustre-mdt0-full-s1', 'lustre-mdt0-full-s1']],
    ['stream.resuming', ['resume-rest']],
  ];
  for (const [code, names] of cases) {
    await assert.rejects(inspectTarget(recorded(...names), { whole: true }), isCode(code), names.join());
  }
});

test('a deduplicated stream is refused: its blocks name others', async () => {
  const stream = putTogether([begun({ versioninfo: 1n | (1n << 2n) }), END]);
  await assert.rejects(inspectTarget(streamsOf([stream]).streams), isCode('inspect.dedup'));
});

test('a stream that is cut anywhere, or has a flipped byte, is never believed', async () => {
  const bytes = recordedStream('lustre-mdt0-full-s1');
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: bytes.length - 1 }), fc.boolean(), async (at, cut) => {
      const spoilt = cut ? bytes.subarray(0, at) : Buffer.from(bytes);
      if (!cut) spoilt[at] = (spoilt[at] ?? 0) ^ 0x10;
      const { streams } = streamsOf([spoilt]);
      await assert.rejects(
        inspectTarget(streams, { whole: true }),
        (thrown: unknown) => thrown instanceof ZkeepError && thrown.kind === 'damaged',
      );
    }),
    { numRuns: 40 },
  );
});

const GUID = 0x1122334455667788n;
const SMALL = {
  root: 34,
  files: { CONFIGS: 50, last_rcvd: 51, lov_objid: 52, lov_objseq: 53 },
  ids: [7n, 0n, 300n],
  sequences: [0x240000400n, 0n, 0x2c0000400n],
  clients: ['client-one', '', 'lustrefs-MDT0001-mdtlov_UUID', 'client-one'],
};
type Made = typeof SMALL;

/** All objects of a made target, by number. */
function objectsOf({ root, files, ids, sequences, clients }: Made): Map<number, Part[]> {
  const configs = fatZap([[['lustrefs-client', [1n]]], [['params', [2n]]]], { table: true });
  return new Map([
    ...datasetParts(root),
    [root, objectOf(root, directoryOf(files), { type: 20, blockSize: 16_384 })],
    [files.CONFIGS, objectOf(files.CONFIGS, configs, { type: 20, blockSize: 16_384 })],
    [files.last_rcvd, objectOf(files.last_rcvd, lastRcvd('lustrefs-MDT0002_UUID', 2, clients))],
    [files.lov_objid, objectOf(files.lov_objid, numbersFile(ids))],
    [files.lov_objseq, objectOf(files.lov_objseq, numbersFile(sequences))],
  ]);
}

function madeStream(objects: ReadonlyMap<number, readonly Part[]>, from = 0n, to = GUID): Buffer {
  const inOrder = [...objects].toSorted(([one], [other]) => one - other).flatMap(([, parts]) => parts);
  const parts = [begun({ fromguid: from, flags: 4 }), ...inOrder, END].map(({ record, payload }) => ({
    record: { ...record, fields: { ...record.fields, toguid: to } } as Part['record'],
    payload,
  }));
  return putTogether(parts);
}

const EXPECTED = {
  configurations: ['lustrefs-client', 'params'],
  last_received: {
    uuid: 'lustrefs-MDT0002_UUID',
    fsname: 'lustrefs',
    kind: 'MDT',
    index: 2,
    mounts: '3',
    transaction: '77',
    clients: 2,
    servers: 1,
  },
  last_used: [
    { index: 0, sequence: '240000400', id: '7' },
    { index: 2, sequence: '2c0000400', id: '300' },
  ],
};

async function inspectMade(stream: Uint8Array[], options = {}, once = false) {
  const { streams, read } = streamsOf(stream, 5000, once);
  const { configurations, last_received, last_used } = await inspectTarget(streams, options);
  return { found: { configurations, last_received, last_used }, read };
}

test('files are found wherever they lie, before the root directory and after it', async () => {
  const numbers = fc.uniqueArray(fc.integer({ min: 37, max: 400 }), { minLength: 5, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(numbers, fc.boolean(), async (chosen, whole) => {
      const [root = 0, CONFIGS = 0, last_rcvd = 0, lov_objid = 0, lov_objseq = 0] = chosen;
      const made = { ...SMALL, root, files: { CONFIGS, last_rcvd, lov_objid, lov_objseq } };
      const { found, read } = await inspectMade([madeStream(objectsOf(made))], { whole });
      assert.deepEqual(found, EXPECTED);
      assert.equal(read.times, 1);
    }),
    { numRuns: 50 },
  );
});

test('blocks may be compressed by any usual method', async () => {
  const methods: [number, (block: Uint8Array) => Buffer][] = [
    [2, (block) => Buffer.from(block)],
    [9, (block) => deflateSync(block)],
    [15, literalLz4],
    [16, zfsZstd],
  ];
  for (const [compressiontype, pack] of methods) {
    const objects = objectsOf(SMALL);
    for (const number of Object.values(SMALL.files)) {
      const parts = objects.get(number) ?? [];
      objects.set(
        number,
        parts.map((each) => {
          if (each.record.name !== 'WRITE') return each;
          const packed = pack(each.payload);
          const payload = Buffer.concat([packed, Buffer.alloc(-packed.length & 7)]);
          const compressed_size = BigInt(payload.length);
          return part('WRITE', { ...each.record.fields, compressiontype, compressed_size }, payload);
        }),
      );
    }
    const { found } = await inspectMade([madeStream(objects)]);
    assert.deepEqual(found, EXPECTED, `method ${compressiontype}`);
  }
});

test('a method that is not known is refused with what to do instead', async () => {
  const objects = objectsOf(SMALL);
  const block = part(
    'WRITE',
    { object: 52n, logical_size: 512n, compressiontype: 3, compressed_size: 8n },
    Buffer.alloc(8),
  );
  objects.set(52, [...(objects.get(52) ?? []).slice(0, 1), block]);
  await assert.rejects(inspectMade([madeStream(objects)]), isCode('inspect.compression'));
});

test('an increment that replaces, frees and adds is laid over its base', async () => {
  const full = madeStream(objectsOf(SMALL), 0n, 1n);
  const changed = new Map([
    [51, [part('FREE', { object: 51n, offset: 8192n, length: (1n << 64n) - 1n })]],
    [52, objectOf(52, numbersFile([9n, 0n, 301n, 4n]))],
  ]);
  const { found, read } = await inspectMade([full, madeStream(changed, 1n, 2n)]);
  assert.deepEqual(
    found.last_used?.map(({ id }) => id),
    ['9', '301', '4'],
  );
  assert.deepEqual([found.last_received?.clients, read.times], [0, 2]);
});

test('a file that comes only with an increment is found by a second reading, but not in a pipe', async () => {
  const { lov_objseq, ...others } = SMALL.files;
  const base = objectsOf(SMALL);
  base.set(SMALL.root, objectOf(SMALL.root, directoryOf(others), { type: 20, blockSize: 16_384 }));
  const named = objectOf(SMALL.root, directoryOf(SMALL.files), { type: 20, blockSize: 16_384 });
  // Its name is new, the object is not.
  const streams = [madeStream(base, 0n, 1n), madeStream(new Map([[SMALL.root, named]]), 1n, 2n)];
  const { found, read } = await inspectMade(streams, { whole: true });
  assert.deepEqual(found, EXPECTED);
  assert.equal(read.times, 4);
  await assert.rejects(inspectMade(streams, {}, true), isCode('inspect.once'));
  assert.ok(lov_objseq);
});

test('what was let go for want of memory is found by a second reading', async () => {
  const made = {
    ...SMALL,
    root: 4000,
    files: { CONFIGS: 50, last_rcvd: 4001, lov_objid: 52, lov_objseq: 53 },
  };
  const objects = objectsOf(made);
  for (let number = 100; number < 300; number++) {
    objects.set(number, objectOf(number, Buffer.alloc(8192, number), { blockSize: 8192 }));
  }
  const { found, read } = await inspectMade([madeStream(objects)], { most: 500_000 });
  assert.deepEqual(found, EXPECTED);
  assert.equal(read.times, 2);
});

test('a target whose own files are too large is refused', async () => {
  const clients = Array.from({ length: 5000 }, (_, number) => `client-${number}`);
  const stream = madeStream(objectsOf({ ...SMALL, clients }));
  await assert.rejects(inspectMade([stream], { most: 300_000 }), isCode('inspect.too-large'));
});

test('a file that the root directory names and no stream holds is an error, not an empty answer', async () => {
  const objects = objectsOf(SMALL);
  objects.delete(52);
  await assert.rejects(inspectMade([madeStream(objects)]), isCode('inspect.malformed'));
});

test('whatever the objects hold, it is an answer or an error in words', async () => {
  const stream = recordedStream('lustre-mdt0-full-s1');
  const parts = takeApart(stream);
  const early = parts.flatMap(({ payload }, index) => (index < 260 && payload.length > 0 ? [index] : []));
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({ part: fc.constantFrom(...early), at: fc.nat(), bytes: fc.uint8Array({ maxLength: 12 }) }),
        { minLength: 1, maxLength: 5 },
      ),
      async (edits) => {
        const edited = parts.map(({ record, payload }) => ({ record, payload: Buffer.from(payload) }));
        for (const edit of edits) {
          const payload = edited[edit.part]?.payload ?? Buffer.alloc(0);
          const at = edit.at % payload.length;
          payload.set(edit.bytes.subarray(0, payload.length - at), at);
        }
        try {
          await inspectMade([putTogether(edited)]);
        } catch (thrown) {
          assert.ok(thrown instanceof ZkeepError, thrown instanceof Error ? thrown.stack : String(thrown));
        }
      },
    ),
    { numRuns: 60 },
  );
});

/** An LZ4 block of literals alone, with ZFS's length before it. */
function literalLz4(block: Uint8Array): Buffer {
  const lengths = [];
  for (let left = block.length - 15; left >= 0; left -= 255) lengths.push(Math.min(left, 255));
  if (lengths.at(-1) === 255) lengths.push(0);
  const packed = Buffer.concat([Buffer.from([0xf0, ...lengths]), block]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(packed.length);
  return Buffer.concat([length, packed]);
}

/** A zstd frame without its magic number, with ZFS's head before it. */
function zfsZstd(block: Uint8Array): Buffer {
  const frame = zstdCompressSync(block).subarray(4);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(frame.length);
  return Buffer.concat([head, frame]);
}
