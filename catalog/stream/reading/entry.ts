/**
 * Entry points: the records from which a broken restore can be continued, and
 * what must be sent before them (`dmu_recv.c`: a resumed receive must begin with
 * the OBJECT of its point, in a raw stream with the OBJECT_RANGE before it).
 */
import { hasFeature } from '../features.ts';
import { RECORDS } from '../record.ts';
import type { Begin, EntryPoint, ReaderState } from '../state.ts';

/** The part of a reader's state that is kept here. */
export type EntryState = Pick<ReaderState, 'range' | 'object'>;

/** Remembers the OBJECT, and in raw streams the OBJECT_RANGE, that an entry point needs. */
export class EntryFinder {
  #raw = false;
  #range: number | undefined;
  #object: number | undefined;
  // The number of the last OBJECT in two halves: no BigInt for each of millions of records.
  #low = 0;
  #high = 0;

  begin(begin: Begin): void {
    this.#raw = hasFeature(begin, 'RAW');
  }

  /** Takes the header at `at`, of a record that begins at `position`. */
  take(type: number, view: DataView, at: number, little: boolean, position: number): void {
    if (type === RECORDS.OBJECT.type) {
      this.#object = position;
      this.#low = view.getUint32(at + OBJECT_AT + (little ? 0 : 4), little);
      this.#high = view.getUint32(at + OBJECT_AT + (little ? 4 : 0), little);
    } else if (type === RECORDS.OBJECT_RANGE.type) {
      this.#range = position;
    }
  }

  /** The record just taken as an entry point: an OBJECT, or a WRITE of the last OBJECT. */
  entryAt(
    type: number,
    view: DataView,
    at: number,
    little: boolean,
    position: number,
  ): EntryPoint | undefined {
    const before = this.#raw ? this.#range : this.#object;
    if (this.#object === undefined || before === undefined) return undefined;
    const object = view.getBigUint64(at + OBJECT_AT, little);
    const point = { position, object_position: before, object: object.toString() };
    if (type === RECORDS.OBJECT.type) return { ...point, offset: '0' };
    if (type !== RECORDS.WRITE.type || object !== this.#number()) return undefined;
    const offset = view.getBigUint64(at + RECORDS.WRITE.fields.offset.at, little).toString();
    return { ...point, offset, ...(this.#raw && { object_record: this.#object }) };
  }

  save(): EntryState {
    return {
      ...(this.#range !== undefined && { range: this.#range }),
      ...(this.#object !== undefined && { object: [this.#number().toString(), this.#object] }),
    };
  }

  /** Goes on from what {@link save} gave. */
  restore({ range, object }: EntryState): void {
    this.#range = range;
    if (!object) return;
    const [number, position] = object;
    this.#object = position;
    this.#low = Number(BigInt(number) & 0xffffffffn);
    this.#high = Number(BigInt(number) >> 32n);
  }

  #number(): bigint {
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
  }
}

const OBJECT_AT = RECORDS.OBJECT.fields.object.at; // WRITE has it in the same place
