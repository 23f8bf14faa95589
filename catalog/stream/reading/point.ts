/**
 * Points: the records with which `zfs send -t` begins again (`dmu_send.c`). A
 * sender merges FREE, FREEOBJECTS and REDACT with their neighbours, and sends
 * OBJECT_RANGE and SPILL along with an OBJECT, so only the other three are such.
 */
import { hexOfSums } from '../fletcher4.ts';
import { RECORD_NAMES, RECORDS } from '../record.ts';
import type { ReaderState, ResumePoint } from '../state.ts';
import { EntryMark, entryStateOf } from './entry.ts';

/** A record that is a point, and the reader's state at its first byte: numbers that are written over, no objects. */
export class PointMark {
  /** Number of the record's type; -1: there was no such record yet. */
  type = -1;
  objectLow = 0;
  objectHigh = 0;
  offsetLow = 0;
  offsetHigh = 0;
  /** Where its payload ends. */
  end = Number.POSITIVE_INFINITY;
  position = 0;
  records = 0;
  readonly counts = RECORD_NAMES.map(() => 0);
  /** The running checksum: four times a low and a high half. */
  readonly sums = new Uint32Array(8);
  readonly entry = new EntryMark();
  spill: readonly number[] = [];
}

/** Remembers the last point, and while that one's payload comes, the one before it. */
export class PointFinder {
  #last = new PointMark();
  #whole = new PointMark();
  #next = new PointMark();

  /** A mark to fill for a header that is just taken, when that is a point; it counts once {@link add} is told. */
  markFor(type: number, view: DataView, at: number, little: boolean): PointMark | undefined {
    const offsetAt = OFFSET_AT[type];
    if (offsetAt === undefined) return undefined;
    const next = this.#next;
    const low = little ? 0 : 4;
    const high = 4 - low;
    next.type = type;
    next.objectLow = view.getUint32(at + OBJECT_AT + low, little);
    next.objectHigh = view.getUint32(at + OBJECT_AT + high, little);
    next.offsetLow = offsetAt === NONE ? 0 : view.getUint32(at + offsetAt + low, little);
    next.offsetHigh = offsetAt === NONE ? 0 : view.getUint32(at + offsetAt + high, little);
    if (next.offsetHigh >= SPILL_HIGH || (next.objectLow === 0 && next.objectHigh === 0)) return undefined;
    return next;
  }

  /** The mark that {@link markFor} gave is filled. */
  add(): void {
    const free = this.#whole;
    this.#whole = this.#last; // a header came after it, so its payload is there
    this.#last = this.#next;
    this.#next = free;
  }

  /** The last point of which all bytes were taken, at this position. */
  at(position: number): ResumePoint | undefined {
    const mark = position >= this.#last.end ? this.#last : this.#whole;
    const type = RECORD_NAMES[mark.type];
    if (type !== 'OBJECT' && type !== 'WRITE' && type !== 'WRITE_EMBEDDED') return undefined;
    const state: ReaderState = {
      at: mark.position,
      records: mark.records,
      counts: [...mark.counts],
      sum: hexOfSums(mark.sums),
      ...(mark.spill.length > 0 && { spill: mark.spill.map(String) }),
      ...entryStateOf(mark.entry),
    };
    const object = numberOf(mark.objectHigh, mark.objectLow);
    return { type, object, offset: numberOf(mark.offsetHigh, mark.offsetLow), state };
  }
}

const OBJECT_AT = RECORDS.OBJECT.fields.object.at; // WRITE and WRITE_EMBEDDED have it in the same place
const NONE = -1;
/** Where each type that can be a point keeps its offset, by number. */
const OFFSET_AT: readonly (number | undefined)[] = RECORD_NAMES.map((name) => {
  if (name === 'OBJECT') return NONE;
  return name === 'WRITE' || name === 'WRITE_EMBEDDED' ? RECORDS[name].fields.offset.at : undefined;
});
/** High half of the offsets from 2^63 on: a spill block that `zfs send -e` has misplaced, from which no sender goes on. */
const SPILL_HIGH = 0x8000_0000;

const numberOf = (high: number, low: number) => ((BigInt(high) << 32n) | BigInt(low)).toString();
