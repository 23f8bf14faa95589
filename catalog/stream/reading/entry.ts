/**
 * Entry points: the records from which a broken restore can be continued, and
 * what must be sent before them (`dmu_recv.c`: a resumed receive must begin with
 * the OBJECT of its point, in a raw stream with the OBJECT_RANGE before it).
 */
import { RECORDS } from '../record.ts';
import type { EntryPoint, ReaderState } from '../state.ts';

/** The part of a reader's state that is kept here. */
export type EntryState = Pick<ReaderState, 'range' | 'object'>;

/** Remembers the OBJECT, and in raw streams the OBJECT_RANGE, that an entry point needs. */
export class EntryFinder {
  /** Whether the stream is raw. */
  raw = false;
  #range: number | undefined;
  #objectAt: number | undefined;
  // The number of the last OBJECT in two halves: no BigInt for each of millions of records.
  #low = 0;
  #high = 0;

  /** An OBJECT_RANGE begins at `position`. */
  onObjectRange(position: number): void {
    this.#range = position;
  }

  /** An OBJECT begins at `position`; its header is at address `at`. */
  onObject(view: DataView, at: number, little: boolean, position: number): void {
    this.#objectAt = position;
    this.#low = view.getUint32(at + OBJECT_AT + (little ? 0 : 4), little);
    this.#high = view.getUint32(at + OBJECT_AT + (little ? 4 : 0), little);
  }

  /** The OBJECT just seen as an entry point. */
  atObject(): EntryPoint | undefined {
    const before = this.raw ? this.#range : this.#objectAt;
    if (this.#objectAt === undefined || before === undefined) return undefined;
    return { position: this.#objectAt, object_position: before, object: this.#object(), offset: '0' };
  }

  /** A WRITE as an entry point; `undefined` when it does not belong to the last OBJECT. */
  atWrite(view: DataView, at: number, little: boolean, position: number): EntryPoint | undefined {
    const known = this.atObject();
    if (!known || view.getBigUint64(at + OBJECT_AT, little).toString() !== known.object) return undefined;
    return {
      ...known,
      position,
      offset: view.getBigUint64(at + RECORDS.WRITE.fields.offset.at, little).toString(),
      ...(this.raw && { object_record: known.position }),
    };
  }

  save(): EntryState {
    return {
      ...(this.#range !== undefined && { range: this.#range }),
      ...(this.#objectAt !== undefined && { object: [this.#object(), this.#objectAt] }),
    };
  }

  restore({ range, object }: EntryState): void {
    this.#range = range;
    if (!object) return;
    const [number, position] = object;
    this.#objectAt = position;
    this.#low = Number(BigInt(number) & 0xffffffffn);
    this.#high = Number((BigInt(number) >> 32n) & 0xffffffffn);
  }

  #object(): string {
    return ((BigInt(this.#high) << 32n) | BigInt(this.#low)).toString();
  }
}

const OBJECT_AT = RECORDS.OBJECT.fields.object.at; // all types that name an object do it there
