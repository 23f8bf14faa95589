/** The rest of a stream, spliced on, gives the very stream that was never cut; anything else is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ByteOrder } from '../../../../catalog/stream/fletcher4.ts';
import { StreamReader } from '../../../../catalog/stream/reader.ts';
import { SUM_AT } from '../../../../catalog/stream/record.ts';
import { type StoredPart, spliceStream } from '../../../../catalog/stream/resuming/splice.ts';
import { recordedStream } from '../../../fixtures/recorded-streams.ts';
import { begun, END, type Part, part, putTogether, SMALL_STREAM, TO_GUID, takeApart } from '../parts.ts';
import { changed, joined, type Parts, RESUMING, sentAgain } from './sent-again.ts';

/** What is known of the first `at` bytes of a stream; `undefined` when no sender could go on from there. */
function storedPart(stream: Uint8Array, at: number): StoredPart | undefined {
  const reader = new StreamReader();
  reader.write(stream.subarray(0, at));
  const { begin, point } = reader;
  return begin && point && { begin, point, after: reader.save() };
}

function partOf(stream: Uint8Array, at: number): StoredPart {
  return storedPart(stream, at) ?? assert.fail(`no point before byte ${at}`);
}

/** Bytes in buffers of this size, as a pipe would give them. */
async function* piped(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** The bytes that came before it ended, and what it threw. */
async function spliced(rest: Uint8Array, stored: StoredPart, size = 65_536) {
  const pieces: Uint8Array[] = [];
  try {
    for await (const piece of spliceStream(piped(rest, size), stored)) pieces.push(piece);
  } catch (thrown) {
    return { bytes: Buffer.concat(pieces), thrown };
  }
  return { bytes: Buffer.concat(pieces), thrown: undefined };
}

async function refusal(rest: Uint8Array, stored: StoredPart, size?: number) {
  const { bytes, thrown } = await spliced(rest, stored, size);
  assert.equal(bytes.length, 0, 'nothing comes of what is refused');
  assert.ok(thrown instanceof Error, 'it is refused');
  return thrown as Error & { code: string; kind: string; facts: Record<string, unknown> };
}

/** The same numbers every time. */
function* numbers(below: number): Generator<number, never> {
  for (let n = 1; ; n = (n * 48_271) % 2_147_483_647) yield n % below;
}

/** At most so many, spread evenly. */
function some<T>(all: readonly T[], most: number): T[] {
  const step = Math.max(1, all.length / most);
  return Array.from({ length: Math.min(most, all.length) }, (_, n) => all[Math.floor(n * step)] as T);
}

const endOf = ({ position, payload }: Parts[number]) => position + 312 + payload.length;

test('what the test makes as zfs send -t is to the byte what zfs send -t gave', () => {
  const parts = takeApart(recordedStream('resume-whole'));
  const made = joined(sentAgain(parts, { type: 'WRITE', object: '5', offset: '0' }));
  assert.deepEqual(made, recordedStream('resume-rest'));
  assert.deepEqual(made, putTogether(sentAgain(parts, { type: 'WRITE', object: '5', offset: '0' })));
});

test('a recorded rest goes on with the recorded stream, cut anywhere behind its point', async () => {
  const whole = recordedStream('resume-whole');
  const rest = recordedStream('resume-rest');
  const first = takeApart(whole).find(
    ({ record }) => 'object' in record.fields && record.fields.object === 5n,
  );
  assert.ok(first);
  const cuts = numbers(whole.length - endOf(first));
  for (let n = 0; n < 40; n++) {
    const at = endOf(first) + cuts.next().value;
    const { bytes, thrown } = await spliced(rest, partOf(whole, at), 40_000 + n);
    assert.equal(thrown, undefined);
    assert.ok(bytes.equals(whole.subarray(at)), `cut at ${at}`);
  }
});

const STREAMS: readonly (readonly [name: string, order?: ByteOrder])[] = [
  ['full'],
  ['incr-i-a-b'],
  ['incr-bookmark-a-c'],
  ['compressed-c-zstd'],
  ['embedded-Lec'],
  ['embedded-Lec', 'big'],
  ['large-L'],
  ['lustre-mdt0-incr-s1-s2'],
  ['raw-w'],
  ['raw-w', 'big'],
  ['raw-w-incr'],
  ['raw-spill'],
  ['spill-Lc'],
  ['spill-Lc-incr'],
  ['zvol'],
  ['zvol-incr'],
];

for (const [name, order = 'little'] of STREAMS) {
  test(`${name}, ${order}-endian: cut at records and inside of them, it is the same stream again`, async () => {
    const parts = takeApart(recordedStream(name));
    const stream = order === 'little' ? recordedStream(name) : joined(parts, order);
    const boundaries = parts.flatMap((each) => [each.position, each.position + 312, endOf(each) - 1]);
    const inside = numbers(stream.length + 1);
    const cuts = [
      ...some(boundaries, 90),
      ...Array.from({ length: 30 }, () => inside.next().value),
      stream.length,
    ];
    const sizes = numbers(70_000);
    let resumed = 0;
    for (const at of cuts) {
      const stored = storedPart(stream, at);
      if (!stored) continue;
      const rest = joined(sentAgain(parts, stored.point, order), order);
      const { bytes, thrown } = await spliced(rest, stored, 3000 + sizes.next().value);
      assert.equal(thrown, undefined);
      assert.ok(bytes.equals(stream.subarray(at)), `cut at ${at}`);
      resumed++;
    }
    assert.ok(resumed > cuts.length / 2, `${resumed} of ${cuts.length}`);
  });
}

test('a stream of all record types, cut at any byte, is the same again, whatever buffers come', async () => {
  for (const [order, step] of [
    ['little', 5],
    ['big', 17],
  ] as const) {
    const stream = putTogether(SMALL_STREAM, { order });
    const parts = takeApart(putTogether(SMALL_STREAM));
    for (let at = stream.length; at > 0; at -= step) {
      const stored = storedPart(stream, at);
      if (!stored) continue;
      const rest = joined(sentAgain(parts, stored.point, order), order);
      const { bytes, thrown } = await spliced(rest, stored, 1 + (at % 700));
      assert.equal(thrown, undefined);
      assert.ok(bytes.equals(stream.subarray(at)), `cut at ${at}`);
    }
  }
});

test('cut off again and again, each time from where the time before got, it is the same stream in the end', async () => {
  for (const name of ['lustre-mdt0-incr-s1-s2', 'raw-spill', 'zvol-incr', 'embedded-Lec']) {
    const stream = recordedStream(name);
    const parts = takeApart(stream);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 60_000 }), { maxLength: 10 }), async (steps) => {
        const first = parts.find(({ record }) => record.name === 'OBJECT');
        let stored = partOf(stream, endOf(first ?? assert.fail()) + 1);
        for (const step of [...steps, stream.length]) {
          // As when segments are packed: a reader that begins behind what is stored.
          const reader = StreamReader.resume(stored.after, stored.begin);
          const rest = joined(sentAgain(parts, stored.point));
          let left = step;
          for await (const bytes of spliceStream(piped(rest, 30_011), stored)) {
            reader.write(bytes.subarray(0, left));
            left -= Math.min(left, bytes.length);
            if (left === 0) break;
          }
          stored = { begin: stored.begin, point: reader.point ?? stored.point, after: reader.save() };
        }
        const whole = partOf(stream, stream.length);
        assert.deepEqual(stored.after, whole.after);
        // A cut within the payload of a point leaves the one before it, which is as good.
        assert.ok(stored.point.state.at <= whole.point.state.at);
        assert.deepEqual(StreamReader.resume(stored.after, stored.begin).end().bytes, stream.length);
      }),
      { numRuns: 8, examples: [[[34_875, 4_538, 3_677, 18_236, 53_009]]] },
    );
  }
});

const write = (offset: bigint, byte = 1) =>
  part('WRITE', { object: 2n, offset, logical_size: 8n }, Buffer.alloc(8, byte));
const OBJECT = part('OBJECT', { object: 2n, blksz: 32 });

test('a block that is sent in pieces may be sent from its start: what comes before the point is passed over', async () => {
  const stream = putTogether([begun(), OBJECT, write(0n), write(8n), write(16n), write(24n), END]);
  const stored = partOf(stream, 312 + 312 + 3 * 320 + 10);
  assert.equal(stored.point.offset, '16');
  const rest = putTogether([resumingBegin(), OBJECT, write(0n), write(8n), write(16n), write(24n), END]);
  assert.deepEqual((await spliced(rest, stored)).bytes, stream.subarray(stored.after.at));
});

test('the OBJECT that comes again before the point has no spill block with it, and needs none', async () => {
  const owner = part('OBJECT', { object: 2n, flags: 4 });
  const spill = part('SPILL', { object: 2n, length: 8n }, Buffer.alloc(8));
  const stream = putTogether([begun(), owner, spill, write(0n), write(8n), END]);
  const stored = partOf(stream, stream.length - 400);
  const rest = putTogether([resumingBegin(), owner, write(0n), write(8n), END]);
  assert.deepEqual((await spliced(rest, stored)).bytes, stream.subarray(stored.after.at));
});

test('OBJECTs of a block of dnodes may come before the data of its first, as senders before 2.0 wrote them', async () => {
  const other = part('OBJECT', { object: 3n });
  const stream = putTogether([begun(), OBJECT, other, write(0n), write(8n), END]);
  const stored = partOf(stream, stream.length - 400);
  const rest = putTogether([resumingBegin(), OBJECT, other, write(0n), write(8n), END]);
  assert.deepEqual((await spliced(rest, stored)).bytes, stream.subarray(stored.after.at));
});

function resumingBegin(fields: Parameters<typeof begun>[0] = {}): Part {
  return begun({ versioninfo: 1n | (4n << 2n) | RESUMING, ...fields });
}

/** A small stream of two objects, stored up to a byte within its third WRITE. */
const SHORT = [begun(), OBJECT, write(0n), write(8n), write(16n), part('OBJECT', { object: 3n }), END];
const SHORT_STREAM = putTogether(SHORT);
const SHORT_STORED = partOf(SHORT_STREAM, 312 + 312 + 2 * 320 + 315);
const SHORT_REST = [resumingBegin(), OBJECT, write(8n), write(16n), part('OBJECT', { object: 3n }), END];
/** The rest with other parts in place of some. */
const restWith = (parts: Readonly<Record<number, Part>>) =>
  putTogether(SHORT_REST.map((each, n) => parts[n] ?? each));

test('another stream is refused by what its BEGIN says, whatever differs', async () => {
  assert.equal((await spliced(putTogether(SHORT_REST), SHORT_STORED)).thrown, undefined);
  const features = (bit: bigint) => ({ versioninfo: 1n | (4n << 2n) | RESUMING | (1n << (bit + 2n)) });
  const differing: readonly (readonly [string, Parameters<typeof begun>[0]])[] = [
    ['fromguid', { fromguid: 7n }],
    ['type', { objset_type: 3 }],
    ...[1, 2].map((bit) => ['flags', { flags: 12 | bit }] as const),
    ['flags', { flags: 4 }],
    ['flags', { flags: 8 }],
    ['features', { versioninfo: 1n | (4n << 2n) }],
    ['features', { versioninfo: 1n | RESUMING }],
    ...[0n, 1n, 16n, 17n, 19n, 21n, 22n, 23n, 24n, 25n, 28n, 29n, 40n].map(
      (bit) => ['features', features(bit)] as const,
    ),
  ];
  for (const [what, fields] of differing) {
    const thrown = await refusal(restWith({ 0: resumingBegin(fields) }), SHORT_STORED);
    assert.deepEqual([thrown.kind, thrown.code], ['refused', 'resume.other-stream']);
    assert.match(String(thrown.facts['differing']), new RegExp(`^${what} `));
  }
  const other = SHORT_REST.map((each) => changed(each, { toguid: TO_GUID + 1n }));
  assert.match(
    (await refusal(putTogether(other), SHORT_STORED)).message,
    /toguid 1122334455667789 instead of/,
  );
  const swapped = await refusal(putTogether(SHORT_REST, { order: 'big' }), SHORT_STORED);
  assert.match(swapped.message, /byte order big instead of little/);
  const differsInBase = partOf(putTogether([begun({ fromguid: 9n }), ...SHORT.slice(1)]), 1200);
  assert.match(
    (await refusal(putTogether(SHORT_REST), differsInBase)).message,
    /fromguid none instead of 0+9/,
  );
});

test('a snapshot that has another name now is the same stream', async () => {
  const toname = Buffer.alloc(256);
  toname.write('pool/moved@renamed');
  const { bytes, thrown } = await spliced(restWith({ 0: resumingBegin({ toname }) }), SHORT_STORED);
  assert.equal(thrown, undefined);
  assert.deepEqual(bytes, SHORT_STREAM.subarray(SHORT_STORED.after.at));
});

test('a rest without the point is refused as soon as it can no longer come', async () => {
  const far = part('OBJECT', { object: 64n });
  const embedded = part('WRITE_EMBEDDED', { object: 2n, offset: 8n, psize: 8 }, Buffer.alloc(8));
  for (const parts of [
    [END],
    [OBJECT, write(16n)],
    [OBJECT, embedded, write(16n)],
    [OBJECT, part('WRITE', { object: 3n, logical_size: 8n }, Buffer.alloc(8))],
    [far],
  ]) {
    const rest = putTogether([resumingBegin(), ...parts]);
    const thrown = await refusal(rest, SHORT_STORED);
    assert.deepEqual([thrown.kind, thrown.code], ['refused', 'resume.no-point']);
  }
});

test('an overlap that differs in a single bit, of a header or a payload, is refused', async () => {
  const [before, after] = [SHORT_REST[2], SHORT_REST[3]];
  assert.ok(before && after);
  for (const [n, each] of [
    [2, before],
    [3, after],
  ] as const) {
    for (let at = 0; at < (n === 2 ? 8 : 3); at++) {
      const payload = Buffer.from(each.payload);
      payload[at] = (payload[at] ?? 0) ^ 0x10;
      const thrown = await refusal(restWith({ [n]: { ...each, payload } }), SHORT_STORED);
      assert.deepEqual([thrown.kind, thrown.code], ['refused', 'resume.differs'], `part ${n}, byte ${at}`);
    }
  }
  for (const fields of [{ object_type: 1 }, { checksumtype: 1 }, { key_properties: 1n << 40n }]) {
    const thrown = await refusal(restWith({ 2: changed<'WRITE'>(before, fields) }), SHORT_STORED);
    assert.equal(thrown.code, 'resume.differs');
  }
});

test('a point of a recorded stream that differs in any one bit is refused, its checksums being right', async () => {
  const stream = recordedStream('spill-Lc');
  const parts = takeApart(stream);
  const chosen = numbers(1 << 20);
  const flip = (bytes: Uint8Array, length: number) => {
    const bit = chosen.next().value % (length * 8);
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  };
  let refused = 0;
  for (const each of some(parts, 60)) {
    const stored = storedPart(stream, endOf(each));
    if (!stored) continue;
    const again = sentAgain(parts, stored.point);
    const point = parts.find(({ position }) => position === stored.point.state.at);
    const at = again.findIndex(({ record }) => record === point?.record);
    assert.ok(point && at > 0);
    const payload = Buffer.from(point.payload);
    if (payload.length > 0) flip(payload, payload.length);
    const inPayload = joined(again.map((one, n) => (n === at ? { ...one, payload } : one)));
    if (payload.length > 0) assert.equal((await refusal(inPayload, stored)).code, 'resume.differs');
    const inHeader = joined(again, 'little', (header, n) => void (n === at && flip(header, SUM_AT)));
    assert.match((await refusal(inHeader, stored)).code, /^(resume|stream)\./);
    refused++;
  }
  assert.ok(refused > 30, `${refused}`);
});

test('a rest that ends before what is stored does is refused', async () => {
  const stored = partOf(SHORT_STREAM, SHORT_STREAM.length - 312);
  const rest = putTogether([resumingBegin(), part('OBJECT', { object: 3n }), END]);
  assert.equal((await spliced(rest, stored)).thrown, undefined);
  const shorter = await refusal(putTogether([...SHORT_REST.slice(0, 4), END]), {
    ...stored,
    point: SHORT_STORED.point,
  });
  assert.equal(shorter.code, 'resume.differs');
  const muchShorter = putTogether([...SHORT_REST.slice(0, 3), END]);
  assert.equal((await refusal(muchShorter, { ...stored, point: SHORT_STORED.point })).code, 'resume.differs');
  const whole = partOf(SHORT_STREAM, SHORT_STREAM.length);
  assert.deepEqual(await spliced(rest, whole), { bytes: Buffer.alloc(0), thrown: undefined });
});

test('a stored end that lies before the point is refused', async () => {
  const { after } = partOf(SHORT_STREAM, 700);
  assert.equal((await refusal(putTogether(SHORT_REST), { ...SHORT_STORED, after })).code, 'resume.differs');
});

test('a rest that breaks off gives what came, and then says so', async () => {
  const rest = putTogether(SHORT_REST);
  for (let length = 0; length < rest.length; length += 7) {
    const { bytes, thrown } = await spliced(rest.subarray(0, length), SHORT_STORED, 500);
    const { code, message } = thrown as Error & { code: string };
    assert.ok(code === 'stream.truncated' || (length === 0 && code === 'stream.empty'), code);
    assert.match(message, /^in what zfs send -t gave, /);
    assert.deepEqual(
      bytes,
      SHORT_STREAM.subarray(SHORT_STORED.after.at, SHORT_STORED.after.at + bytes.length),
    );
  }
});

test('damage in the rest is found before its records get new checksums', async () => {
  const rest = putTogether(SHORT_REST);
  for (let at = 0; at < rest.length; at++) {
    const damaged = Buffer.from(rest);
    damaged[at] = (damaged[at] ?? 0) ^ 0x20;
    const { bytes, thrown } = await spliced(damaged, SHORT_STORED, 300);
    assert.ok(thrown instanceof Error, `byte ${at}`);
    assert.match((thrown as Error & { code: string }).code, /^(stream|resume)\./);
    // All but the last record that came is proven.
    const wanted = SHORT_STREAM.subarray(SHORT_STORED.after.at);
    assert.ok(bytes.length < wanted.length);
  }
});

test('bytes after END are refused', async () => {
  const rest = Buffer.concat([putTogether(SHORT_REST), Buffer.alloc(1)]);
  for (const size of [100, 65_536]) {
    const { thrown } = await spliced(rest, SHORT_STORED, size);
    assert.equal((thrown as Error & { code: string }).code, 'stream.trailing');
  }
});

test('whoever stops taking, and every refusal, closes the source', async () => {
  let closed = 0;
  async function* source(bytes: Uint8Array) {
    try {
      yield* piped(bytes, 100);
      throw new Error('it was read to its end');
    } finally {
      closed++;
    }
  }
  for await (const _ of spliceStream(source(putTogether(SHORT_REST)), SHORT_STORED)) break;
  await assert.rejects(
    async () => {
      for await (const _ of spliceStream(
        source(restWith({ 0: resumingBegin({ objset_type: 3 }) })),
        SHORT_STORED,
      ));
    },
    { code: 'resume.other-stream' },
  );
  assert.equal(closed, 2);
});
