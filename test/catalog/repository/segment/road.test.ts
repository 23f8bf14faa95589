import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { buildManifest, type Manifest, type Segment } from '../../../../catalog/repository/manifest.ts';
import {
  type PackedSegment,
  type PackOptions,
  packStream,
} from '../../../../catalog/repository/segment/pack.ts';
import { segmentSize } from '../../../../catalog/repository/segment/sizes.ts';
import { WorkerPool } from '../../../../catalog/repository/segment/threads/pool.ts';
import {
  type FetchSegment,
  unpackPart,
  unpackStream,
} from '../../../../catalog/repository/segment/unpack.ts';
import { StreamReader } from '../../../../catalog/stream/reader.ts';
import type { BackupId } from '../../../../catalog/words.ts';
import { makeStream } from '../../../made-stream.ts';

const pool = new WorkerPool(2);
after(() => pool.close());

const MIB = 1024 * 1024;
const BACKUP = '0197a000-0000-7000-8000-000000000001' as BackupId;

function* blocks(count: number, size: number): Generator<Uint8Array> {
  for (let n = 0; n < count; n++) yield n % 3 === 0 ? Buffer.alloc(size) : randomBytes(size);
}

/** 40 MiB: three segments, the last one short. */
const stream = Buffer.concat([...makeStream({ toGuid: 7n, blocks: blocks(320, 128 * 1024) })]);

async function* pieces(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

interface Packed {
  readonly manifest: Manifest;
  readonly bodies: readonly Buffer[];
}

async function pack(source: AsyncIterable<Uint8Array>, options: Partial<PackOptions> = {}): Promise<Packed> {
  const parts: PackedSegment[] = [];
  const summary = await packStream(source, {
    recipients: [],
    pool,
    send: async (part) => void parts.push({ ...part, body: Buffer.from(part.body) }),
    ...options,
  });
  parts.sort((a, b) => a.number - b.number);
  const recipients = options.recipients ?? [];
  const manifest = buildManifest({
    backup: BACKUP,
    created: '2026-11-20T08:00:00.000Z',
    committed: '2026-11-20T08:00:01.000Z',
    set: null,
    source: { host: 'h', dataset: 'made/stream', pool_guid: null, zfs: null },
    from: null,
    to: { guid: summary.begin.toGuid, name: 'one' },
    stream: summary,
    send_flags: null,
    compression: { method: 'zstd', level: 3, frame: MIB },
    encryption: recipients.length > 0 ? { method: 'age-v1', recipients: [...recipients] } : null,
    attributes: null,
    segments: parts.map(({ segment }) => segment),
  });
  return { manifest, bodies: parts.map(({ body }) => body) };
}

async function unpack({ manifest, bodies }: Packed, identities: string[] = []): Promise<Buffer> {
  const raw: Uint8Array[] = [];
  const fetch = async (number: number) => Uint8Array.from(bodies[number] ?? []);
  for await (const bytes of unpackStream(manifest, fetch, { pool, identities })) raw.push(Buffer.from(bytes));
  return Buffer.concat(raw);
}

const packed = await pack(pieces(stream));

test('a stream comes back byte for byte when what is fetched lies in the memory that was offered', async () => {
  const raw: Uint8Array[] = [];
  const offered = new Set<ArrayBufferLike>();
  const fetch: FetchSegment = async (number, _signal, into) => {
    const body = packed.bodies[number] ?? Buffer.alloc(0);
    if (!into || number === 1) return Buffer.concat([Buffer.alloc(3), body]).subarray(3); // a part of more
    offered.add(into.buffer);
    into.set(body);
    return into.subarray(0, body.length);
  };
  for await (const bytes of unpackStream(packed.manifest, fetch, { pool })) raw.push(Buffer.from(bytes));
  assert.ok(Buffer.concat(raw).equals(stream));
  assert.ok(offered.size > 0);
});

test('a segment whose size is a lie is offered no memory', async () => {
  const [first, ...others] = packed.manifest.segments;
  assert.ok(first);
  const segments = [{ ...first, stored: 2 ** 40 }, ...others];
  let offered: Uint8Array | undefined = new Uint8Array(1);
  const fetch: FetchSegment = async (_number, _signal, into) => {
    offered = into;
    throw new Error('too large');
  };
  await assert.rejects(unpackStream({ ...packed.manifest, segments }, fetch, { pool }).next(), /too large/);
  assert.equal(offered, undefined);
});

test('a stream comes back byte for byte, whatever the pieces it came in', async () => {
  assert.ok((await unpack(packed)).equals(stream));
  for (const size of [1_000_003, 3 * MIB, stream.length]) {
    const other = await pack(pieces(stream, size));
    assert.deepEqual(other.manifest, packed.manifest, `pieces of ${size} bytes give the same objects`);
  }
});

test('a stream comes back however small it is, or its last frame', async () => {
  for (const size of [4, 3000, 4096, 9000, MIB - 936, MIB - 932, 70_000]) {
    const small = Buffer.concat([...makeStream({ toGuid: 7n, blocks: [randomBytes(size)] })]);
    assert.ok((await unpack(await pack(pieces(small)))).equals(small), `${small.length} bytes`);
  }
});

test('segments are cut where the format says', () => {
  const { segments } = packed.manifest;
  assert.deepEqual(
    segments.map(({ size }) => size),
    [segmentSize(0), segmentSize(1), stream.length - segmentSize(0) - segmentSize(1)],
  );
});

test('the size of a segment doubles, and stops at 64 MiB', () => {
  assert.deepEqual(
    [0, 1023, 1024, 2047, 2048, 100_000].map((n) => segmentSize(n) / MIB),
    [16, 16, 32, 32, 64, 64],
  );
});

test('every segment can be walked alone, from its state', () => {
  const { segments, stream: summary } = packed.manifest;
  for (const [number, segment] of segments.entries()) {
    const reader = StreamReader.resume(segment.state, summary.begin);
    reader.write(stream.subarray(segment.offset, segment.offset + segment.size));
    const next: Segment | undefined = segments[number + 1];
    if (next) assert.deepEqual(reader.save(), next.state);
    else assert.equal(reader.end().checksum, summary.checksum);
  }
});

test('every segment names the first record in it from which reading can begin', () => {
  for (const { entry, offset, size } of packed.manifest.segments) {
    assert.ok(entry && entry.position >= offset && entry.position < offset + size);
    const type = stream.readUInt32LE(entry.position);
    assert.ok(type === 1 || type === 3, 'an OBJECT or a WRITE');
    assert.equal(stream.readBigUInt64LE(entry.position + 8), BigInt(entry.object));
  }
});

test('some segments alone are read, told of and proven, and no other is fetched', async () => {
  const { manifest, bodies } = packed;
  for (const [first, last] of [
    [0, 0],
    [1, 1],
    [1, 2],
    [0, 2],
  ] as const) {
    const fetched: number[] = [];
    const raw: Uint8Array[] = [];
    const records: number[] = [];
    const fetch = async (number: number) => {
      fetched.push(number);
      return Uint8Array.from(bodies[number] ?? []);
    };
    const watch = { onRecord: ({ position }: { position: number }) => void records.push(position) };
    const part = unpackPart(manifest, { first, last }, fetch, { pool, watch });
    for await (const bytes of part) raw.push(Buffer.from(bytes));
    const [from, to] = [manifest.segments[first]?.offset ?? 0, manifest.segments[last + 1]?.offset];
    assert.ok(Buffer.concat(raw).equals(stream.subarray(from, to)));
    assert.deepEqual(fetched.toSorted(), fetched);
    assert.deepEqual([fetched[0], fetched.at(-1)], [first, last]);
    assert.ok(records.includes(manifest.segments[last]?.entry?.position ?? -1));
  }
});

test('some segments that do not fit what the manifest says of them are refused', async () => {
  const { manifest, bodies } = packed;
  const fetch = async (number: number) => Uint8Array.from(bodies[number] ?? []);
  const read = async (of: Manifest, first: number, last: number) => {
    for await (const _ of unpackPart(of, { first, last }, fetch, { pool }));
  };
  const wrong = (number: number) => ({
    ...manifest,
    segments: manifest.segments.map((segment, at) =>
      at === number ? { ...segment, state: { ...segment.state, sum: 'f'.repeat(64) } } : segment,
    ),
  });
  await assert.rejects(read(wrong(1), 1, 1), { kind: 'damaged', code: 'stream.checksum' });
  await assert.rejects(read(wrong(2), 1, 1), { kind: 'damaged', code: 'segment.state' });
  for (const [first, last] of [
    [0, 3],
    [2, 1],
    [-1, 0],
  ] as const) {
    await assert.rejects(read(manifest, first, last), { kind: 'usage', code: 'segment.none' });
  }
});

test('an encrypted stream comes back with its identity and not without', async () => {
  const identity = await generateIdentity();
  const small = Buffer.concat([...makeStream({ toGuid: 8n, blocks: blocks(9, 128 * 1024) })]);
  const sealed = await pack(pieces(small), { recipients: [await identityToRecipient(identity)] });
  assert.ok((await unpack(sealed, [identity])).equals(small));
  await assert.rejects(unpack(sealed, [await generateIdentity()]), { kind: 'denied', code: 'age.identity' });
});

test('a stream that is cut, spoilt or none is refused, and its pieces are not called a stream', async () => {
  const flipped = Buffer.from(stream);
  flipped[20 * MIB] = (flipped[20 * MIB] ?? 0) ^ 4;
  for (const bad of [
    stream.subarray(0, -1),
    stream.subarray(0, 17 * MIB),
    flipped,
    randomBytes(4000),
    Buffer.alloc(0),
  ]) {
    await assert.rejects(pack(pieces(bad)), { kind: 'damaged' });
  }
});

test('what the service says to BEGIN ends the packing before anything is sent', async () => {
  let sent = 0;
  const refused = new Error('the service refused');
  const packing = pack(pieces(stream), {
    onBegin: async () => {
      throw refused;
    },
    send: async () => void sent++,
  });
  await assert.rejects(packing, refused);
  assert.equal(sent, 0);
});

test('a failed send ends the packing with its own error, and the others are told to stop', async () => {
  const broken = new Error('the store is gone');
  let stopped = 0;
  const other = Promise.withResolvers<void>();
  const packing = pack(pieces(stream), {
    send: async ({ number }, signal) => {
      if (number === 1) {
        await other.promise;
        throw broken;
      }
      other.resolve();
      await new Promise<void>((_, reject) =>
        signal.addEventListener('abort', () => {
          stopped += 1;
          reject(signal.reason);
        }),
      );
    },
  });
  await assert.rejects(packing, broken);
  assert.ok(stopped >= 1);
});

test('a slow store holds the source back', async () => {
  let taken = 0;
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  async function* counted() {
    const block = randomBytes(128 * 1024);
    const many = (function* () {
      for (let n = 0; n < 4000; n++) yield block; // 500 MiB
    })();
    for (const piece of makeStream({ toGuid: 9n, blocks: many })) {
      taken += piece.length;
      yield piece;
    }
  }
  const stop = new AbortController();
  const packing = pack(counted(), { send: () => held, signal: stop.signal });
  packing.catch(() => {});
  let before = -1;
  while (before !== taken) {
    before = taken;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  assert.ok(taken < 200 * MIB, `${taken} bytes were read ahead`);
  stop.abort(new Error('enough'));
  release();
  await assert.rejects(packing, /enough/);
});

test('a changed object, a lost one and two that changed places are each refused', async () => {
  const changed = packed.bodies.map((body) => Buffer.from(body));
  const byte = changed[1];
  assert.ok(byte);
  byte[1000] = (byte[1000] ?? 0) ^ 1;
  await assert.rejects(unpack({ ...packed, bodies: changed }), { kind: 'damaged', code: 'segment.digest' });
  const swapped = [...packed.bodies];
  [swapped[0], swapped[1]] = [swapped[1] ?? Buffer.alloc(0), swapped[0] ?? Buffer.alloc(0)];
  await assert.rejects(unpack({ ...packed, bodies: swapped }), { kind: 'damaged' });
});

test('segments of another stream under the same manifest are refused where they join', async () => {
  const other = await pack(
    pieces(Buffer.concat([...makeStream({ toGuid: 7n, blocks: blocks(320, 128 * 1024) })])),
  );
  const [first, ...rest] = packed.manifest.segments;
  const mixed = structuredClone(other.manifest);
  assert.ok(first);
  mixed.segments = [mixed.segments[0] ?? first, ...rest];
  const bodies = [other.bodies[0] ?? Buffer.alloc(0), ...packed.bodies.slice(1)];
  await assert.rejects(unpack({ manifest: mixed, bodies }), { kind: 'damaged', code: 'segment.state' });
});

test('the digest in the manifest is the SHA-256 of the object', () => {
  for (const [number, body] of packed.bodies.entries()) {
    const { sha256, stored } = packed.manifest.segments[number] ?? {};
    assert.equal(createHash('sha256').update(body).digest('hex'), sha256);
    assert.equal(body.length, stored);
  }
});
