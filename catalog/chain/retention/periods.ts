/** Hours, days, weeks, months and years as the clocks of a time zone show them. */

/** What a rule counts. */
export type Period = 'hourly' | 'daily' | 'weekly' | 'monthly' | 'yearly';
export const PERIODS: readonly Period[] = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'];

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const QUARTER = HOUR / 4;
/** Moments that a `Date` can hold. */
const LAST_MOMENT = 8.64e15 - 2 * DAY;

/**
 * Numbers the periods of a zone: moments of one period have one number, those of a later one a greater.
 * What the zone's clocks show is asked once a day of the calendar, and on the days on which they are
 * changed every quarter of an hour, because asking is slow.
 *
 * @example new Periods('Europe/Berlin').numberOf('daily', Date.UTC(2026, 9, 25, 22, 30))
 */
export class Periods {
  readonly #format: Intl.DateTimeFormat;
  readonly #offsets = new Map<number, number>();

  /** @throws {RangeError} when there is no such zone. */
  constructor(zone: string) {
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  }

  /** @param moment milliseconds since 1970. */
  numberOf(period: Period, moment: number): number {
    const offset = this.#offsetAt(moment);
    // An hour that the clocks show twice is two hours.
    if (period === 'hourly') return Math.floor((moment + (((offset % HOUR) + HOUR) % HOUR)) / HOUR);
    const day = Math.floor((moment + offset) / DAY);
    if (period === 'daily') return day;
    // 1970 began on a Thursday; weeks begin on Monday.
    if (period === 'weekly') return Math.floor((day + 3) / 7);
    const months = monthsAt(day);
    return period === 'monthly' ? months : Math.floor(months / 12);
  }

  /** How far the zone's clocks are before UTC, milliseconds. */
  #offsetAt(moment: number): number {
    const day = Math.floor(moment / DAY);
    const begin = this.#ask(day * DAY);
    if (begin === this.#ask((day + 1) * DAY)) return begin;
    return this.#ask(Math.floor(moment / QUARTER) * QUARTER);
  }

  #ask(moment: number): number {
    const known = this.#offsets.get(moment);
    if (known !== undefined) return known;
    const asked = Math.max(-LAST_MOMENT, Math.min(LAST_MOMENT, moment));
    const shown = new Map(this.#format.formatToParts(asked).map(({ type, value }) => [type, value]));
    const part = (name: Intl.DateTimeFormatPartTypes) => Number(shown.get(name));
    const year = shown.get('era') === 'BC' ? 1 - part('year') : part('year');
    const date = new Date(0);
    date.setUTCFullYear(year, part('month') - 1, part('day'));
    date.setUTCHours(part('hour'), part('minute'), part('second'));
    const offset = date.getTime() - Math.floor(asked / 1000) * 1000;
    this.#offsets.set(moment, offset);
    return offset;
  }
}

/** Months since year 0 of the Gregorian calendar, at a day counted from 1970 (as Howard Hinnant's `civil_from_days`). */
function monthsAt(day: number): number {
  const shifted = day + 719_468;
  const era = Math.floor(shifted / 146_097);
  const ofEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  );
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * ofYear + 2) / 153);
  return (yearOfEra + era * 400) * 12 + fromMarch + 2;
}
