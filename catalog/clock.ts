/** The one clock and the one source of chance, so that tests can replace both. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Time as zkeep sees it. */
export interface Clock {
  /** Milliseconds since 1970, UTC. */
  now(): number;
  /** Resolves after so many milliseconds; rejects with the signal's reason when it aborts first. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** A number in [0, 1), for jitter. */
  random(): number;
}

/** The clock of this machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (milliseconds, signal) => {
    try {
      try {
        await sleep(milliseconds, undefined, signal ? { signal } : undefined);
      } catch (thrown) {
        signal?.throwIfAborted(); // the caller's own reason, where Node throws an AbortError
        throw thrown;
      }
    } catch (thrown) {
      // Node wraps the reason in an error of its own.
      signal?.throwIfAborted();
      throw thrown;
    }
  },
  random: () => Math.random(),
};
