import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeRecord,
  encodeRecord,
  type NewRecord,
  RECORD_NAMES,
  RECORD_SIZE,
  RECORDS,
  SUM_AT,
} from '../../../catalog/stream/record.ts';
import { RECORDED_STREAMS, recordedStream } from '../../fixtures/recorded-streams.ts';
import { takeApart } from './parts.ts';

const order = fc.constantFrom('little' as const, 'big' as const);
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

/** Any value for a field, by its width and the kind that reading it gives. */
function anyValue(field: {
  width: number;
  read(view: DataView, little: boolean): unknown;
}): fc.Arbitrary<unknown> {
  const sample = field.read(new DataView(new ArrayBuffer(RECORD_SIZE)), true);
  if (sample instanceof Uint8Array) return fc.uint8Array({ minLength: field.width, maxLength: field.width });
  if (Array.isArray(sample)) return fc.array(u64, { minLength: 4, maxLength: 4 });
  return typeof sample === 'bigint' ? u64 : fc.nat(256 ** field.width - 1);
}

const anyRecord = fc
  .constantFrom(...RECORD_NAMES)
  .chain((name) =>
    fc
      .record(
        Object.fromEntries(
          Object.entries(RECORDS[name].fields).map(([field, each]) => [field, anyValue(each)]),
        ),
      )
      .map((fields) => ({ name, fields: { ...fields } }) as NewRecord),
  );

test('a type that is none is not read', () => {
  const header = new Uint8Array(RECORD_SIZE);
  header[0] = 11;
  assert.equal(decodeRecord(header, 'little'), undefined);
  assert.equal(decodeRecord(header, 'big'), undefined);
});

test('the fields of a type do not overlap, and all but the checksum lie before it', () => {
  for (const name of RECORD_NAMES) {
    let end = 4;
    const fields = Object.entries(RECORDS[name].fields).sort(([, one], [, other]) => one.at - other.at);
    for (const [field, { at, width }] of fields) {
      assert.ok(at >= end, `${field} of ${name} begins in the field before it`);
      end = at + width;
    }
    assert.equal(end, name === 'BEGIN' ? RECORD_SIZE : SUM_AT + 32, name);
    assert.ok(end <= RECORD_SIZE);
  }
});

test('what is written is read again, in both byte orders', () => {
  fc.assert(
    fc.property(anyRecord, order, (record, order) => {
      assert.deepEqual(decodeRecord(encodeRecord(record, order), order), record);
    }),
  );
});

test('a header of the other byte order has each field turned round', () => {
  const header = encodeRecord({ name: 'FREE', fields: { object: 0x0102030405060708n } }, 'big');
  assert.deepEqual([...header.subarray(0, 16)], [0, 0, 0, 4, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
});

test('every recorded header is written again byte for byte: the table names all that senders use', () => {
  for (const name of RECORDED_STREAMS) {
    const stream = recordedStream(name);
    for (const { record, position } of takeApart(stream)) {
      const header = stream.subarray(position, position + RECORD_SIZE);
      assert.deepEqual(Buffer.from(encodeRecord(record, 'little')), header, `${name}, byte ${position}`);
    }
  }
});
