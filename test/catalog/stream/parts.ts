/** Takes streams apart and puts them together again, with checksums made by the slow and plain way. */
import type { ByteOrder } from '../../../catalog/stream/fletcher4.ts';
import { payloadLength } from '../../../catalog/stream/reading/payload.ts';
import {
  decodeRecord,
  encodeRecord,
  MAGIC,
  type NewRecord,
  RECORD_SIZE,
  RECORDS,
  type RecordName,
  type StreamRecord,
  SUM_AT,
} from '../../../catalog/stream/record.ts';

export interface Part {
  readonly record: NewRecord;
  readonly payload: Uint8Array;
}

export type Sums = [bigint, bigint, bigint, bigint];

/** Fletcher4 as its definition says it, over whole words. */
export function plainFletcher4(bytes: Uint8Array, order: ByteOrder, from: Sums = [0n, 0n, 0n, 0n]): Sums {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let [a, b, c, d] = from;
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    a = BigInt.asUintN(64, a + BigInt(view.getUint32(at, order === 'little')));
    b = BigInt.asUintN(64, b + a);
    c = BigInt.asUintN(64, c + b);
    d = BigInt.asUintN(64, d + c);
  }
  return [a, b, c, d];
}

export const hexOf = (sums: Sums) => sums.map((sum) => sum.toString(16).padStart(16, '0')).join('');

/** The records of a little-endian stream. */
export function takeApart(
  stream: Uint8Array,
): { record: StreamRecord; payload: Uint8Array; position: number }[] {
  const parts = [];
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  for (let position = 0; position < stream.length; ) {
    const record = decodeRecord(stream.subarray(position), 'little');
    if (!record) throw new Error(`no record at byte ${position}`);
    const start = position + RECORD_SIZE;
    const end = start + payloadLength(view, position, RECORDS[record.name].type, true);
    parts.push({ record, payload: stream.subarray(start, end), position });
    position = end;
  }
  return parts;
}

/** How {@link putTogether} writes. */
export interface Making {
  readonly order?: ByteOrder;
  /** `false`: as senders did before records carried checksums; only END does. */
  readonly sums?: boolean;
  /** Changes a header before it goes into the checksum. */
  readonly edit?: (header: DataView, name: RecordName) => void;
}

/** A stream of these records, with right checksums. */
export function putTogether(
  parts: readonly Part[],
  { order = 'little', sums = true, edit }: Making = {},
): Buffer {
  let running: Sums = [0n, 0n, 0n, 0n];
  const pieces: Uint8Array[] = [];
  const add = (bytes: Uint8Array) => {
    running = plainFletcher4(bytes, order, running);
    pieces.push(bytes);
  };
  for (const { record, payload } of parts) {
    const fields = { ...record.fields, ...(record.name === 'END' && { checksum: running }) };
    const header = encodeRecord({ ...record, fields } as NewRecord, order);
    const view = new DataView(header.buffer);
    edit?.(view, record.name);
    add(header.subarray(0, SUM_AT));
    const sum = record.name !== 'BEGIN' && sums ? running : undefined;
    if (record.name !== 'BEGIN') header.fill(0, SUM_AT);
    sum?.forEach((part, n) => void view.setBigUint64(SUM_AT + n * 8, part, order === 'little'));
    add(header.subarray(SUM_AT));
    add(payload);
  }
  return Buffer.concat(pieces);
}

export const TO_GUID = 0x1122334455667788n;

/** One record of the streams that {@link begun} begins. */
export function part<Name extends RecordName>(
  name: Name,
  fields: NewRecord<Name>['fields'] = {},
  payload: Uint8Array = new Uint8Array(),
): Part {
  return { record: { name, fields: { toguid: TO_GUID, ...fields } } as NewRecord, payload };
}

/** A BEGIN of a full stream of a file system. */
export function begun(fields: NewRecord<'BEGIN'>['fields'] = {}, payload?: Uint8Array): Part {
  const toname = Buffer.alloc(256);
  toname.write('pool/data@snap');
  const flags = 0x4 | 0x8; // DRR_FLAG_FREERECORDS, DRR_FLAG_SPILL_BLOCK
  return part(
    'BEGIN',
    {
      magic: MAGIC,
      versioninfo: 1n | (4n << 2n),
      creation_time: 1_700_000_000n,
      objset_type: 2,
      flags,
      toname,
      ...fields,
    },
    payload,
  );
}

export const END = part('END');

/** A small stream with a record of every type that senders write. */
export const SMALL_STREAM: readonly Part[] = [
  begun({ payloadlen: 4 }, Uint8Array.of(1, 2, 3, 4)),
  part('OBJECT_RANGE', { firstobj: 0n, numslots: 32n }),
  part('FREEOBJECTS', { firstobj: 1n, numobjs: 1n }),
  part(
    'OBJECT',
    { object: 2n, object_type: 19, bonustype: 44, blksz: 512, bonuslen: 5 },
    Buffer.from('bonus\0\0\0'),
  ),
  part('FREE', { object: 2n, offset: 1024n, length: (1n << 64n) - 1n }),
  part('WRITE', { object: 2n, offset: 0n, logical_size: 512n }, Buffer.alloc(512, 'w')),
  part(
    'WRITE',
    { object: 2n, offset: 512n, logical_size: 512n, compressiontype: 15, compressed_size: 12n },
    Buffer.from('lz4 lz4 lz4 '),
  ),
  part(
    'WRITE_EMBEDDED',
    { object: 2n, offset: 1024n, length: 512n, lsize: 512, psize: 6 },
    Buffer.from('tiny..\0\0'),
  ),
  part('OBJECT', { object: 3n, bonuslen: 8, flags: 4 }, Buffer.alloc(8)),
  part('SPILL', { object: 3n, length: 512n }, Buffer.alloc(512, 's')),
  part('REDACT', { object: 3n, offset: 0n, length: 512n }),
  END,
];
