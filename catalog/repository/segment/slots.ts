/**
 * The frame buffers: slots of one frame each in shared memory, where the main
 * thread fills them and sums their checksums, and the workers compress them,
 * without a copy in between.
 */
import { FRAME_SIZE } from './frames.ts';

const PAGE = 64 * 1024;

/** One frame buffer. */
export interface Slot {
  /** Byte offset in {@link SlotRing.memory}. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A fixed number of slots; who wants one while none is free waits. */
export class SlotRing {
  readonly memory: WebAssembly.Memory;
  readonly buffer: SharedArrayBuffer;
  readonly #free: Slot[] = [];
  readonly #waiting: ((slot: Slot) => void)[] = [];

  /**
   * @param count number of slots.
   * @param reserved bytes at the start of the memory that are left to whoever else shares it (fletcher4's scratch).
   */
  constructor(count: number, reserved: number) {
    const start = Math.ceil(reserved / PAGE) * PAGE;
    const pages = (start + count * FRAME_SIZE) / PAGE;
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    if (!(this.memory.buffer instanceof SharedArrayBuffer)) throw new TypeError('the memory is not shared');
    this.buffer = this.memory.buffer;
    for (let index = count - 1; index >= 0; index--) {
      const offset = start + index * FRAME_SIZE;
      this.#free.push({ offset, bytes: new Uint8Array(this.buffer, offset, FRAME_SIZE) });
    }
  }

  /** The next free slot. */
  async take(): Promise<Slot> {
    return this.#free.pop() ?? (await new Promise<Slot>((resolve) => this.#waiting.push(resolve)));
  }

  /** Makes a slot free again. */
  give(slot: Slot): void {
    const next = this.#waiting.shift();
    if (next) next(slot);
    else this.#free.push(slot);
  }
}
