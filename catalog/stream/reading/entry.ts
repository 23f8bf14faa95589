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

/** The last OBJECT_RANGE and OBJECT, in numbers: no BigInt for each of millions of records. */
export class EntryMark {
  /** Byte position of the last OBJECT_RANGE, or of none. */
  range: number | undefined;
  /** Byte position of the last OBJECT, or of none, and its number in two halves. */
  object: number | undefined;
  low = 0;
  high = 0;

  set({ range, object, low, high }: EntryMark): void {
    this.range = range;
    this.object = object;
    this.low = low;
    this.high = high;
  }
}

/** What a state says of it. */
export function entryStateOf(mark: EntryMark): EntryState {
  return {
    ...(mark.range !== undefined && { range: mark.range }),
    ...(mark.object !== undefined && { object: [numberOf(mark).toString(), mark.object] }),
  };
}

/** Remembers the OBJECT, and in raw streams the OBJECT_RANGE, that an entry point needs. */
export class EntryFinder {
  #raw = false;
  /** What was taken so far. */
  readonly mark = new EntryMark();

  begin(begin: Begin): void {
    this.#raw = hasFeature(begin, 'RAW');
  }

  /** Takes the header at `at`, of a record that begins at `position`. */
  take(type: number, view: DataView, at: number, little: boolean, position: number): void {
    if (type === RECORDS.OBJECT.type) {
      this.mark.object = position;
      this.mark.low = view.getUint32(at + OBJECT_AT + (little ? 0 : 4), little);
      this.mark.high = view.getUint32(at + OBJECT_AT + (little ? 4 : 0), little);
    } else if (type === RECORDS.OBJECT_RANGE.type) {
      this.mark.range = position;
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
    const before = this.#raw ? this.mark.range : this.mark.object;
    if (this.mark.object === undefined || before === undefined) return undefined;
    const object = view.getBigUint64(at + OBJECT_AT, little);
    const point = { position, object_position: before, object: object.toString() };
    if (type === RECORDS.OBJECT.type) return { ...point, offset: '0' };
    if (type !== RECORDS.WRITE.type || object !== numberOf(this.mark)) return undefined;
    const offset = view.getBigUint64(at + RECORDS.WRITE.fields.offset.at, little).toString();
    return { ...point, offset, ...(this.#raw && { object_record: this.mark.object }) };
  }

  save(): EntryState {
    return entryStateOf(this.mark);
  }

  /** Goes on from what {@link save} gave. */
  restore({ range, object }: EntryState): void {
    this.mark.range = range;
    if (!object) return;
    const [number, position] = object;
    this.mark.object = position;
    this.mark.low = Number(BigInt(number) & 0xffffffffn);
    this.mark.high = Number(BigInt(number) >> 32n);
  }
}

const numberOf = ({ low, high }: EntryMark) => (BigInt(high) << 32n) | BigInt(low);

const OBJECT_AT = RECORDS.OBJECT.fields.object.at; // WRITE has it in the same place
