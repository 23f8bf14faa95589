/**
 * The words of DESIGN.md as types: identities that must never be mixed up,
 * and the few functions that make them from outside text.
 */
import { randomBytes } from 'node:crypto';
import { ZkeepError } from './errors.ts';

declare const brand: unique symbol;
type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };

/** A snapshot's ZFS GUID: 16 lower-case hex digits. `zfs receive` preserves it. */
export type Guid = Brand<string, 'Guid'>;
/**
 * A dataset of a host, whatever it is called: the GUIDs of its pool and of itself, and the host. A rename
 * changes none of them.
 */
export type SourceId = Brand<string, 'SourceId'>;
/** One stored stream: a UUIDv7, so that ids sort by the time they were made. */
export type BackupId = Brand<string, 'BackupId'>;
/** Backups taken at one moment: a UUIDv7. */
export type SetId = Brand<string, 'SetId'>;
/** The connected set of snapshots that backups link: the smallest backup id in it. */
export type LineageId = Brand<string, 'LineageId'>;
/** A SHA-256 as 64 lower-case hex digits. */
export type Digest = Brand<string, 'Digest'>;

const GUID = /^[0-9a-f]{16}$/;
const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const DIGEST = /^[0-9a-f]{64}$/;

/**
 * The GUID in our spelling, from the number that a record or `zfs get guid` holds.
 *
 * @example guidOf(10488131078712455599n) // '918d38b26d2bd5af'
 * @throws {ZkeepError} `usage` when it is not an unsigned 64-bit number.
 */
export function guidOf(value: bigint): Guid {
  if (value < 0n || value >= 1n << 64n) throw notA('GUID', String(value));
  return value.toString(16).padStart(16, '0') as Guid;
}

/**
 * The GUID from the decimal digits that `zfs get -p guid` prints.
 *
 * @example guidOfDecimal('42') // '000000000000002a'
 */
export function guidOfDecimal(text: string): Guid {
  if (!/^[0-9]{1,20}$/.test(text)) throw notA('GUID', text);
  return guidOf(BigInt(text));
}

/** The decimal digits of a GUID, as `zfs` prints them. */
export function guidToDecimal(guid: Guid): string {
  return BigInt(`0x${guid}`).toString();
}

/** Checks our own spelling of a GUID: 16 lower-case hex digits. */
export function parseGuid(text: string): Guid {
  if (!GUID.test(text)) throw notA('GUID', text);
  return text as Guid;
}

/**
 * Every GUID that a person may mean by `text`: our 16 hex digits, `0x` and hex,
 * or the decimal digits of `zfs`. Sixteen digits without a letter are both.
 *
 * @example guidsMeant('0x2a') // ['000000000000002a']
 */
export function guidsMeant(text: string): Guid[] {
  const lower = text.toLowerCase();
  const meant = new Set<Guid>();
  if (GUID.test(lower)) meant.add(lower as Guid);
  if (/^0x[0-9a-f]{1,16}$/.test(lower)) meant.add(guidOf(BigInt(lower)));
  if (/^[0-9]{1,20}$/.test(lower) && BigInt(lower) < 1n << 64n) meant.add(guidOf(BigInt(lower)));
  if (meant.size === 0) throw notA('GUID', text);
  return [...meant];
}

/** Checks a backup id. */
export function parseBackupId(text: string): BackupId {
  if (!UUID7.test(text)) throw notA('backup id (UUIDv7)', text);
  return text as BackupId;
}

/** Checks the id of a set. */
export function parseSetId(text: string): SetId {
  if (!UUID7.test(text)) throw notA('set id (UUIDv7)', text, 'zkeep show DATASET tells the set of a backup');
  return text as SetId;
}

/** Checks a SHA-256 in hex. */
export function parseDigest(text: string): Digest {
  if (!DIGEST.test(text)) throw notA('SHA-256', text);
  return text as Digest;
}

/**
 * A new UUIDv7 (RFC 9562, 5.7): 48 bits of milliseconds, 74 random bits.
 *
 * @example newUuid7(Date.now()) as BackupId
 */
export function newUuid7(now: number, random: Uint8Array = randomBytes(10)): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(now, 0, 6);
  bytes.set(random.subarray(0, 10), 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/**
 * A new UUIDv7 that is greater than another one: a millisecond later than that, should the clock stand still or go back.
 *
 * @param before `undefined`, or no UUIDv7: any will do.
 */
export function laterUuid7(before: string | undefined, now: number): string {
  const id = newUuid7(now);
  if (before === undefined || id > before) return id;
  return newUuid7((momentOfUuid7(before) ?? now) + 1);
}

/**
 * The moment in a UUIDv7, milliseconds since 1970; `undefined` for another text.
 *
 * @example momentOfUuid7(newUuid7(42)) // 42
 */
export function momentOfUuid7(id: string): number | undefined {
  return UUID7.test(id) ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : undefined;
}

function notA(
  what: string,
  text: string,
  where = '`zkeep list` shows the identities that are known',
): ZkeepError {
  return new ZkeepError('usage', 'words.malformed', `${JSON.stringify(text.slice(0, 80))} is not a ${what}`, {
    advice: `check the spelling; ${where}`,
  });
}
