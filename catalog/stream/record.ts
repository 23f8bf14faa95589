/**
 * The layout of `dmu_replay_record` (OpenZFS `include/sys/zfs_ioctl.h`) as one
 * table, from which reading, writing and the lengths of payloads are made.
 */
import type { ByteOrder } from './fletcher4.ts';

/** Bytes of every record's header; its payload follows. */
export const RECORD_SIZE = 312;
/** Where every record but BEGIN carries the running checksum: the last 32 bytes of its header. */
export const SUM_AT = 280;
/** `drr_magic` of BEGIN, in the sender's byte order. */
export const MAGIC = 0x2f5bacbacn;

/** One field: where it lies in the header, how wide it is, how it is read and written. */
interface Field<Value> {
  readonly at: number;
  readonly width: number;
  read(view: DataView, little: boolean): Value;
  write(view: DataView, value: Value, little: boolean): void;
}

const u8 = (at: number): Field<number> => ({
  at,
  width: 1,
  read: (view) => view.getUint8(at),
  write: (view, value) => view.setUint8(at, value),
});
const u32 = (at: number): Field<number> => ({
  at,
  width: 4,
  read: (view, little) => view.getUint32(at, little),
  write: (view, value, little) => view.setUint32(at, value, little),
});
const u64 = (at: number): Field<bigint> => ({
  at,
  width: 8,
  read: (view, little) => view.getBigUint64(at, little),
  write: (view, value, little) => view.setBigUint64(at, value, little),
});
const bytes = (at: number, width: number): Field<Uint8Array> => ({
  at,
  width,
  read: (view) => new Uint8Array(view.buffer, view.byteOffset + at, width).slice(),
  write: (view, value) => new Uint8Array(view.buffer, view.byteOffset + at, width).set(value),
});
/** Four u64: a checksum, or the key of a block. */
const u64x4 = (at: number): Field<bigint[]> => ({
  at,
  width: 32,
  read: (view, little) => [0, 8, 16, 24].map((n) => view.getBigUint64(at + n, little)),
  write: (view, value, little) => value.forEach((sum, n) => void view.setBigUint64(at + n * 8, sum, little)),
});

/** Every type of record: its number and the fields of its header besides `drr_type`. */
export const RECORDS = {
  BEGIN: {
    type: 0,
    fields: {
      payloadlen: u32(4),
      magic: u64(8),
      versioninfo: u64(16),
      creation_time: u64(24),
      objset_type: u32(32),
      flags: u32(36),
      toguid: u64(40),
      fromguid: u64(48),
      toname: bytes(56, 256),
    },
  },
  OBJECT: {
    type: 1,
    fields: {
      object: u64(8),
      object_type: u32(16),
      bonustype: u32(20),
      blksz: u32(24),
      bonuslen: u32(28),
      checksumtype: u8(32),
      compress: u8(33),
      dn_slots: u8(34),
      flags: u8(35),
      raw_bonuslen: u32(36),
      toguid: u64(40),
      indblkshift: u8(48),
      nlevels: u8(49),
      nblkptr: u8(50),
      maxblkid: u64(56),
      sum: u64x4(SUM_AT),
    },
  },
  FREEOBJECTS: {
    type: 2,
    fields: { firstobj: u64(8), numobjs: u64(16), toguid: u64(24), sum: u64x4(SUM_AT) },
  },
  WRITE: {
    type: 3,
    fields: {
      object: u64(8),
      object_type: u32(16),
      offset: u64(24),
      logical_size: u64(32),
      toguid: u64(40),
      checksumtype: u8(48),
      flags: u8(49),
      compressiontype: u8(50),
      key: u64x4(56),
      key_properties: u64(88),
      compressed_size: u64(96),
      salt: bytes(104, 8),
      iv: bytes(112, 12),
      mac: bytes(124, 16),
      sum: u64x4(SUM_AT),
    },
  },
  FREE: {
    type: 4,
    fields: { object: u64(8), offset: u64(16), length: u64(24), toguid: u64(32), sum: u64x4(SUM_AT) },
  },
  END: {
    type: 5,
    fields: { checksum: u64x4(8), toguid: u64(40), sum: u64x4(SUM_AT) },
  },
  /** Only in streams of `zfs send -D`, gone since OpenZFS 2.0. */
  WRITE_BYREF: {
    type: 6,
    fields: {
      object: u64(8),
      offset: u64(16),
      length: u64(24),
      toguid: u64(32),
      refguid: u64(40),
      refobject: u64(48),
      refoffset: u64(56),
      checksumtype: u8(64),
      flags: u8(65),
      key: u64x4(72),
      key_properties: u64(104),
      sum: u64x4(SUM_AT),
    },
  },
  SPILL: {
    type: 7,
    fields: {
      object: u64(8),
      length: u64(16),
      toguid: u64(24),
      flags: u8(32),
      compressiontype: u8(33),
      compressed_size: u64(40),
      salt: bytes(48, 8),
      iv: bytes(56, 12),
      mac: bytes(68, 16),
      object_type: u32(84),
      sum: u64x4(SUM_AT),
    },
  },
  WRITE_EMBEDDED: {
    type: 8,
    fields: {
      object: u64(8),
      offset: u64(16),
      length: u64(24),
      toguid: u64(32),
      compression: u8(40),
      etype: u8(41),
      lsize: u32(48),
      psize: u32(52),
      sum: u64x4(SUM_AT),
    },
  },
  OBJECT_RANGE: {
    type: 9,
    fields: {
      firstobj: u64(8),
      numslots: u64(16),
      toguid: u64(24),
      salt: bytes(32, 8),
      iv: bytes(40, 12),
      mac: bytes(52, 16),
      flags: u8(68),
      sum: u64x4(SUM_AT),
    },
  },
  REDACT: {
    type: 10,
    fields: { object: u64(8), offset: u64(16), length: u64(24), toguid: u64(32), sum: u64x4(SUM_AT) },
  },
} as const;

type Records = typeof RECORDS;
export type RecordName = keyof Records;
type Values<Fields> = {
  -readonly [Name in keyof Fields]: Fields[Name] extends Field<infer Value> ? Value : never;
};

/** A header as plain values. */
export type StreamRecord<Name extends RecordName = RecordName> = {
  [Each in Name]: { name: Each; fields: Values<Records[Each]['fields']> };
}[Name];

/** What a header is made of: fields that are left out are zero. */
export type NewRecord<Name extends RecordName = RecordName> = {
  [Each in Name]: { name: Each; fields: Partial<Values<Records[Each]['fields']>> };
}[Name];

/** The names of the record types, by number. */
export const RECORD_NAMES: readonly RecordName[] = (Object.keys(RECORDS) as RecordName[]).sort(
  (one, other) => RECORDS[one].type - RECORDS[other].type,
);

/** Where each type keeps `toguid`, by number. */
export const TOGUID_AT: readonly number[] = RECORD_NAMES.map((name) => RECORDS[name].fields.toguid.at);

/**
 * Reads a header.
 *
 * @param header at least 312 bytes.
 * @returns `undefined` when its type is none of ours.
 * @example decodeRecord(header, 'little') // { name: 'FREE', fields: { object: 1n, offset: 512n, ... } }
 */
export function decodeRecord(header: Uint8Array, order: ByteOrder): StreamRecord | undefined {
  const little = order === 'little';
  const view = new DataView(header.buffer, header.byteOffset, RECORD_SIZE);
  const name = RECORD_NAMES[view.getUint32(0, little)];
  if (!name) return undefined;
  const fields = Object.entries<Field<unknown>>(RECORDS[name].fields);
  const values = fields.map(([field, { read }]) => [field, read(view, little)]);
  return { name, fields: Object.fromEntries(values) } as StreamRecord;
}

/**
 * Writes a header of 312 bytes; what is not given, or not named by the table, is zero.
 *
 * @example encodeRecord({ name: 'FREE', fields: { object: 1n, length: 512n, toguid } }, 'little')
 */
export function encodeRecord(record: NewRecord, order: ByteOrder): Uint8Array {
  const little = order === 'little';
  const header = new Uint8Array(RECORD_SIZE);
  const view = new DataView(header.buffer);
  view.setUint32(0, RECORDS[record.name].type, little);
  const values: Record<string, unknown> = record.fields;
  for (const [name, field] of Object.entries<Field<unknown>>(RECORDS[record.name].fields)) {
    if (values[name] !== undefined) field.write(view, values[name], little);
  }
  return header;
}
