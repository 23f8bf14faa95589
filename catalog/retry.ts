/**
 * The one retry policy: exponential, with full jitter, bounded in count and in time. How long a
 * command waits for service and store is its `patience` (patience.ts), with pauses of the same law.
 */
import { type Clock, systemClock } from './clock.ts';
import { ZkeepError } from './errors.ts';

/** How often and how long something is tried again. All times in milliseconds. */
export interface RetryPolicy {
  /** Tries in all, the first included. */
  readonly tries: number;
  /** The pause after try n is random in [0, firstPause * 2^(n-1)], at most `longestPause`. */
  readonly firstPause: number;
  readonly longestPause: number;
  /** No new try starts later than this after the first one. */
  readonly budget: number;
}

/** For requests of the service to its store: about a minute. */
export const REQUEST_RETRIES: RetryPolicy = {
  tries: 8,
  firstPause: 200,
  longestPause: 10_000,
  budget: 60_000,
};

/** What {@link retry} may be given besides the policy. */
export interface RetryOptions {
  readonly policy?: RetryPolicy;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
}

/** True for errors of kind `unavailable`: the part may answer the next time. */
export function isUnavailable(thrown: unknown): boolean {
  return thrown instanceof ZkeepError && thrown.kind === 'unavailable';
}

/**
 * Does `work`, again while it fails with errors of kind `unavailable`.
 *
 * @throws what the last try threw, or the signal's reason.
 * @example await retry((attempt) => put(key, body), { signal })
 */
export async function retry<T>(
  work: (attempt: number) => Promise<T>,
  options: RetryOptions = {},
): Promise<T> {
  const { policy = REQUEST_RETRIES, clock = systemClock, signal } = options;
  const deadline = clock.now() + policy.budget;
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    try {
      return await work(attempt);
    } catch (thrown) {
      if (signal?.aborted || attempt >= policy.tries || !isUnavailable(thrown)) throw thrown;
      const pause = pauseAfter(attempt, policy, clock);
      if (clock.now() + pause >= deadline) throw thrown;
      await clock.sleep(pause, signal);
    }
  }
}

/** The pause after a try, milliseconds: random, within bounds that double. */
export function pauseAfter(
  attempt: number,
  { firstPause, longestPause }: Pick<RetryPolicy, 'firstPause' | 'longestPause'>,
  clock: Clock,
): number {
  return Math.round(clock.random() * Math.min(longestPause, firstPause * 2 ** (attempt - 1)));
}
