/** What `zfs send -t` gives, made from the records of a whole stream, as it was seen on OpenZFS 2.1, 2.3 and 2.4. */
import type { ByteOrder } from '../../../../catalog/stream/fletcher4.ts';
import { encodeRecord, type NewRecord, type RecordName } from '../../../../catalog/stream/record.ts';
import { Rewriter } from '../../../../catalog/stream/resuming/rewrite.ts';
import type { ResumePoint } from '../../../../catalog/stream/state.ts';
import { nativeList } from '../native-list.ts';
import type { Part, takeApart } from '../parts.ts';

export type Parts = ReturnType<typeof takeApart>;

/** {@link putTogether}, quickly: its checksums are of the rewriter. `edit` changes a header before. */
export function joined(
  parts: readonly Part[],
  order: ByteOrder = 'little',
  edit?: (header: Uint8Array, number: number) => void,
): Buffer {
  const rewriter = new Rewriter(order);
  const pieces = parts.flatMap(({ record, payload }, number) => {
    const plain = encodeRecord(record, order);
    edit?.(plain, number);
    const header = record.name === 'BEGIN' ? plain : rewriter.header(plain);
    if (record.name === 'BEGIN') rewriter.begin(plain);
    rewriter.payload(payload);
    return [header, payload];
  });
  return Buffer.concat(pieces);
}

/**
 * BEGIN with the point, in raw streams the OBJECT_RANGE, the OBJECT and the FREE behind
 * its data, and all from the point on.
 */
export function sentAgain(
  parts: Parts,
  point: Omit<ResumePoint, 'state'>,
  order: ByteOrder = 'little',
): Part[] {
  const [begin] = parts;
  const at = parts.findIndex(({ record }) => isNamed(record, point));
  const objectAt = parts.findLastIndex(
    ({ record }, n) => n <= at && record.name === 'OBJECT' && String(record.fields.object) === point.object,
  );
  const [object, free] = parts.slice(objectAt, objectAt + 2);
  if (!begin || at < 0 || !object) throw new Error('the stream has no such point');
  const range = parts.findLast(({ record }, n) => n < objectAt && record.name === 'OBJECT_RANGE');
  return [
    resuming(begin, point, order),
    ...(range ? [range] : []),
    ...(objectAt < at ? [object] : []),
    ...(free && objectAt + 1 < at && free.record.name === 'FREE' && free.record.fields.length === TO_THE_END
      ? [free]
      : []),
    ...parts.slice(at),
  ];
}

/** A copy of a part with other fields. */
export function changed<Name extends RecordName>(part: Part, fields: NewRecord<Name>['fields']): Part {
  return { ...part, record: { ...part.record, fields: { ...part.record.fields, ...fields } } as NewRecord };
}

const TO_THE_END = (1n << 64n) - 1n;
export const RESUMING = 1n << (20n + 2n);

function isNamed({ name, fields }: Part['record'], point: Omit<ResumePoint, 'state'>): boolean {
  const offset = 'offset' in fields ? fields.offset : 0n;
  return (
    name === point.type &&
    'object' in fields &&
    `${fields.object} ${offset}` === `${point.object} ${point.offset}`
  );
}

function resuming(begin: Part, { object, offset }: Omit<ResumePoint, 'state'>, order: ByteOrder): Part {
  if (begin.record.name !== 'BEGIN') throw new Error('a stream begins with BEGIN');
  const list = nativeList(
    [
      ['resume_object', 8, BigInt(object)],
      ['resume_offset', 8, BigInt(offset)],
    ],
    order,
  );
  // What the payload holds already stays in front; a list of a kernel ends with a pair of size 0.
  const payload =
    begin.payload.length < 16 ? list : Buffer.concat([begin.payload.subarray(0, -4), list.subarray(12)]);
  const versioninfo = (begin.record.fields.versioninfo ?? 0n) | RESUMING;
  return { ...changed<'BEGIN'>(begin, { versioninfo, payloadlen: payload.length }), payload };
}
