/**
 * The test for a stream that `zfs send -e` has spoilt. OpenZFS from 2.3.0 on sends
 * a spill block (large extended attributes) that compresses very well as an
 * embedded write, and the receiver loses it without an error (openzfs#19091).
 * Sound streams keep this rule: an OBJECT that announces a spill block
 * (DRR_OBJECT_SPILL) is followed by a SPILL of that object.
 */
import { RECORDS } from '../record.ts';
import type { Begin } from '../state.ts';
import { double } from './payload.ts';

/** The objects whose spill block was announced and has not come yet: at most 32. */
export class AwaitedSpills {
  #announced = false;
  #objects: readonly number[] = [];

  /** They, in a list that is never changed. */
  get objects(): readonly number[] {
    return this.#objects;
  }

  /** BEGIN says whether OBJECTs announce spill blocks. */
  begin({ flags }: Begin): void {
    this.#announced = (flags & DRR_FLAG_SPILL_BLOCK) !== 0;
  }

  /**
   * Takes the header at `at`.
   *
   * @returns the object whose block can no longer come, if there is one.
   */
  take(type: number, view: DataView, at: number, little: boolean): number | undefined {
    const announces =
      type === RECORDS.OBJECT.type &&
      this.#announced &&
      (view.getUint8(at + RECORDS.OBJECT.fields.flags.at) & DRR_OBJECT_SPILL) !== 0;
    if (!announces && this.#objects.length === 0) return undefined;
    const object = double(view, at + RECORDS.OBJECT.fields.object.at, little); // all types have it, or a first one, there
    const missing = this.#missingAt(type, object);
    if (announces && !this.#objects.includes(object)) this.#objects = [...this.#objects, object];
    if (type === RECORDS.SPILL.type) this.#objects = this.#objects.filter((each) => each !== object);
    return missing;
  }

  save(): string[] {
    return this.#objects.map(String);
  }

  /** Goes on from what {@link save} gave. */
  restore(objects: readonly string[]): void {
    this.#objects = objects.map(Number);
  }

  /** Data comes in the order of objects, OBJECTs a block of dnodes at a time. */
  #missingAt(type: number, object: number): number | undefined {
    switch (type) {
      case RECORDS.END.type:
        return this.#objects[0];
      case RECORDS.OBJECT.type:
      case RECORDS.OBJECT_RANGE.type:
        return this.#objects.find((each) => blockOf(each) !== blockOf(object));
      case RECORDS.WRITE.type:
      case RECORDS.WRITE_EMBEDDED.type:
      case RECORDS.SPILL.type:
        return this.#objects.find((each) => each < object);
      default:
        return undefined;
    }
  }
}

/** In `flags` of BEGIN: OBJECTs say whether a spill block belongs to them. */
const DRR_FLAG_SPILL_BLOCK = 8;
/** In `flags` of OBJECT: one does. */
const DRR_OBJECT_SPILL = 4;
/** Objects in a block of dnodes. Senders before 2.0 write the OBJECTs of a block before the data of its first. */
const OBJECTS_TOGETHER = 32;

const blockOf = (object: number) => Math.floor(object / OBJECTS_TOGETHER);
