/** When something is due again: `every 15 minutes`, or a cron expression; spread over hosts. */
import { createHash } from 'node:crypto';
import { Cron } from 'croner';
import { messageOf, ZkeepError } from './errors.ts';

/** How a schedule is read. */
export interface ScheduleOptions {
  /** IANA name of the time zone that days and hours are of; default UTC. */
  readonly zone?: string;
  /** Each run comes later by a part of this (milliseconds), the same each time, which `key` decides. */
  readonly spread?: number;
  /** Whose runs they are, e.g. host and job: two keys get different parts of the spread. */
  readonly key?: string;
}

/** A repeated moment. Moments are milliseconds since 1970. */
export interface Schedule {
  readonly text: string;
  /** The first run after a moment; `undefined`: there is none any more. */
  next(after: number): number | undefined;
}

const EVERY = /^every (?:([1-9][0-9]{0,5}) )?(minute|hour|day|week)s?$/;
const LENGTHS: Readonly<Record<string, number>> = {
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 7 * 86_400_000,
};
/** Mondays: the first one of 1970, so that weeks begin as people say. */
const FIRST_MONDAY = 4 * 86_400_000;

/**
 * Reads a schedule. `every N minutes|hours` runs on the grid of the clock in UTC; `every day` and
 * `every week` at midnight of the zone, weeks on Monday; cron expressions have five fields, or six with seconds.
 *
 * @throws {ZkeepError} `usage` (`schedule.malformed`) for what is none, or that never comes.
 * @example parseSchedule('every 15 minutes', { spread: 300_000, key: 'mds1 nightly' }).next(Date.now())
 */
export function parseSchedule(text: string, options: ScheduleOptions = {}): Schedule {
  const { zone = 'UTC', spread = 0, key = '' } = options;
  const bare = nextOf(text.trim(), zone, text);
  const later = Math.floor(partOf(key) * spread);
  // The spread belongs to each run: of the one whose bare moment is over, too.
  const next = (after: number) => {
    const found = bare(after - later);
    return found === undefined ? undefined : found + later;
  };
  if (next(Date.UTC(2000, 0)) === undefined) throw malformed(text, 'it never comes');
  return { text, next };
}

function nextOf(words: string, zone: string, text: string): (after: number) => number | undefined {
  const every = EVERY.exec(words);
  const count = Number(every?.[1] ?? 1);
  const unit = every?.[2] ?? '';
  if (every && count === 1 && unit === 'day') return cron('0 0 * * *', zone, text);
  if (every && count === 1 && unit === 'week') return cron('0 0 * * 1', zone, text);
  if (!every) return cron(words, zone, text);
  const period = count * (LENGTHS[unit] ?? 0);
  const start = unit === 'week' ? FIRST_MONDAY : 0;
  return (after) => start + (Math.floor((after - start) / period) + 1) * period;
}

function cron(expression: string, zone: string, text: string): (after: number) => number | undefined {
  if (/^(every|each)\b/i.test(expression)) {
    throw malformed(text, 'it is neither "every 15 minutes", "every 6 hours", "every day" nor "every week"');
  }
  if (!/^[^ ]+( +[^ ]+){4,5}$/.test(expression)) {
    throw malformed(
      text,
      'a cron expression has five fields, or six with seconds; else write "every 15 minutes"',
    );
  }
  try {
    const made = new Cron(expression, { timezone: zone, paused: true });
    made.nextRun(new Date(0)); // an unknown zone is seen only when it is asked
    return (after) => made.nextRun(new Date(after))?.getTime();
  } catch (cause) {
    throw malformed(text, messageOf(cause).replace(/^CronPattern: /, ''), cause);
  }
}

/** In [0, 1), spread evenly over keys. */
function partOf(key: string): number {
  return createHash('sha256').update(key).digest().readUInt32BE(0) / 2 ** 32;
}

function malformed(text: string, reason: string, cause?: unknown): ZkeepError {
  const words = `${JSON.stringify(text.slice(0, 100))} is no schedule: ${reason}`;
  return new ZkeepError('usage', 'schedule.malformed', words, {
    advice: 'write it as "every 15 minutes", "every day", or as a cron expression such as "30 2 * * *"',
    facts: { schedule: text.slice(0, 200) },
    cause,
  });
}
