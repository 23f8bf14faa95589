/** How fast an agent may send, by hour and day. */
import { type Static, Type } from 'typebox';
import { rateMeant } from '../../catalog/rates.ts';
import { type TomlPlace, wrongKey } from '../../catalog/toml.ts';
import { checkZone } from './zone.ts';

const closed = { additionalProperties: false };

export const BandwidthSchema = Type.Object(
  {
    zone: Type.Optional(Type.String({ maxLength: 100 })),
    limits: Type.Array(
      Type.Object(
        {
          /** `08:00-18:00`; over midnight: `22:00-06:00`, which belongs to the day on which it begins. */
          hours: Type.Optional(Type.String({ maxLength: 40 })),
          /** `mon-fri`, `sat,sun`, `fri-mon`. */
          days: Type.Optional(Type.String({ maxLength: 60 })),
          /** `20 MiB/s`, or `none`. */
          limit: Type.String({ maxLength: 40 }),
        },
        closed,
      ),
      { maxItems: 100 },
    ),
  },
  closed,
);
type Said = Static<typeof BandwidthSchema>;

/** A part of the week, and what holds in it. */
export interface Window {
  /** Days on which it begins, 0 is Sunday. */
  readonly days: ReadonlySet<number>;
  /** Minutes of the day: from the first on, before the second; the second is less: over midnight. */
  readonly from: number;
  readonly to: number;
  /** Bytes a second; `null`: as fast as it goes. */
  readonly limit: number | null;
}

/** The first window that fits decides; none: as fast as it goes. */
export interface Bandwidth {
  readonly zone: string;
  readonly windows: readonly Window[];
}

const DAY = 24 * 60;
const NAMES = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
/** By zone: making one takes longer than asking it. Bounded, because zones come from files. */
const formats = new Map<string, Intl.DateTimeFormat>();

/**
 * The limit at a moment (milliseconds since 1970), bytes a second; `null`: none.
 *
 * @example limitAt(configuration.bandwidth, Date.now()) // 20971520
 */
export function limitAt({ zone, windows }: Bandwidth, now: number): number | null {
  if (windows.length === 0) return null;
  const { day, minute } = wallClock(zone, now);
  return windows.find((window) => isWithin(window, day, minute))?.limit ?? null;
}

/** @throws {ZkeepError} `usage` naming the key. */
export function bandwidthSaid(
  said: Said | undefined,
  { zone: usual, place }: { readonly zone: string; readonly place: TomlPlace },
): Bandwidth {
  const zone = said?.zone ?? usual;
  checkZone(zone, (reason) => wrongKey(place, 'bandwidth.zone', reason));
  const windows = (said?.limits ?? []).map(({ hours = '00:00-24:00', days = 'sun-sat', limit }, at) => {
    const here = { ...place, section: `bandwidth limit ${at + 1}` };
    const [from, to] = hoursMeant(hours) ?? fail(here, 'hours', 'are written as "08:00-18:00"');
    const begins = daysMeant(days) ?? fail(here, 'days', 'are written as "mon-fri" or "sat,sun"');
    const rate = limit === 'none' ? null : rateMeant(limit);
    if (rate === undefined) throw wrongKey(here, 'limit', 'is written as "20 MiB/s" or "none"');
    return { days: begins, from, to, limit: rate };
  });
  return { zone, windows };
}

function isWithin({ days, from, to }: Window, day: number, minute: number): boolean {
  if (from < to) return days.has(day) && minute >= from && minute < to;
  // The part after midnight is of the day before.
  return (days.has(day) && minute >= from) || (days.has((day + 6) % 7) && minute < to);
}

function wallClock(zone: string, now: number): { day: number; minute: number } {
  let format = formats.get(zone);
  if (!format) {
    if (formats.size >= 100) formats.clear();
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
    formats.set(zone, format);
  }
  const parts = new Map(format.formatToParts(now).map(({ type, value }) => [type, value]));
  const day = NAMES.indexOf((parts.get('weekday') ?? '').toLowerCase());
  return { day, minute: Number(parts.get('hour')) * 60 + Number(parts.get('minute')) };
}

function hoursMeant(text: string): [number, number] | undefined {
  const found = /^([0-9]{2}):([0-5][0-9])-([0-9]{2}):([0-5][0-9])$/.exec(text);
  if (!found) return undefined;
  const [from, to] = [1, 3].map((at) => Number(found[at]) * 60 + Number(found[at + 1]));
  if (from === undefined || to === undefined || from >= DAY || to > DAY || from === to) return undefined;
  return [from, to];
}

function daysMeant(text: string): Set<number> | undefined {
  const days = new Set<number>();
  for (const piece of text.toLowerCase().split(',')) {
    const [first = '', last = first, ...more] = piece.trim().split('-');
    const [from, to] = [NAMES.indexOf(first), NAMES.indexOf(last)];
    if (from < 0 || to < 0 || more.length > 0) return undefined;
    for (let day = from; ; day = (day + 1) % 7) {
      days.add(day);
      if (day === to) break;
    }
  }
  return days;
}

function fail(place: TomlPlace, key: string, reason: string): never {
  throw wrongKey(place, key, reason);
}
