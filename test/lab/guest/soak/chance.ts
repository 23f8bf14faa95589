/** Chance that can be had again: of the same seed come the same choices. */
import { hash } from 'node:crypto';

export class Chance {
  #state: number;

  /** @example new Chance(seed, round, 'restore') // depends on each of them, and on nothing else */
  constructor(...seed: readonly (string | number)[]) {
    this.#state = Number.parseInt(hash('sha256', JSON.stringify(seed)).slice(0, 8), 16);
  }

  /** From 0 on, below 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from 0 on, below `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** True once in so many times. */
  onceIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(list: readonly [T, ...T[]]): T {
    return list[this.below(list.length)] ?? list[0];
  }
}
