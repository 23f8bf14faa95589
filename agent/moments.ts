/** Moments as people write them on a command line. */
import { ZkeepError } from '../catalog/errors.ts';

const MOMENT = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?$/;

/**
 * Seconds since 1970, from ISO 8601 or `YYYY-MM-DD HH:MM[:SS]`; without a zone
 * it is local time. Fractions are cut off: snapshots are a second exact.
 *
 * @throws {ZkeepError} `usage` when it is no moment, or one that no calendar has.
 * @example parseMoment('2026-11-20T09:00:00Z') // 1795165200
 */
export function parseMoment(text: string): number {
  const found = MOMENT.exec(text.trim());
  if (!found) throw notAMoment(text);
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found
    .slice(1, 7)
    .map((part) => Number(part ?? 0));
  const zone = zoneMinutes(found[7], text);
  const fields = [year, month - 1, day, hour, minute, second] as const;
  if (!isCalendar(fields)) throw notAMoment(text);
  if (zone === undefined) return Math.floor(new Date(...fields).getTime() / 1000);
  return Math.floor(Date.UTC(...fields) / 1000) - zone * 60;
}

/** The moment in a name: `20261120T090000Z`. */
export function compactMoment(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/[-:]|\.\d+/g, '');
}

/**
 * A snapshot's name of this moment, or of the first second after it whose name is
 * free: a run that was killed may have left one in this very second, and a set must
 * not take some of its datasets from there.
 *
 * @param taken whether a dataset of the run has a snapshot of that name; it has finitely many.
 * @example freeName('zkeep', Date.UTC(2026, 10, 20, 9), () => false); // 'zkeep-20261120T090000Z'
 */
export function freeName(prefix: string, milliseconds: number, taken: (name: string) => boolean): string {
  let moment = milliseconds;
  while (taken(`${prefix}-${compactMoment(moment)}`)) moment += 1000;
  return `${prefix}-${compactMoment(moment)}`;
}

type Fields = readonly [number, number, number, number, number, number];

/** February 30 and 25 o'clock are none: a `Date` would silently make another moment of them. */
function isCalendar([year, month, day, hour, minute, second]: Fields): boolean {
  const date = new Date(Date.UTC(year, month, day, hour, minute, second));
  return (
    year >= 1970 &&
    date.getUTCMonth() === month &&
    date.getUTCDate() === day &&
    hour < 24 &&
    minute < 60 &&
    second < 60
  );
}

function zoneMinutes(zone: string | undefined, text: string): number | undefined {
  if (zone === undefined) return undefined;
  if (zone === 'Z') return 0;
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(-2))];
  if (hours > 14 || minutes > 59) throw notAMoment(text);
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
}

function notAMoment(text: string): ZkeepError {
  return new ZkeepError('usage', 'settings.time', `${JSON.stringify(text.slice(0, 80))} is not a time`, {
    advice: "write it as 2026-11-20T09:00:00Z, or as '2026-11-20 09:00' in local time",
    facts: { time: text.slice(0, 200) },
  });
}
