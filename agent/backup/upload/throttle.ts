/** A bound on how fast a backup goes out: bytes a second, which may change while it runs. */
import { type Clock, systemClock } from '../../../catalog/clock.ts';
import { ByteGate } from '../../../catalog/repository/segment/bounds.ts';
import type { Pace } from '../../../catalog/repository/store/pace.ts';

/** Bytes a second; `null`: as fast as it goes. Asked again and again, so it may depend on the time. */
export type Limit = () => number | null;

/** Most bytes at once: more would be a gust on a slow line. */
const LARGEST_PIECE = 64 * 1024;
/** A piece is worth so many milliseconds at most. */
const PIECE_TIME = 100;
/** Longest sleep, milliseconds: then the limit is looked at again. */
const LONGEST_SLEEP = 1000;

/**
 * Lets bytes pass smoothly, in the order in which they ask: over any second, as many as the limit
 * says and one piece more. What was not used while nobody asked is not made up for.
 *
 * @example
 * const throttle = new Throttle(() => 20 * 1024 * 1024);
 * await throttle.take(65_536, signal);
 */
export class Throttle implements Pace {
  readonly #limit: Limit;
  readonly #clock: Clock;
  readonly #lines = new ByteGate(Number.POSITIVE_INFINITY, 1);
  /** The turns that were given out, one behind the other. */
  #last: Promise<void> = Promise.resolve();
  /** When what was let pass is paid for, by the clock. */
  #paid = 0;

  constructor(limit: Limit, clock: Clock = systemClock) {
    this.#limit = limit;
    this.#clock = clock;
  }

  /** Bytes that are asked for at once, as the limit is now. */
  piece(): number {
    const rate = this.#limit();
    if (rate === null) return LARGEST_PIECE;
    return Math.max(1, Math.min(LARGEST_PIECE, Math.floor((rate * PIECE_TIME) / 1000)));
  }

  /**
   * Waits until so many bytes may pass.
   *
   * @throws the signal's reason; what was asked for then does not count.
   */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const before = this.#last;
    const turn = Promise.withResolvers<void>();
    this.#last = turn.promise;
    try {
      await before;
      await this.#pass(bytes, signal);
    } finally {
      turn.resolve();
    }
  }

  /**
   * Waits until a body may begin: while there is a limit one after the other, because two that share it
   * take twice as long each, and so do their requests and grants.
   *
   * @returns what is called once it is through.
   * @throws the signal's reason.
   */
  async line(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#limit() === null) return () => undefined;
    const entered = this.#lines.enter(0);
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await Promise.race([entered, aborted.promise]);
    } catch (thrown) {
      // Its turn comes all the same, and is given to the next.
      void entered.then((leave) => leave());
      throw thrown;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  async #pass(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    for (let left = bytes; left > 0; ) {
      signal?.throwIfAborted();
      const rate = this.#limit();
      if (rate === null) return;
      const now = this.#clock.now();
      // A clock that was set back must not make anybody wait for the time that it was ahead.
      if (this.#paid > now + LONGEST_SLEEP) this.#paid = now;
      if (this.#paid > now) {
        await this.#clock.sleep(Math.min(Math.ceil(this.#paid - now), LONGEST_SLEEP), signal);
        continue;
      }
      const piece = Math.min(left, this.piece());
      this.#paid = Math.max(this.#paid, now - PIECE_TIME) + (piece / rate) * 1000;
      left -= piece;
    }
  }
}
