/** How long one request to a store may take, in its parts and as a whole. */
import { ZkeepError } from '../../errors.ts';

/** All in milliseconds. */
export interface Timeouts {
  /** Until the connection stands. */
  readonly connect: number;
  /** Without a byte in either direction, while sending, waiting or receiving. */
  readonly stall: number;
  /** For the whole request, and what its body takes at {@link timeFor}'s least rate. */
  readonly whole: number;
}

/** Patient with slow lines, since a stall ends a request long before its whole time does. */
export const TIMEOUTS: Timeouts = { connect: 10_000, stall: 30_000, whole: 15 * 60_000 };

/** Bytes a millisecond: a line this slow still gets a body across; one that stands still is noticed before. */
const LEAST_RATE = 32;

/**
 * How long a request with a body of so many bytes may take, milliseconds.
 *
 * @example timeFor(TIMEOUTS.whole, 64 * 1024 * 1024) // 2997152, 50 minutes
 */
export function timeFor(whole: number, bytes: number): number {
  return whole + Math.ceil(bytes / LEAST_RATE);
}

/** Does a wait that is not the store's: the time stands still meanwhile. */
export type Waiting = (wait: () => Promise<void>) => Promise<void>;

/**
 * Runs `work` with a signal that aborts when the caller's own does, or after so
 * many milliseconds, without those that `work` itself waits by the function it is given.
 *
 * @throws the caller's reason, or `unavailable` when the time is up, whatever `work` made of the abort.
 */
export async function withDeadline<T>(
  milliseconds: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal, waiting: Waiting) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const deadline = new AbortController();
  let left = milliseconds;
  let since = performance.now();
  const arm = () => setTimeout(() => deadline.abort(tooSlow(milliseconds)), left);
  let timer = arm();
  let over = false;
  const waiting: Waiting = async (wait) => {
    clearTimeout(timer);
    left = Math.max(0, left - (performance.now() - since));
    try {
      await wait();
    } finally {
      since = performance.now();
      if (!over) timer = arm();
    }
  };
  try {
    return await work(signal ? AbortSignal.any([signal, deadline.signal]) : deadline.signal, waiting);
  } catch (thrown) {
    signal?.throwIfAborted();
    deadline.signal.throwIfAborted();
    deadline.abort(thrown); // Closes what is still open of the request, such as a body nobody reads.
    throw thrown;
  } finally {
    over = true;
    clearTimeout(timer);
  }
}

function tooSlow(milliseconds: number): ZkeepError {
  return new ZkeepError(
    'unavailable',
    'store.timeout',
    `the store took longer than ${milliseconds / 1000} s`,
    {
      advice: 'check the network to the store and its load',
    },
  );
}
