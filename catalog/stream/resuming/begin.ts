/**
 * The BEGIN of a resuming stream: the stored one with the flag RESUMING, and in
 * its payload the point that the receiver stands at. The kernel compares these
 * two numbers with its own (`dmu_recv.c`, `recv_resume_begin_check`).
 */
import { ZkeepError } from '../../errors.ts';
import { FEATURES } from '../features.ts';
import type { ByteOrder } from '../fletcher4.ts';
import { type NvList, packNvlist } from '../nvlist.ts';
import { RECORD_SIZE, RECORDS } from '../record.ts';
import type { ResumeToken } from './token.ts';

/** Longest payload of a BEGIN that is held in memory, bytes: keys and GUIDs of redaction are a few KiB. */
export const MOST_BEGIN_PAYLOAD = 16 * 1024 * 1024;

/**
 * The first record of a resuming stream, with its payload.
 *
 * @param header the stored BEGIN's 312 bytes.
 * @throws {ZkeepError} `refused`, code `resume.begin`, when the stored payload is no list that can be added to.
 */
export function resumingBegin(
  header: Uint8Array,
  payload: Uint8Array,
  order: ByteOrder,
  point: Pick<ResumeToken, 'object' | 'offset'>,
): Uint8Array {
  const list = withPoint(payload, order, point);
  const begin = new Uint8Array(RECORD_SIZE + list.length);
  begin.set(header);
  begin.set(list, RECORD_SIZE);
  const view = new DataView(begin.buffer);
  const little = order === 'little';
  const { payloadlen, versioninfo } = RECORDS.BEGIN.fields;
  payloadlen.write(view, list.length, little);
  versioninfo.write(view, versioninfo.read(view, little) | RESUMING, little);
  return begin;
}

/** Above the two bits of the header type. */
const RESUMING = 1n << BigInt(FEATURES.RESUMING.bit + 2);

type Point = Pick<ResumeToken, 'object' | 'offset'>;

function withPoint(payload: Uint8Array, order: ByteOrder, { object, offset }: Point): Uint8Array {
  const pairs: NvList = new Map([
    ['resume_object', object],
    ['resume_offset', offset],
  ]);
  // XDR is read by receivers of either order; a native list only by those of the sender's.
  if (payload.length === 0) {
    return order === 'big'
      ? packNvlist(pairs)
      : Buffer.concat([NATIVE_HEAD, nativePairs(pairs, true), NATIVE_END]);
  }
  const [encoding, endian] = payload;
  const native = encoding === 0 && (endian === 0 || endian === 1);
  const end = native ? NATIVE_END : XDR_END;
  if ((!native && encoding !== 1) || !endsWith(payload, end)) throw notAList();
  const added = native
    ? nativePairs(pairs, endian === 1)
    : packNvlist(pairs).slice(XDR_HEAD, -XDR_END.length);
  return Buffer.concat([payload.subarray(0, payload.length - end.length), added, end]);
}

/** `nvs_header_t`: native, little-endian; `nvl_version` 0, `nvl_nvflag` NV_UNIQUE_NAME. */
const NATIVE_HEAD = Uint8Array.of(0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0);
/** Bytes of the same in XDR. */
const XDR_HEAD = 12;
/** A pair of size 0 ends a native list, one of two sizes of 0 an XDR list. */
const NATIVE_END = new Uint8Array(4);
const XDR_END = new Uint8Array(8);
/** `data_type_t`: DATA_TYPE_UINT64. */
const UINT64 = 8;
/** Bytes of `nvpair_t`. */
const PAIR_HEAD = 16;

/** Pairs of 64-bit numbers as they lie in a kernel's memory (`nvpair_t`). */
function nativePairs(pairs: NvList, little: boolean): Uint8Array {
  return Buffer.concat([...pairs].map(([name, value]) => nativePair(name, value as bigint, little)));
}

function nativePair(name: string, value: bigint, little: boolean): Uint8Array {
  const text = Buffer.from(`${name}\0`);
  const valueAt = Math.ceil((PAIR_HEAD + text.length) / 8) * 8;
  const pair = new Uint8Array(valueAt + 8);
  const view = new DataView(pair.buffer);
  view.setInt32(0, pair.length, little);
  view.setInt16(4, text.length, little);
  view.setInt32(8, 1, little);
  view.setInt32(12, UINT64, little);
  pair.set(text, PAIR_HEAD);
  view.setBigUint64(valueAt, value, little);
  return pair;
}

function endsWith(bytes: Uint8Array, end: Uint8Array): boolean {
  return bytes.length > end.length && bytes.subarray(-end.length).every((byte) => byte === 0);
}

function notAList(): ZkeepError {
  const what = 'the payload of the stored BEGIN is no list that a resume point can be added to';
  return new ZkeepError('refused', 'resume.begin', what, {
    advice: 'throw the interrupted receive away (zfs receive -A) and restore again',
  });
}
