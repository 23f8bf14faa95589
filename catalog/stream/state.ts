/** What the reader knows of a stream, as plain data that can be stored: schemas of format 1. */
import { type Static, Type } from 'typebox';
import { BytesSchema, GuidSchema, Nullable, U64Schema } from '../schema.ts';

/** The facts of a BEGIN record. */
export const BeginSchema = Type.Object({
  /** Byte order of the whole stream. */
  order: Type.Union([Type.Literal('little'), Type.Literal('big')]),
  /** What the stream holds: 2 is a file system (ZPL), 3 a volume. */
  type: Type.Integer({ minimum: 0, maximum: 0xffffffff }),
  /** `drr_flags`. */
  flags: Type.Integer({ minimum: 0, maximum: 0xffffffff }),
  /** Feature bits, those above the header type, as a hex number; `features.ts` names them. */
  features: Type.String({ pattern: '^[0-9a-f]{1,14}$' }),
  toGuid: GuidSchema,
  /** `null`: a full stream. */
  fromGuid: Nullable(GuidSchema),
  /** `pool/dataset@snapshot` as the sender named it. */
  toName: Type.String({ maxLength: 256 }),
  /** Creation of the snapshot, seconds since 1970. */
  created: Type.Integer({ minimum: 0 }),
  /** Bytes of the payload that follows the record. */
  payload: BytesSchema,
});
export type Begin = Static<typeof BeginSchema>;

/**
 * Where reading can begin in the middle of a stream (facts: OpenZFS `dmu_recv.c`;
 * records are idempotent when replayed in order).
 */
export const EntryPointSchema = Type.Object({
  /** Byte position of the record from which to read. */
  position: BytesSchema,
  /** Byte position of the OBJECT (in a raw stream: of its OBJECT_RANGE) that must be sent before it. */
  object_position: BytesSchema,
  /** The object that the record belongs to. */
  object: U64Schema,
  /** The offset in the object; 0 for an OBJECT. */
  offset: U64Schema,
  /** Only inside an object of a raw stream: byte position of its OBJECT, to be sent after the OBJECT_RANGE. */
  object_record: Type.Optional(BytesSchema),
});
export type EntryPoint = Static<typeof EntryPointSchema>;

/**
 * The reader's memory at one byte of a stream, besides what BEGIN says. The same
 * byte of the same stream gives the same state, however the reader came there.
 */
export const ReaderStateSchema = Type.Object({
  /** Bytes taken so far. */
  at: BytesSchema,
  /** Records whose header was taken whole. */
  records: Type.Integer({ minimum: 0 }),
  /** The same by type, in the order of the types' numbers. */
  counts: Type.Array(Type.Integer({ minimum: 0 }), { minItems: 11, maxItems: 11 }),
  /** Running fletcher4 over all whole words taken into it, 4 x 16 hex digits; after END, the one that END carries. */
  sum: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  /** Bytes of the header that `at` cuts in half, base64; they are not in `sum` yet. */
  head: Type.Optional(Type.String({ maxLength: 416 })),
  /** Bytes still to come of the payload that `at` cuts in half. */
  left: Type.Optional(BytesSchema),
  /** The number of the type of the record that this payload belongs to. */
  type: Type.Optional(Type.Integer({ minimum: 0, maximum: 10 })),
  /** Payload bytes at the cut that do not fill a 32-bit word yet, base64. */
  word: Type.Optional(Type.String({ maxLength: 4 })),
  /** Objects whose spill block was announced and must still come. */
  spill: Type.Optional(Type.Array(U64Schema, { minItems: 1, maxItems: 32 })),
  /** END was seen: nothing may follow. */
  ended: Type.Optional(Type.Literal(true)),
  /** Byte position of the last OBJECT_RANGE (raw streams), needed to name entry points. */
  range: Type.Optional(BytesSchema),
  /** The last OBJECT: its number and byte position. */
  object: Type.Optional(Type.Tuple([U64Schema, BytesSchema])),
});
export type ReaderState = Static<typeof ReaderStateSchema>;

/**
 * A record from which `zfs send -t` goes on with a stream that was cut off later: the
 * sender then begins with this record again (facts: OpenZFS `dmu_send.c`, tried on 2.1,
 * 2.3 and 2.4). Only records that a sender never merges with others are such points.
 */
export const ResumePointSchema = Type.Object({
  /** The record's type. */
  type: Type.Union([Type.Literal('OBJECT'), Type.Literal('WRITE'), Type.Literal('WRITE_EMBEDDED')]),
  object: U64Schema,
  /** The offset in the object; 0 for an OBJECT. */
  offset: U64Schema,
  /** The reader's state at the record's first byte. */
  state: ReaderStateSchema,
});
export type ResumePoint = Static<typeof ResumePointSchema>;

/** What a whole, verified stream was. */
export const StreamSummarySchema = Type.Object({
  begin: BeginSchema,
  /** Bytes from the first of BEGIN to the last of END. */
  bytes: BytesSchema,
  /** Number of records by type name, those that occurred. */
  records: Type.Record(Type.String({ maxLength: 20 }), Type.Integer({ minimum: 1 })),
  /** The fletcher4 that END carries: 4 x 16 hex digits. */
  checksum: Type.String({ pattern: '^[0-9a-f]{64}$' }),
});
export type StreamSummary = Static<typeof StreamSummarySchema>;
