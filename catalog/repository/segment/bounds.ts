/** What bounds the memory of a backup or a restore, whatever the stream's size. */
import { LARGEST_SEGMENT } from './sizes.ts';

/** Bytes of segments that may be held at once, from their first frame until they are stored or read. */
export const SEGMENT_BUDGET = 2 * LARGEST_SEGMENT;
/** Segments that may be on their way to or from the store at once. */
export const MOST_IN_FLIGHT = 4;

interface Waiter {
  readonly bytes: number;
  readonly enter: () => void;
}

/**
 * Lets work begin while the bytes it holds fit a budget; the rest waits in order.
 * Something larger than the whole budget goes alone.
 *
 * @example const leave = await gate.enter(size); try { ... } finally { leave(); }
 */
export class ByteGate {
  readonly #budget: number;
  readonly #most: number;
  #bytes = 0;
  #inside = 0;
  readonly #waiting: Waiter[] = [];

  /**
   * @param budget bytes inside at once.
   * @param most how many may be inside at once.
   */
  constructor(budget: number, most: number) {
    this.#budget = budget;
    this.#most = most;
  }

  /** Resolves when there is room; what it gives is called once to make room again. */
  async enter(bytes: number): Promise<() => void> {
    const leave = this.tryEnter(bytes);
    if (leave) return leave;
    await new Promise<void>((enter) => this.#waiting.push({ bytes, enter }));
    return this.#leaver(bytes);
  }

  /** As `enter`, but `undefined` when there is no room now. */
  tryEnter(bytes: number): (() => void) | undefined {
    if (this.#waiting.length > 0 || !this.#fits(bytes)) return undefined;
    this.#take(bytes);
    return this.#leaver(bytes);
  }

  #leaver(bytes: number): () => void {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#bytes -= bytes;
      this.#inside -= 1;
      this.#admit();
    };
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#take(next.bytes);
      next.enter();
    }
  }

  #take(bytes: number): void {
    this.#bytes += bytes;
    this.#inside += 1;
  }

  #fits(bytes: number): boolean {
    return this.#inside === 0 || (this.#inside < this.#most && this.#bytes + bytes <= this.#budget);
  }
}
