/** How long the payload behind each header is. `drr_payloadlen` says so for BEGIN only (OpenZFS `zstream_io.c`). */
import { RECORD_NAMES, RECORDS, type RecordName } from '../record.ts';

/** Most payload bytes of one record, by type. */
export const MOST_PAYLOAD: Readonly<Record<RecordName, number>> = {
  BEGIN: 1 << 28, // the cap of `zstream`
  OBJECT: 16 * 1024, // a dnode, of which the bonus is a part (DNODE_MAX_SIZE)
  FREEOBJECTS: 0,
  WRITE: 16 * 1024 * 1024, // SPA_MAXBLOCKSIZE
  FREE: 0,
  END: 0,
  WRITE_BYREF: 0,
  SPILL: 16 * 1024 * 1024,
  WRITE_EMBEDDED: 112, // BPE_PAYLOAD_SIZE: what fits in a block pointer
  OBJECT_RANGE: 0,
  REDACT: 0,
};

/** {@link MOST_PAYLOAD} by the number of the type. */
export const MOST_PAYLOAD_OF_TYPE: readonly number[] = RECORD_NAMES.map((name) => MOST_PAYLOAD[name]);

/**
 * Payload bytes that the header at `at` announces: not bounded yet, and not
 * exact above 2^53.
 *
 * @param type its number, known to be one of ours.
 */
export function payloadLength(view: DataView, at: number, type: number, little: boolean): number {
  switch (type) {
    case BEGIN.type:
      return view.getUint32(at + BEGIN.fields.payloadlen.at, little);
    case OBJECT.type: {
      const raw = view.getUint32(at + OBJECT.fields.raw_bonuslen.at, little);
      return raw || roundedTo8(view.getUint32(at + OBJECT.fields.bonuslen.at, little));
    }
    case WRITE.type: {
      const compressed = view.getUint8(at + WRITE.fields.compressiontype.at) !== 0;
      return double(
        view,
        at + (compressed ? WRITE.fields.compressed_size : WRITE.fields.logical_size).at,
        little,
      );
    }
    case SPILL.type: {
      const compressed = double(view, at + SPILL.fields.compressed_size.at, little);
      return compressed || double(view, at + SPILL.fields.length.at, little);
    }
    case WRITE_EMBEDDED.type:
      return roundedTo8(view.getUint32(at + WRITE_EMBEDDED.fields.psize.at, little));
    default:
      return 0;
  }
}

/** An unsigned 64-bit number as a double: exact below 2^53, and quicker than a BigInt. */
export function double(view: DataView, at: number, little: boolean): number {
  const high = view.getUint32(at + (little ? 4 : 0), little);
  return high * 0x1_0000_0000 + view.getUint32(at + (little ? 0 : 4), little);
}

const { BEGIN, OBJECT, WRITE, SPILL, WRITE_EMBEDDED } = RECORDS;

const roundedTo8 = (length: number) => Math.ceil(length / 8) * 8;
