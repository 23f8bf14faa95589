/** Which jobs start now, in which order, and when to look again. Decided here, purely. All moments in milliseconds since 1970. */
import type { Clock } from '../../../catalog/clock.ts';
import type { Job } from './job.ts';
import type { JobRecord } from './records.ts';

/** What {@link decideDue} looks at. */
export interface DueQuestion {
  readonly jobs: readonly Pick<Job, 'name' | 'schedule' | 'priority'>[];
  /** By the name of the job; every job has one. */
  readonly records: ReadonlyMap<string, JobRecord>;
  readonly running: ReadonlySet<string>;
  readonly now: number;
}

/** A job that is due. */
export interface DueJob {
  readonly name: string;
  /** The moment of which this run is: of several that were missed the first. */
  readonly at: number;
  /** It is a try again of a run that failed or was interrupted. */
  readonly again: boolean;
}

/** What is due. */
export interface Due {
  /** The greatest priority first, then who waits the longest, then as the configuration has them. */
  readonly due: readonly DueJob[];
  /** When the next one of the others is due; `undefined`: none ever is. */
  readonly next: number | undefined;
}

/**
 * Decides what is due. A job never overlaps itself; runs that were missed are made up for by one.
 *
 * @example decideDue({ jobs, records, running: new Set(), now: Date.now() }).due[0]?.name
 */
export function decideDue({ jobs, records, running, now }: DueQuestion): Due {
  const waiting = jobs.flatMap(({ name, schedule, priority }) => {
    const record = records.get(name);
    const moment = record && nextRun(schedule, record, now);
    return moment && !running.has(name) ? [{ name, priority, ...moment }] : [];
  });
  const due = waiting
    .filter(({ at }) => at <= now)
    // Stable: what is equal stays in the order of the configuration.
    .sort((one, other) => other.priority - one.priority || one.at - other.at);
  const later = waiting.filter(({ at }) => at > now).map(({ at }) => at);
  return {
    due: due.map(({ name, at, again }) => ({ name, at, again })),
    next: later.length === 0 ? undefined : Math.min(...later),
  };
}

/** When a job is due again; `undefined`: never by itself. */
export function nextRun(
  schedule: Job['schedule'],
  { due, retry }: Pick<JobRecord, 'due' | 'retry'>,
  now: number,
): Omit<DueJob, 'name'> | undefined {
  const at = schedule.next(due);
  // A scheduled run that is due by now makes up for the one that failed.
  const isScheduled = at !== undefined && (at <= now || retry === null || retry.at >= at);
  if (retry !== null && !isScheduled) return { at: retry.at, again: true };
  return at === undefined ? undefined : { at, again: false };
}

/** The pause before the first try again, and the longest one. */
const FIRST_PAUSE = 60_000;
const LONGEST_PAUSE = 3_600_000;
/** So often a run is tried again before the next scheduled one. */
export const MOST_TRIES_AGAIN = 6;

/**
 * When a run that failed is tried again; `null`: not before the next scheduled one.
 *
 * @param tries runs in a row that failed, this one included.
 * @param again whether it was interrupted: then the first try is at once.
 */
export function retryAt(
  tries: number,
  interrupted: boolean,
  clock: Pick<Clock, 'now' | 'random'>,
): number | null {
  if (tries > MOST_TRIES_AGAIN) return null;
  if (interrupted && tries <= 1) return clock.now();
  const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (tries - 1));
  // Hosts that failed together, because the service was away, do not come back together.
  return clock.now() + Math.round(pause * (0.5 + clock.random()));
}

/**
 * The record with what a wrong clock did to it mended. A run that seems to lie ahead by more than a period, or a
 * try again by more than the longest pause, must not keep the job from running until that time comes.
 */
export function mended(schedule: Job['schedule'], record: JobRecord, now: number): JobRecord {
  const { due, retry } = record;
  const following = schedule.next(due);
  const isAhead = due > now && (following === undefined || due - now > following - due);
  const isFar = retry !== null && retry.at - now > 2 * LONGEST_PAUSE;
  if (!isAhead && !isFar) return record;
  return { ...record, due: isAhead ? now : due, retry: isFar ? { ...retry, at: now } : retry };
}
