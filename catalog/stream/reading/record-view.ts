/** A record as it is shown while a stream is read. */
import { RECORD_NAMES, RECORD_SIZE, RECORDS, type RecordName } from '../record.ts';

/** One record; the same instance shows the next one too, so nothing of it may be kept but copies. */
export class RecordView {
  /** Number of the record, BEGIN being 0. */
  number = 0;
  type: RecordName = 'BEGIN';
  /** Byte position of its header. */
  position = 0;
  /** Bytes of its payload. */
  length = 0;
  #view: DataView = new DataView(new ArrayBuffer(RECORD_SIZE));
  #at = 0;
  #little = true;

  /** Shows the header at `at` of `view`. */
  show(
    view: DataView,
    at: number,
    little: boolean,
    facts: { number: number; type: number; position: number; length: number },
  ): this {
    this.#view = view;
    this.#at = at;
    this.#little = little;
    this.number = facts.number;
    this.type = RECORD_NAMES[facts.type] ?? 'BEGIN';
    this.position = facts.position;
    this.length = facts.length;
    return this;
  }

  /** The 312 bytes of the header, where they lie; `decodeRecord` reads them. */
  get header(): Uint8Array {
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + this.#at, RECORD_SIZE);
  }

  /** The object that it belongs to; `undefined` for types that name none, or a range. */
  get object(): bigint | undefined {
    return this.#number(OBJECT_AT[this.type]);
  }

  /** The offset in the object; `undefined` for types without one. */
  get offset(): bigint | undefined {
    return this.#number(OFFSET_AT[this.type]);
  }

  #number(at: number | undefined): bigint | undefined {
    return at === undefined ? undefined : this.#view.getBigUint64(this.#at + at, this.#little);
  }
}

const OBJECT_AT = placesOf('object');
const OFFSET_AT = placesOf('offset');

/** Where each type keeps a field of this name. */
function placesOf(field: string): Partial<Record<RecordName, number>> {
  const places = RECORD_NAMES.flatMap((name) => {
    const fields: Record<string, { at: number }> = RECORDS[name].fields;
    const at = fields[field]?.at;
    return at === undefined ? [] : [[name, at] as const];
  });
  return Object.fromEntries(places);
}
