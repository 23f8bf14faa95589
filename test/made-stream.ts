/** Streams of any size and content for tests and benchmarks: the records that a file of 128 KiB blocks gives. */
import { Fletcher4 } from '../catalog/stream/fletcher4.ts';
import {
  decodeRecord,
  encodeRecord,
  MAGIC,
  RECORD_SIZE,
  RECORDS,
  type RecordName,
  SUM_AT,
} from '../catalog/stream/record.ts';

export interface MadeStream {
  readonly toGuid: bigint;
  /** 0: a full stream. */
  readonly fromGuid?: bigint;
  /** `pool/dataset@snapshot` */
  readonly toName?: string;
  /** Seconds since 1970. */
  readonly created?: number;
  /** Feature bits above the header type; SA_SPILL by default. */
  readonly features?: bigint;
  /** The blocks, each a multiple of 4 bytes; each becomes the next WRITE of object 2. */
  readonly blocks: Iterable<Uint8Array>;
}

const FILE_CONTENTS = 19;

/**
 * A whole, correct stream, header and payload a piece each.
 *
 * @example const stream = Buffer.concat([...makeStream({ toGuid: 1n, blocks: [Buffer.alloc(512)] })])
 */
export function* makeStream(made: MadeStream): Generator<Uint8Array> {
  const sum = new Fletcher4('little');
  const toguid = made.toGuid;
  const name = new Uint8Array(256);
  name.set(Buffer.from(made.toName ?? 'made/stream@one'));
  yield header(sum, 'BEGIN', {
    magic: MAGIC,
    versioninfo: 1n | ((made.features ?? 4n) << 2n),
    creation_time: BigInt(made.created ?? 1_795_159_398),
    objset_type: 2,
    toguid,
    fromguid: made.fromGuid ?? 0n,
    toname: name,
  });
  yield header(sum, 'OBJECT', {
    object: 2n,
    object_type: FILE_CONTENTS,
    blksz: 131_072,
    dn_slots: 1,
    toguid,
  });
  let offset = 0n;
  for (const block of made.blocks) {
    yield header(sum, 'WRITE', {
      object: 2n,
      object_type: FILE_CONTENTS,
      offset,
      logical_size: BigInt(block.length),
      toguid,
    });
    sum.update(block);
    yield block;
    offset += BigInt(block.length);
  }
  yield header(sum, 'END', { checksum: sum.value, toguid });
}

/** A header with these fields, the others zero, and with the running checksum where its type has one. */
function header(sum: Fletcher4, name: RecordName, fields: Record<string, unknown>): Uint8Array {
  const empty = new Uint8Array(RECORD_SIZE);
  new DataView(empty.buffer).setUint32(0, RECORDS[name].type, true);
  const record = decodeRecord(empty, 'little');
  if (!record) throw new Error(`${name} is in no table`);
  Object.assign(record.fields, fields);
  const bytes = encodeRecord(record, 'little');
  sum.update(bytes.subarray(0, SUM_AT));
  if (name !== 'BEGIN')
    sum.value.forEach((part, n) => void new DataView(bytes.buffer).setBigUint64(SUM_AT + n * 8, part, true));
  sum.update(bytes.subarray(SUM_AT));
  return bytes;
}
