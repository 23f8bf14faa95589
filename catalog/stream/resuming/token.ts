/**
 * Resume tokens: what `zfs receive -s` leaves in `receive_resume_token`, and what
 * `zfs send -t` takes. A token is `1-sum-size-hex`: a zlib stream in hex, the
 * length of what it packs, and its checksum (OpenZFS `dsl_dataset.c`,
 * `libzfs_sendrecv.c`).
 */
import { deflateSync, inflateSync } from 'node:zlib';
import { ZkeepError } from '../../errors.ts';
import { type Guid, guidOf } from '../../words.ts';
import { featureNames, hasFeature } from '../features.ts';
import { type ByteOrder, Fletcher4 } from '../fletcher4.ts';
import { type NvValue, packNvlist } from '../nvlist.ts';
import { type FlatValue, readNvlist } from '../reading/nvlist.ts';
import type { Begin, ResumePoint } from '../state.ts';

/** What a token says. */
export interface ResumeToken {
  /** The object and the offset in it from which the sender is to go on. */
  readonly object: bigint;
  readonly offset: bigint;
  /** Bytes that were received: `zfs send -nv` subtracts them from its estimate, nothing else heeds them. */
  readonly bytes: bigint;
  readonly toguid: Guid;
  /** `null`: a full stream. */
  readonly fromguid: Guid | null;
  /** `pool/dataset@snapshot`, 1 to 255 bytes. The sender finds the snapshot by GUID when the dataset has another of this name. */
  readonly toname: string;
  readonly largeBlocks: boolean;
  readonly embedded: boolean;
  readonly compressed: boolean;
  readonly raw: boolean;
  /** GUIDs that a redacted stream is redacted with respect to; `null`: it is not redacted. */
  readonly redactSnaps: readonly bigint[] | null;
}

/** Longest token that is looked at, in characters, and longest list in one, in bytes. The kernel's have a few hundred. */
const MOST = 64 * 1024;
const MOST_NAME = 255;

/**
 * Writes a token.
 *
 * @throws {ZkeepError} `usage`, code `token.field`, when a value does not fit.
 * @example encodeToken({ ...decodeToken(text), bytes: 0n }) // '1-b6d9c12e6-b8-789c6360…'
 */
export function encodeToken(token: ResumeToken): string {
  for (const field of ['object', 'offset', 'bytes'] as const) {
    if (token[field] !== BigInt.asUintN(64, token[field])) throw badField(field);
  }
  if (!isName(token.toname)) throw badField('toname');
  const pairs: [name: string, value: NvValue | false | null][] = [
    ['fromguid', token.fromguid && BigInt(`0x${token.fromguid}`)],
    ['object', token.object],
    ['offset', token.offset],
    ['bytes', token.bytes],
    ['toguid', BigInt(`0x${token.toguid}`)],
    ['toname', token.toname],
    ['largeblockok', token.largeBlocks],
    ['embedok', token.embedded],
    ['compressok', token.compressed],
    ['rawok', token.raw],
    ['redact_snaps', token.redactSnaps],
  ];
  const given = pairs.flatMap(([name, value]): [string, NvValue][] =>
    value === null || value === false ? [] : [[name, value]],
  );
  const list = packNvlist(new Map(given));
  const packed = deflateSync(list);
  const size = list.length.toString(16);
  return `1-${sumOf(packed, 'little').toString(16)}-${size}-${packed.toString('hex')}`;
}

/**
 * Reads a token, made by a kernel of either byte order or by {@link encodeToken}.
 *
 * @throws {ZkeepError} `usage`, code `token.malformed`, `token.version`, `token.checksum` or `token.field`.
 * @example decodeToken('1-b6d9c12e6-b8-789c6360…').toname // 'tank/res@s'
 */
export function decodeToken(text: string): ResumeToken {
  const pairs = readNvlist(unpack(text.trim()));
  if (!pairs) throw malformed('its contents are no list of names and values');
  const fromguid = pairs.has('fromguid') ? numberIn(pairs, 'fromguid') : 0n;
  const toname = pairs.get('toname');
  if (typeof toname !== 'string' || !isName(toname)) throw badField('toname');
  const redactSnaps = pairs.get('redact_snaps') ?? null;
  if (pairs.has('redact_snaps') && !isNumbers(redactSnaps)) throw badField('redact_snaps');
  return {
    object: numberIn(pairs, 'object'),
    offset: numberIn(pairs, 'offset'),
    bytes: numberIn(pairs, 'bytes'),
    toguid: guidOf(numberIn(pairs, 'toguid')),
    fromguid: fromguid === 0n ? null : guidOf(fromguid),
    toname,
    largeBlocks: pairs.has('largeblockok'),
    embedded: pairs.has('embedok'),
    compressed: pairs.has('compressok'),
    raw: pairs.has('rawok'),
    redactSnaps: isNumbers(redactSnaps) ? redactSnaps : null,
  };
}

/**
 * The token with which `zfs send -t` goes on from a point of a stream that was stored.
 *
 * @param begin of that stream: the flags must be the same, or another kind of stream comes.
 * @param toname `pool/dataset@snapshot` as the snapshot is now called.
 * @throws {ZkeepError} `refused`, code `resume.redacted`: of a redacted stream senders do not go on reliably.
 * @example await send(['-t', tokenFor(begin, point, 'tank/home@monday')])
 */
export function tokenFor(begin: Begin, point: ResumePoint, toname: string): string {
  if (hasFeature(begin, 'REDACTED')) throw redacted(begin);
  return encodeToken({
    object: BigInt(point.object),
    offset: BigInt(point.offset),
    bytes: BigInt(point.state.at),
    toguid: begin.toGuid,
    fromguid: begin.fromGuid,
    toname,
    largeBlocks: hasFeature(begin, 'LARGE_BLOCKS'),
    embedded: hasFeature(begin, 'EMBED_DATA'),
    compressed: hasFeature(begin, 'COMPRESSED'),
    raw: hasFeature(begin, 'RAW'),
    redactSnaps: null,
  });
}

/** Takes the envelope off. */
function unpack(text: string): Uint8Array {
  if (text.length > MOST) throw malformed(`it is longer than ${MOST} characters`);
  const [, version, sum, size, hex] =
    /^(\d{1,9})-([0-9a-f]{1,16})-([0-9a-f]{1,8})-((?:[0-9a-f]{2})+)$/.exec(text) ?? [];
  if (version === undefined || sum === undefined || size === undefined || hex === undefined) {
    throw malformed('it does not look like 1-sum-size-digits');
  }
  if (Number(version) !== 1) throw otherVersion(Number(version));
  const packed = Buffer.from(hex, 'hex');
  const wanted = BigInt(`0x${sum}`);
  // A kernel sums words in its own byte order.
  if (sumOf(packed, 'little') !== wanted && sumOf(packed, 'big') !== wanted) throw wrongSum();
  const length = Number.parseInt(size, 16);
  if (length === 0 || length > MOST) throw malformed(`it says that it holds ${length} bytes`);
  const list = inflate(packed, length);
  if (list.length !== length) throw malformed(`it holds ${list.length} bytes where it says ${length}`);
  return list;
}

/** The first of the four sums; bytes that do not fill a word are left out (`fletcher_4_native_varsize`). */
function sumOf(packed: Uint8Array, order: ByteOrder): bigint {
  const sum = new Fletcher4(order);
  sum.update(packed);
  return sum.value[0];
}

function inflate(packed: Uint8Array, maxOutputLength: number): Uint8Array {
  try {
    return inflateSync(packed, { maxOutputLength });
  } catch (cause) {
    throw malformed('its contents cannot be unpacked', cause);
  }
}

function numberIn(pairs: ReadonlyMap<string, FlatValue>, name: string): bigint {
  const value = pairs.get(name);
  if (typeof value !== 'bigint') throw badField(name);
  return value;
}

const isNumbers = (value: FlatValue): value is readonly bigint[] => Array.isArray(value);

/** A name that OpenZFS could have: no zero byte, at most 255 bytes. */
function isName(text: string): boolean {
  return text !== '' && !text.includes('\0') && Buffer.byteLength(text) <= MOST_NAME;
}

const COPY_IT_WHOLE =
  'give it as `zfs get -H -o value receive_resume_token DATASET` prints it, all in one piece';

function malformed(why: string, cause?: unknown): ZkeepError {
  return new ZkeepError('usage', 'token.malformed', `this is not a resume token: ${why}`, {
    advice: COPY_IT_WHOLE,
    cause,
  });
}

function otherVersion(version: number): ZkeepError {
  return new ZkeepError('usage', 'token.version', `a resume token of version ${version} is not known`, {
    advice: `${COPY_IT_WHOLE}; every OpenZFS so far writes version 1`,
    facts: { version },
  });
}

function wrongSum(): ZkeepError {
  return new ZkeepError(
    'usage',
    'token.checksum',
    'the resume token is damaged: its checksum does not match',
    {
      advice: COPY_IT_WHOLE,
    },
  );
}

function badField(field: string): ZkeepError {
  return new ZkeepError('usage', 'token.field', `the resume token has no ${field}, or one that cannot be`, {
    advice: COPY_IT_WHOLE,
    facts: { field },
  });
}

function redacted(begin: Begin): ZkeepError {
  const what = `the stream of ${begin.toName} is redacted: a sender may not be able to go on with it`;
  return new ZkeepError('refused', 'resume.redacted', what, {
    advice: 'start it again',
    facts: { snapshot: begin.toName, features: featureNames(begin.features) },
  });
}
