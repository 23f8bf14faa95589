/** Reading the BEGIN record. */
import { guidOf } from '../../words.ts';
import type { ByteOrder } from '../fletcher4.ts';
import { decodeRecord, MAGIC, RECORDS } from '../record.ts';
import type { Begin } from '../state.ts';

/** What the lowest bits of `drr_versioninfo` say of what follows. */
export type HeaderType = 'stream' | 'package' | 'unknown';

/**
 * The facts of a BEGIN header.
 *
 * @param header at least 312 bytes.
 * @returns `undefined` when it is no BEGIN that OpenZFS would write.
 */
export function readBegin(header: Uint8Array): { begin: Begin; header: HeaderType } | undefined {
  const order = byteOrderOf(header);
  if (!order) return undefined;
  const record = decodeRecord(header, order);
  if (record?.name !== 'BEGIN') return undefined;
  const { fields } = record;
  const features = fields.versioninfo >> 2n;
  if (features >> 56n || fields.creation_time > Number.MAX_SAFE_INTEGER) return undefined;
  const begin: Begin = {
    order,
    type: fields.objset_type,
    flags: fields.flags,
    features: features.toString(16),
    toGuid: guidOf(fields.toguid),
    fromGuid: fields.fromguid === 0n ? null : guidOf(fields.fromguid),
    toName: textOf(fields.toname),
    created: Number(fields.creation_time),
    payload: fields.payloadlen,
  };
  return { begin, header: HEADER_TYPES[Number(fields.versioninfo & 3n)] ?? 'unknown' };
}

/**
 * The byte order in which these first bytes of a file would be a BEGIN.
 *
 * @param bytes any number of them: the fewer, the less is known.
 * @returns `undefined` when they cannot be one.
 */
export function byteOrderOf(bytes: Uint8Array): ByteOrder | undefined {
  const { magic } = RECORDS.BEGIN.fields;
  return (['little', 'big'] as const).find((order) => {
    const view = new DataView(new ArrayBuffer(magic.at + magic.width)); // type 0: BEGIN
    magic.write(view, MAGIC, order === 'little');
    const wanted = new Uint8Array(view.buffer);
    return wanted.every((byte, at) => (at >= 4 && at < magic.at) || at >= bytes.length || bytes[at] === byte);
  });
}

const HEADER_TYPES: readonly HeaderType[] = ['unknown', 'stream', 'package', 'unknown'];

/** The text up to the first zero byte. */
function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString();
}
