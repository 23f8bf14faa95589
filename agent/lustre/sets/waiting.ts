/** Waiting for other hosts, bounded: until a set has come so far, or its time is over. */
import { systemClock } from '../../../catalog/clock.ts';
import { messageOf, ZkeepError } from '../../../catalog/errors.ts';
import type { SetEvent, SnapshotSet } from '../../../catalog/protocol/sets.ts';
import type { SetId } from '../../../catalog/words.ts';
import type { ServiceClient } from '../../service/client.ts';

/** Between two questions, milliseconds: clients of the file system stand still meanwhile. */
const PAUSE = 200;
/** How long telling the end of a set may take, milliseconds; what is not told the service ends by itself. */
const TELLING = 15_000;

/**
 * Does work that must end in time: its signal aborts then, with this failure.
 *
 * @param milliseconds at most so long.
 */
export async function inTime<T>(
  milliseconds: number,
  late: () => ZkeepError,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(late()), milliseconds);
  try {
    return await work(AbortSignal.any([signal, stop.signal]));
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Asks again and again until the set is so far.
 *
 * @throws {ZkeepError} `refused` with code `lustre.set-failed` when it has failed.
 */
export async function untilSet(
  ask: () => Promise<SnapshotSet>,
  isSo: (set: SnapshotSet) => boolean,
  signal: AbortSignal,
): Promise<SnapshotSet> {
  for (;;) {
    const now = await ask();
    if (now.phase === 'failed') throw setFailed(now);
    if (isSo(now)) return now;
    await systemClock.sleep(PAUSE, signal);
  }
}

/**
 * Tells what happened.
 *
 * @throws {ZkeepError} `refused` with code `lustre.set-failed` when the set has failed meanwhile.
 */
export async function tell(
  client: ServiceClient,
  set: SetId,
  event: SetEvent,
  signal: AbortSignal,
): Promise<SnapshotSet> {
  try {
    return await client.sets.tell(set, event, signal);
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError) || thrown.code !== 'set.over') throw thrown;
    const { phase, reason } = thrown.facts;
    if (phase === 'failed') throw setFailed({ set, reason: typeof reason === 'string' ? reason : null });
    throw thrown;
  }
}

/**
 * Tells the others that the set has failed, and why. Never throws: the service ends it by itself later.
 *
 * @returns `false` when it is complete all the same: the answer that said so was lost.
 */
export async function tellFailed(client: ServiceClient, set: SetId, thrown: unknown): Promise<boolean> {
  const reason = messageOf(thrown).slice(0, 1000);
  try {
    await tellSurely(client, set, { event: 'failed', reason });
    return true;
  } catch (answer) {
    return !(
      answer instanceof ZkeepError &&
      answer.code === 'set.over' &&
      answer.facts['phase'] === 'complete'
    );
  }
}

/** Tells what an interruption must not leave half told: it would not be known whether it was heard. */
export async function tellSurely(client: ServiceClient, set: SetId, event: SetEvent): Promise<void> {
  const late = () => new ZkeepError('unavailable', 'lustre.untold', 'the service did not answer in time');
  await inTime(TELLING, late, new AbortController().signal, async (signal) => {
    await tell(client, set, event, signal);
  });
}

/** The failure of a set in whose making somebody else failed. */
export function setFailed({ set, reason }: Pick<SnapshotSet, 'set' | 'reason'>): ZkeepError {
  return new ZkeepError('refused', 'lustre.set-failed', `the set was not made: ${reason}`, {
    advice: 'what this host took for it is destroyed again; take the set anew on all hosts',
    facts: { set, reason },
  });
}
