/** A broken receive goes on from the stored stream: tried against a model of the receiver, cut wherever one likes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { packNvlist } from '../../../../catalog/stream/nvlist.ts';
import { readBegin } from '../../../../catalog/stream/reading/begin.ts';
import { RECORD_SIZE } from '../../../../catalog/stream/record.ts';
import { resumingBegin } from '../../../../catalog/stream/resuming/begin.ts';
import { planResuming } from '../../../../catalog/stream/resuming/plan.ts';
import { resumingStream } from '../../../../catalog/stream/resuming/stream.ts';
import { recordedStream } from '../../../fixtures/recorded-streams.ts';
import { begun, END, type Part, part, putTogether, SMALL_STREAM } from '../parts.ts';
import { reading, type StoredStream, stored } from './pieces.ts';
import { contentOf, isPoint, pointOf, Receiver, recordsOf, type Taken } from './receiver.ts';

/** As senders before 2.0 wrote a block of dnodes: its OBJECTs first, then their data. */
const OLD_ORDER: readonly Part[] = [
  begun(),
  ...[1n, 2n, 3n].map((object) => part('OBJECT', { object, bonuslen: 8 }, Buffer.alloc(8))),
  ...[1n, 2n, 3n].flatMap((object) =>
    [0n, 512n].map((offset) => part('WRITE', { object, offset, logical_size: 512n }, Buffer.alloc(512))),
  ),
  part('OBJECT', { object: 33n }),
  part('WRITE', { object: 33n, offset: 0n, logical_size: 8n }, Buffer.alloc(8)),
  END,
];

/** With a payload that can be added to, in XDR. */
const LIST = packNvlist(new Map([['redact_snaps', [1n, 2n]]]));
const ALL_TYPES = [begun({ payloadlen: LIST.length }, LIST), ...SMALL_STREAM.slice(1)];

const STREAMS: readonly (readonly [name: string, stream: Uint8Array])[] = [
  ...[
    'full',
    'incr-i-a-b',
    'incr-bookmark-a-c',
    'incr-empty',
    'raw-w',
    'raw-w-incr',
    'raw-spill',
    'spill-Lc',
    'spill-Lc-incr',
    'embedded-Lec',
    'large-L',
    'redacted',
    'zvol',
    'zvol-incr',
    'lustre-mdt0-incr-s1-s2',
  ].map((name) => [name, recordedStream(name)] as const),
  ['of all record types', putTogether(ALL_TYPES)],
  ['of the other byte order', putTogether([begun(), ...SMALL_STREAM.slice(1)], { order: 'big' })],
  ['of an old sender', putTogether(OLD_ORDER)],
];

/** An interrupted receive: records up to `reached` came, and the last point among them was saved. */
interface Broken {
  readonly receiver: Receiver;
  readonly token: { object: bigint; offset: bigint; bytes: bigint };
  /** Position of the record that the token names. */
  readonly point: number;
}

/**
 * @param stream the stored one, where `records` are those of a resuming one.
 * @param counted what the token of the try before counted.
 */
function breakAt(
  receiver: Receiver,
  records: readonly Taken[],
  reached: number,
  stream = records,
  counted = 0n,
): Broken | undefined {
  const came = records.slice(0, reached);
  const saved = came.findLast(isPoint);
  if (!saved) return undefined;
  receiver.apply(came);
  const point = pointOf(saved);
  const first = stream.find((each) => isPoint(each) && same(pointOf(each), point));
  const bytes = counted + BigInt(saved.position + saved.payload.length);
  return { receiver, token: { ...point, bytes }, point: first?.position ?? 0 };
}

type Point = ReturnType<typeof pointOf>;
const same = (one: Point, other: Point) => one.object === other.object && one.offset === other.offset;

interface Resumed {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly reached: readonly number[];
  readonly read: readonly number[];
}

async function resume(
  stream: StoredStream,
  token: Broken['token'],
  covered = Number.POSITIVE_INFINITY,
  { buffer = 1000, hasBegin = false } = {},
): Promise<Resumed> {
  const { begin, pieces } = stream;
  const known = hasBegin ? stream.bytes.subarray(0, RECORD_SIZE + begin.payload) : undefined;
  const plan = planResuming({ begin, pieces, token, covered, hasBegin });
  const [made, reached, read]: [Uint8Array[], number[], number[]] = [[], [], []];
  for await (const sent of resumingStream(
    plan,
    { begin, token, stored: known },
    reading(stream, read, buffer),
  )) {
    made.push(Buffer.from(sent.bytes));
    reached.push(sent.reached);
  }
  return { bytes: Buffer.concat(made), from: plan.from, reached, read };
}

/** Positions of the records that are sent before the rest, besides BEGIN. */
function planBefore({ begin, pieces }: StoredStream, token: Broken['token']): readonly number[] {
  return planResuming({ begin, pieces, token, covered: Number.POSITIVE_INFINITY }).before;
}

function pieceAt({ pieces }: StoredStream, position: number): number {
  return pieces.findLastIndex(({ offset }) => offset <= position);
}

for (const [name, bytes] of STREAMS) {
  const records = recordsOf(bytes, readBegin(bytes)?.begin.order ?? 'little');
  const whole = new Receiver();
  whole.apply(records);
  const sizes = fc.integer({ min: 100, max: Math.max(200, Math.min(bytes.length, 300_000)) });
  const cut = fc.nat(records.length);

  test(`${name}: goes on from any record, and all is there in the end`, async () => {
    await fc.assert(
      fc.asyncProperty(sizes, cut, fc.option(fc.nat(bytes.length)), async (size, reached, covered) => {
        const broken = breakAt(new Receiver(), records, reached);
        if (!broken) return;
        const stream = stored(bytes, Math.max(size, Math.ceil(bytes.length / 200)));
        const end = covered ?? Number.POSITIVE_INFINITY;
        const resumed = await resume(stream, broken.token, end);
        broken.receiver.resume(resumed.bytes, stream.begin, broken.token);
        assert.deepEqual(broken.receiver.content, whole.content);
        assert.ok(resumed.from <= broken.point && resumed.from <= end);
        assert.equal(resumed.reached.at(-1), bytes.length);
        assert.ok(resumed.reached.every((at, n) => at >= (resumed.reached[n - 1] ?? resumed.from)));
      }),
      { numRuns: 25 },
    );
  });

  test(`${name}: with its BEGIN at hand it is the same, and nothing is read for that alone`, async () => {
    const stored_ = stored(bytes, Math.max(400, Math.ceil(bytes.length / 50)));
    for (const { position, ...point } of records.filter(isPoint).filter((_, n) => n % 7 === 0)) {
      const token = { ...pointOf({ position, ...point }), bytes: BigInt(position) };
      const end = Number.POSITIVE_INFINITY;
      const wanted = await resume(stored_, token, end);
      const found = await resume(stored_, token, end, { hasBegin: true });
      assert.ok(Buffer.from(found.bytes).equals(wanted.bytes));
      assert.equal(found.reached.at(-1), wanted.reached.at(-1));
      const wholeStream = found.from === 0;
      const needed = wholeStream || planBefore(stored_, token).some((at) => pieceAt(stored_, at) === 0);
      assert.equal(found.read.includes(0), needed || pieceAt(stored_, found.from) === 0);
    }
  });

  test(`${name}: what is sent are the stored records, from one of them on without a gap`, async () => {
    const stored_ = stored(bytes, Math.max(400, Math.ceil(bytes.length / 50)));
    for (const { record, position } of records.filter(isPoint).slice(0, 60)) {
      const broken = breakAt(
        new Receiver(),
        records,
        records.findIndex((each) => each.position === position) + 1,
      );
      assert.ok(broken, record.name);
      const { bytes: sent, from } = await resume(stored_, broken.token);
      const found = new Receiver().resume(sent, stored_.begin, broken.token).slice(1).map(contentOf);
      const rest = records.filter((each) => each.position >= from && each.position > 0).map(contentOf);
      assert.deepEqual(found.slice(-rest.length), rest);
      const before = found.slice(0, -rest.length);
      assert.ok(before.length <= 2);
      const known = new Set(records.filter((each) => each.position < from).map(contentOf));
      assert.ok(before.every((each) => known.has(each)));
    }
  });

  test(`${name}: broken again and again, it still comes to its end`, async () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(cuts, sizes, async (cuts, size) => {
        const stream = stored(bytes, Math.max(size, Math.ceil(bytes.length / 100)));
        const receiver = new Receiver();
        let came: readonly Taken[] = records;
        let sentTo = 0;
        let counted = 0n;
        for (const share of cuts) {
          const broken = breakAt(receiver, came, Math.floor((share * came.length) / 100), records, counted);
          if (!broken) continue; // it was cut before anything new was saved
          sentTo = Math.max(sentTo, broken.point);
          counted = broken.token.bytes;
          const resumed = await resume(stream, broken.token, sentTo);
          came = new Receiver().resume(resumed.bytes, stream.begin, broken.token);
        }
        receiver.apply(came);
        assert.deepEqual(receiver.content, whole.content);
      }),
      { numRuns: 10 },
    );
  });
}

test('the entry that is chosen is the last one at or before the point and what was sent', () => {
  for (const [name, bytes] of STREAMS.filter(([name]) => name !== 'of an old sender')) {
    const { begin, pieces } = stored(bytes, Math.max(300, Math.ceil(bytes.length / 100)));
    const records = recordsOf(bytes, begin.order);
    for (const [at, taken] of records.entries()) {
      const broken = isPoint(taken) ? breakAt(new Receiver(), records, at + 1) : undefined;
      if (!broken || (broken.token.object === 1n && broken.token.offset === 0n)) continue;
      for (const covered of [0, taken.position - 1, taken.position, bytes.length]) {
        const usable = pieces.flatMap(({ entry }) => entry?.position ?? []);
        const last: number = usable.filter((each) => each <= broken.point && each <= covered).at(-1) ?? 0;
        assert.equal(planResuming({ begin, pieces, token: broken.token, covered }).from, last, name);
      }
    }
  }
});

test('a receiver that counts less than lies before its point lacks something: it is sent the whole stream', () => {
  const { begin, pieces, bytes } = stored(recordedStream('raw-w'), 20_000);
  const last = recordsOf(bytes, 'little').findLast(isPoint) ?? assert.fail();
  const covered = Number.POSITIVE_INFINITY;
  const fromWith = (counted: number) =>
    planResuming({ begin, pieces, token: { ...pointOf(last), bytes: BigInt(counted) }, covered }).from;
  const { entry } = pieces.findLast((piece) => piece.entry && piece.entry.position <= last.position) ?? {};
  const wanted = entry?.position ?? assert.fail();
  assert.equal(fromWith(last.position), wanted);
  assert.equal(fromWith(wanted - RECORD_SIZE), wanted);
  assert.equal(fromWith(wanted - RECORD_SIZE - 1), 0);
  assert.equal(fromWith(1), 0);
});

test('no more is read than BEGIN, the records before, and what is sent', async () => {
  const stream = stored(recordedStream('raw-w'), 20_000);
  const records = recordsOf(stream.bytes, 'little');
  const last = records.findLast(isPoint);
  assert.ok(last);
  const { read, from } = await resume(stream, { ...pointOf(last), bytes: BigInt(last.position) });
  const first = Math.floor(from / 20_000);
  assert.ok(first > stream.pieces.length / 2);
  assert.ok(read.length <= stream.pieces.length - first + 4, read.join());
  assert.deepEqual(read.filter((number) => number >= first).length, stream.pieces.length - first);
});

test('while nothing was saved, the whole stream is sent', async () => {
  const stream = stored(recordedStream('incr-i-a-b'), 5000);
  for (const token of [
    { object: 1n, offset: 0n, bytes: 0n },
    { object: 1n, offset: 0n, bytes: 7n },
    { object: 500n, offset: 0n, bytes: 0n },
  ]) {
    const { bytes, from } = await resume(stream, token);
    assert.equal(from, 0);
    const found = new Receiver().resume(bytes, stream.begin, token).slice(1).map(contentOf);
    assert.deepEqual(found, recordsOf(stream.bytes, 'little').slice(1).map(contentOf));
  }
});

test('BEGIN is, to the byte, what `zfs send -t` writes', () => {
  const [whole, rest] = [recordedStream('resume-whole'), recordedStream('resume-rest')];
  const wanted = rest.subarray(0, RECORD_SIZE + (readBegin(rest)?.begin.payload ?? 0));
  const [, begin] = [recordsOf(whole, 'little'), recordsOf(rest, 'little')];
  assert.ok(begin[0]);
  const point = begin.find((each) => isPoint(each) && each.record.name === 'OBJECT');
  assert.ok(point);
  const token = pointOfBegin(begin[0].payload);
  const made = resumingBegin(whole.subarray(0, RECORD_SIZE), new Uint8Array(), 'little', token);
  assert.deepEqual(Buffer.from(made), Buffer.from(wanted));
});

/** The last two numbers of a native list of two pairs. */
function pointOfBegin(payload: Uint8Array): Point {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  return { object: view.getBigUint64(12 + 32, true), offset: view.getBigUint64(12 + 40 + 32, true) };
}

test('a stream whose records are not where its manifest says is not sent on', async () => {
  const stream = stored(recordedStream('raw-w'), 30_000);
  const records = recordsOf(stream.bytes, 'little');
  const last = records.findLast(isPoint);
  assert.ok(last);
  const token = { ...pointOf(last), bytes: BigInt(last.position) };
  const plan = planResuming({ ...stream, token, covered: Number.POSITIVE_INFINITY });
  const [before = 0] = plan.before;
  for (const wrong of [
    { ...plan, from: plan.from + 1 },
    { ...plan, before: [before + 1, ...plan.before.slice(1)] },
    { ...plan, passes: plan.passes.slice(0, 1) },
  ]) {
    await assert.rejects(
      async () => {
        for await (const _ of resumingStream(wrong, { begin: stream.begin, token }, reading(stream)));
      },
      { kind: 'damaged', code: 'resume.entry' },
    );
  }
});

test('a BEGIN whose payload is no list is refused', () => {
  const header = recordedStream('raw-w').subarray(0, RECORD_SIZE);
  for (const payload of [
    Buffer.from('what'),
    Buffer.from([0, 1, 0, 0, 1, 1, 1, 1]),
    Buffer.from([9, 1, 0, 0, 0, 0, 0, 0]),
  ]) {
    assert.throws(() => resumingBegin(header, payload, 'little', { object: 1n, offset: 0n }), {
      kind: 'refused',
      code: 'resume.begin',
    });
  }
});
