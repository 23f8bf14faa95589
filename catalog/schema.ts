/** TypeBox pieces for the words of `words.ts`, shared by every format and by the HTTP interface. */
import { type Static, type TSchema, Type } from 'typebox';
// Not typebox/compile: that loads two hundred modules more, for conversions that are not used here.
import { Compile } from 'typebox/schema';
import { ZkeepError } from './errors.ts';
import type { BackupId, Digest, Guid, LineageId, SetId } from './words.ts';

const text = <T extends string>(pattern: string, description: string) =>
  Type.Unsafe<T>(Type.String({ pattern, description }));
const UUID7 = '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$';

export const GuidSchema = text<Guid>('^[0-9a-f]{16}$', 'ZFS GUID, 16 hex digits');
export const BackupIdSchema = text<BackupId>(UUID7, 'id of a backup, UUIDv7');
export const SetIdSchema = text<SetId>(UUID7, 'id of a set, UUIDv7');
export const LineageIdSchema = text<LineageId>(UUID7, 'id of a lineage: its smallest backup id');
export const DigestSchema = text<Digest>('^[0-9a-f]{64}$', 'SHA-256, 64 hex digits');
/** Bytes, or a position in bytes: a safe integer. */
export const BytesSchema = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
/** An unsigned 64-bit number in decimal digits, because JSON numbers end at 2^53. */
export const U64Schema = Type.String({ pattern: '^[0-9]{1,20}$' });
/** A moment, ISO 8601 in UTC with milliseconds. */
export const TimeSchema = Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$' });
/** One of these texts. */
export const OneOf = <const T extends string>(...texts: readonly T[]) =>
  Type.Unsafe<T>(Type.Union(texts.map((one) => Type.Literal(one))));
export const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

/**
 * A checker for data from outside: gives the value as its type, or throws
 * `damaged` with the place and the reason of the first thing that does not fit.
 *
 * @example const parseMarker = checker(MarkerSchema, 'zkeep.json');
 */
export function checker<T extends TSchema>(schema: T, what: string): (value: unknown) => Static<T> {
  // Compiled when first needed: a command needs few of all the schemas that it imports.
  let made: ReturnType<typeof Compile<T>> | undefined;
  return (value) => {
    made ??= Compile(schema);
    const compiled = made;
    if (compiled.Check(value)) return value as Static<T>;
    const [, [first]] = compiled.Errors(value);
    const place = first?.instancePath || 'the top';
    throw new ZkeepError(
      'damaged',
      'schema.mismatch',
      `${what} is malformed at ${place}: ${first?.message}`,
      {
        advice: 'it was not written by zkeep, or damaged since',
        facts: { what, place },
      },
    );
  };
}
