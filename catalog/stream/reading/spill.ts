/**
 * The test for a stream that `zfs send -e` has spoilt. OpenZFS from 2.3.0 on sends
 * a spill block (large extended attributes) that compresses very well as an
 * embedded write, and the receiver loses it without an error (openzfs#19091).
 * Sound streams keep this rule: an OBJECT that announces a spill block
 * (DRR_OBJECT_SPILL) is followed by a SPILL of that object.
 */
import type { RecordName } from '../record.ts';

/** Objects in one block of dnodes: senders before 2.0 write up to so many OBJECTs before the data of the first. */
const OBJECTS_TOGETHER = 32;

/**
 * The objects whose spill block was announced and has not come yet: at most 32.
 *
 * @example
 * awaited.announce(7);
 * awaited.missingAt('OBJECT', 40); // 7: its block can no longer come
 */
export class AwaitedSpills {
  #objects: number[] = [];

  /** Whether there are any. */
  get awaiting(): boolean {
    return this.#objects.length > 0;
  }

  get objects(): readonly number[] {
    return this.#objects;
  }

  /** An OBJECT with the flag. */
  announce(object: number): void {
    if (!this.#objects.includes(object)) this.#objects.push(object);
  }

  /** Its SPILL. */
  arrive(object: number): void {
    this.#objects = this.#objects.filter((each) => each !== object);
  }

  /** The object whose block can no longer come once this record is there. Data comes in the order of objects. */
  missingAt(record: RecordName, object: number): number | undefined {
    switch (record) {
      case 'END':
        return this.#objects[0];
      case 'OBJECT':
      case 'OBJECT_RANGE':
        return this.#objects.find((each) => blockOf(each) !== blockOf(object));
      case 'WRITE':
      case 'WRITE_EMBEDDED':
      case 'SPILL':
        return this.#objects.find((each) => each < object);
      default:
        return undefined;
    }
  }
}

const blockOf = (object: number) => Math.floor(object / OBJECTS_TOGETHER);
