/** Work under a Lustre barrier: changes of metadata are held back while it lasts, and never longer than was said. */
import { systemClock } from '../../../catalog/clock.ts';
import { messageOf, ZkeepError } from '../../../catalog/errors.ts';
import type { Progress } from '../../output/progress.ts';
import { type BarrierState, barrierState, freezeCommand, lctl, thawCommand } from './lctl.ts';

/** A barrier that is to be set. */
export interface BarrierPlan {
  readonly fsname: string;
  /** After so many seconds it ends by itself, counted from the beginning of the freeze. */
  readonly seconds: number;
}

/** After the barrier's own end, the time in which `lctl` gets to say so, milliseconds. */
const GRACE = 10_000;
const STANDING: readonly BarrierState[] = ['freezing_p1', 'freezing_p2', 'frozen', 'thawing', 'rescan'];

/**
 * Freezes, does the work, sees that the barrier still stands, and thaws: thaws
 * also when anything fails. Of a process that is killed the barrier's own
 * time-out thaws.
 *
 * @param work is told how many milliseconds are left.
 * @throws {ZkeepError} `refused` with code `lustre.barrier-expired` when it did not stand to the end: then what
 *   was done is of no one moment; `busy` when one stands already.
 */
export async function underBarrier(
  plan: BarrierPlan,
  work: (left: () => number) => Promise<void>,
  { progress, signal }: { progress: Progress; signal: AbortSignal },
): Promise<void> {
  const { fsname, seconds } = plan;
  await isFree(plan, progress);
  signal.throwIfAborted();
  const end = systemClock.now() + seconds * 1000;
  progress.note(`${fsname}: changes of metadata are held back, for at most ${seconds} s whatever happens`);
  let ours = true;
  try {
    await freeze(plan);
    await work(() => Math.max(0, end - systemClock.now()));
    const state = await barrierState(fsname);
    if (state !== 'frozen') throw expired(plan, state);
  } catch (thrown) {
    ours = !(thrown instanceof ZkeepError && thrown.code === 'lustre.barrier-stands');
    throw thrown;
  } finally {
    if (ours) await thaw(plan, progress);
  }
}

async function isFree({ fsname }: BarrierPlan, progress: Progress): Promise<void> {
  const state = await barrierState(fsname);
  if (STANDING.includes(state)) throw stands(fsname, state);
  if (state === 'expired') {
    progress.note(`${fsname}: the last barrier ended by its own time-out: a run was killed, or was too slow`);
  }
}

/** Not interrupted: half done, nobody would know whether the barrier stands. */
async function freeze({ fsname, seconds }: BarrierPlan): Promise<void> {
  try {
    await lctl(freezeCommand(fsname, seconds), { timeout: seconds * 1000 + GRACE });
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError) || thrown.code !== 'lustre.lctl-failed') throw thrown;
    // EALREADY, EINPROGRESS, EBUSY of Lustre's `mgs_barrier.c`: somebody else was faster, and thaws it.
    if (/(already|now) in progress|resource busy/i.test(thrown.message)) throw stands(fsname, 'frozen');
    throw new ZkeepError('failed', 'lustre.freeze-failed', `${fsname} cannot be frozen: ${thrown.message}`, {
      advice: `every registered MDT must be mounted and answer in ${seconds} s; lctl barrier_rescan ${fsname} looks again which are there`,
      facts: { fsname, seconds, ...thrown.facts },
      cause: thrown,
    });
  }
}

/** Never throws: says what remains. */
async function thaw({ fsname, seconds }: BarrierPlan, progress: Progress): Promise<void> {
  try {
    await lctl(thawCommand(fsname));
  } catch (thrown) {
    const state = await barrierState(fsname).catch(() => 'unknown' as const);
    // One that failed or expired cannot be thawed, and need not be.
    if (!STANDING.includes(state) && state !== 'unknown') return;
    progress.note(
      `${fsname} could not be thawed (${messageOf(thrown)}): the barrier ends by itself within ${seconds} s, or by lctl barrier_thaw ${fsname}`,
    );
  }
}

function stands(fsname: string, state: BarrierState): ZkeepError {
  return new ZkeepError('busy', 'lustre.barrier-stands', `a barrier stands on ${fsname} already: ${state}`, {
    advice: `another run or lctl snapshot_create is at it, or was killed: it ends by itself, lctl barrier_stat ${fsname} says when`,
    facts: { fsname, state },
  });
}

function expired({ fsname, seconds }: BarrierPlan, state: BarrierState): ZkeepError {
  return new ZkeepError(
    'refused',
    'lustre.barrier-expired',
    `the barrier of ${fsname} did not stand to the end: it is ${state}`,
    {
      advice: `the snapshots would be of different moments: give more time than ${seconds} s with --barrier-timeout, or come when there is less to do`,
      facts: { fsname, seconds, state },
    },
  );
}
