/**
 * The places where segments are put together and taken apart: shared memory that
 * the workers write to, that is hashed, sent or read where it lies, and used
 * again. Nothing of a segment becomes garbage.
 */
import { compressBound, encodeSeekTable, FRAME_SIZE } from './frames.ts';

/** From one frame's place to the next: the most that a frame can become. */
export const FRAME_STRIDE = compressBound(FRAME_SIZE);
/** For age: the header with a hundred recipients, and 16 bytes for each 64 KiB. */
const AGE_HEADER = 256 * 1024;
const AGE_SHARE = 4096;

/** Arenas that are free are kept for the next segment; how many there are is up to the caller's gate. */
export class Arenas {
  readonly #free: SharedArrayBuffer[] = [];

  /** @param size bytes that are needed at least. */
  take(size: number): SharedArrayBuffer {
    const free = this.#free.pop();
    if (free && free.byteLength >= size) return free;
    // Segments only grow: smaller ones are of no use any more.
    this.#free.length = 0;
    return new SharedArrayBuffer(size);
  }

  give(arena: SharedArrayBuffer): void {
    this.#free.push(arena);
  }
}

/** Bytes in which any segment of `room` raw bytes can be put together. */
export function packingRoom(room: number): number {
  const frames = Math.ceil(room / FRAME_SIZE);
  const table = encodeSeekTable(Array.from({ length: frames }, () => ({ stored: 0, raw: 0 }))).length;
  const object = frames * FRAME_STRIDE + table;
  return object + AGE_HEADER + Math.ceil(object / AGE_SHARE);
}
