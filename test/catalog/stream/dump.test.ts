/** The judge of the reader is `zstream dump`: what it printed of the recorded streams. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { splitPackage } from '../../../catalog/stream/package.ts';
import { StreamReader } from '../../../catalog/stream/reader.ts';
import type { RecordName } from '../../../catalog/stream/record.ts';
import type { Begin } from '../../../catalog/stream/state.ts';
import { RECORDED_STREAMS, recordedDump, recordedStream } from '../../fixtures/recorded-streams.ts';

/** A record in the words of `zstream dump -v`: type, object (or the first one), offset, payload bytes. */
type Line = [type: string, object: bigint, offset: bigint, payload: number];

const SIGNED = (text: string) => BigInt.asUintN(64, BigInt(text));

/** The value of a field in a line of the dump. */
function valueIn(line: string, ...names: string[]): bigint {
  for (const name of names) {
    const found = new RegExp(`\\b${name} = (-?\\d+)`).exec(line)?.[1];
    if (found !== undefined) return SIGNED(found);
  }
  return 0n;
}

function payloadIn(type: string, line: string): number {
  const rounded = (length: bigint) => Math.ceil(Number(length) / 8) * 8;
  if (type === 'OBJECT') return Number(valueIn(line, 'raw_bonuslen')) || rounded(valueIn(line, 'bonuslen'));
  if (type === 'WRITE_EMBEDDED') return rounded(valueIn(line, 'psize'));
  return Number(valueIn(line, 'payload_size'));
}

/** The streams of a dump: of each the lines between BEGIN and END. */
function streamsInDump(dump: string): Line[][] {
  const streams: Line[][] = [];
  for (const line of dump.split('\n')) {
    const type = /^([A-Z_]+)\b/.exec(line)?.[1];
    if (type === 'SUMMARY') break;
    if (type === 'BEGIN') streams.push([]);
    else if (type && type !== 'END') {
      streams
        .at(-1)
        ?.push([type, valueIn(line, 'object', 'firstobj'), valueIn(line, 'offset'), payloadIn(type, line)]);
    }
  }
  return streams;
}

/** What the reader tells of one stream. */
function streamRead(bytes: Uint8Array): Line[] {
  const lines: Line[] = [];
  const reader = new StreamReader({
    onRecord: (record) => {
      const first = new DataView(record.header.buffer, record.header.byteOffset).getBigUint64(8, true);
      const named: readonly RecordName[] = ['FREEOBJECTS', 'OBJECT_RANGE'];
      const object = named.includes(record.type) ? first : (record.object ?? 0n);
      lines.push([record.type, object, record.offset ?? 0n, record.length]);
    },
  });
  reader.write(bytes);
  reader.end();
  return lines.filter(([type]) => type !== 'BEGIN' && type !== 'END');
}

/** The streams of a package, or the only one. */
async function split(bytes: Uint8Array): Promise<Uint8Array[]> {
  const streams = [];
  for await (const substream of splitPackage(of(bytes))) {
    const pieces: Uint8Array[] = [];
    for await (const piece of substream.bytes) pieces.push(piece);
    streams.push(Buffer.concat(pieces));
  }
  return streams;
}

async function* of(bytes: Uint8Array) {
  yield bytes;
}

/** Streams that are refused have tests of their own. */
const REFUSED = ['resume-rest', 'saved-S', 'spoilt-e', 'spoilt-e-incr', 'spill-unsent-incr'];
const whole = RECORDED_STREAMS.filter((name) => !REFUSED.includes(name));
const isVerbose = (name: string) => /^[A-Z_]+ .*(object|firstobj) = /m.test(recordedDump(name));

test('the recorded streams are there, most with every record in their dump', () => {
  assert.ok(whole.length >= 27);
  assert.ok(whole.filter(isVerbose).length >= 21);
});

for (const name of whole.filter(isVerbose)) {
  test(`zstream dump and the reader see the same records in ${name}`, async () => {
    const dump = recordedDump(name);
    const [first, ...rest] = streamsInDump(dump);
    const wanted = dump.includes('hdrtype = 2') ? rest : [first];
    assert.deepEqual((await split(recordedStream(name))).map(streamRead), wanted);
  });
}

for (const name of whole.filter((each) => !isVerbose(each))) {
  test(`zstream dump and the reader count the same records in ${name}`, async () => {
    const dump = recordedDump(name);
    const counts = [...dump.matchAll(/Total DRR_(\w+) records = (\d+) \((\d+) bytes\)/g)];
    assert.ok(counts.length >= 9);
    const lines = (await split(recordedStream(name))).flatMap(streamRead);
    for (const [, type, count, payload] of counts.filter(([, type]) => type !== 'BEGIN' && type !== 'END')) {
      const ofType = lines.filter(([each]) => each === type);
      assert.equal(ofType.length, Number(count), type);
      assert.equal(
        ofType.reduce((sum, [, , , length]) => sum + length, 0),
        Number(payload),
        type,
      );
    }
  });
}

test('BEGIN and the checksum of END are what zstream dump says', () => {
  for (const name of whole) {
    const dump = recordedDump(name);
    if (dump.match(/^BEGIN record/gm)?.length !== 1) continue; // a package
    const reader = new StreamReader();
    reader.write(recordedStream(name));
    const { begin, checksum } = reader.end();
    const field = (label: string) => new RegExp(`^\\t${label} = (.*)$`, 'm').exec(dump)?.[1] ?? '';
    const guid = (label: string) => field(label).padStart(16, '0');
    const wanted: Begin = {
      order: 'little',
      type: Number(field('type')),
      flags: Number(field('flags')),
      features: field('features'),
      toGuid: guid('toguid') as Begin['toGuid'],
      fromGuid: field('fromguid') === '0' ? null : (guid('fromguid') as Begin['toGuid']),
      toName: field('toname'),
      created: Number.parseInt(field('creation_time'), 16),
      payload: Number(field('payloadlen')),
    };
    assert.deepEqual(begin, wanted, name);
    const sums = /^END checksum = (.*)$/m.exec(dump)?.[1]?.split('/') ?? [];
    assert.equal(checksum, sums.map((sum) => sum.padStart(16, '0')).join(''), name);
  }
});
