/**
 * Makes a package of one stream, as `zfs send -p` writes it, so that
 * `zfs receive` gives the target properties whose source is `received`: no
 * other way leads to such (OpenZFS `libzfs_sendrecv.c`, `send_prelim_records`).
 */
import { Fletcher4 } from './fletcher4.ts';
import { type NvList, type NvValue, packNvlist } from './nvlist.ts';
import { decodeRecord, encodeRecord, MAGIC, RECORD_SIZE, RECORDS } from './record.ts';

/** What a package says besides its stream. */
export interface Wrapping {
  /** `pool/dataset@snapshot`, as the stream's BEGIN names it. */
  readonly name: string;
  /** GUID of the snapshot, which the receiver looks the properties up by. */
  readonly guid: bigint;
  /** Of the dataset: numbers for native properties, text for the others. */
  readonly properties: NvList;
  /** Of the snapshot. */
  readonly snapshotProperties: NvList;
}

/**
 * The stream within a package.
 *
 * @param stream the bytes of one whole stream.
 * @example for await (const chunk of wrapStream(stream, { name, guid, properties, snapshotProperties })) ...
 */
export async function* wrapStream(
  stream: AsyncIterable<Uint8Array>,
  wrapping: Wrapping,
): AsyncGenerator<Uint8Array> {
  yield packageHead(wrapping);
  yield* stream;
  // `send_conclusion_record`: an END of nothing but zeros.
  yield header('END');
}

/** The package's BEGIN with its list, and the END that sums them up. */
export function packageHead(wrapping: Wrapping): Uint8Array {
  const payload = packNvlist(listOf(wrapping));
  const padded = new Uint8Array(Math.ceil(payload.length / 8) * 8);
  padded.set(payload);
  const toname = new Uint8Array(256);
  toname.set(Buffer.from(wrapping.name, 'utf8').subarray(0, 255));
  const begin = header('BEGIN', { payloadlen: padded.length, magic: MAGIC, versioninfo: PACKAGE, toname });
  const sum = new Fletcher4('little');
  sum.update(begin);
  sum.update(padded);
  return Buffer.concat([begin, padded, header('END', { checksum: sum.value })]);
}

/** `DMU_COMPOUNDSTREAM`, no features. */
const PACKAGE = 2n;

function listOf({ name, guid, properties, snapshotProperties }: Wrapping): NvList {
  const snapshot = name.slice(name.indexOf('@') + 1);
  const one = (key: string, value: NvValue): NvList => new Map([[key, value]]);
  const fileSystem = new Map<string, NvValue>([
    ['name', name.slice(0, name.indexOf('@'))],
    ['parentfromsnap', 0n],
    ['props', properties],
    ['snaps', one(snapshot, guid)],
    ['snapprops', one(snapshot, snapshotProperties)],
  ]);
  return new Map<string, NvValue>([
    ['tosnap', snapshot],
    ['not_recursive', true],
    // A sender writes the dataset's GUID here; a receiver looks into `snaps` alone.
    ['fss', one(`0x${guid.toString(16)}`, fileSystem)],
  ]);
}

function header(name: 'BEGIN' | 'END', fields: Readonly<Record<string, unknown>> = {}): Uint8Array {
  const empty = new Uint8Array(RECORD_SIZE);
  new DataView(empty.buffer).setUint32(0, RECORDS[name].type, true);
  const record = decodeRecord(empty, 'little');
  if (!record) throw new Error(`${name} is in no table`);
  Object.assign(record.fields, fields);
  return encodeRecord(record, 'little');
}
