/** What a policy keeps, in few lines of its own: what the planner of the service is compared with. */
import type { Keep, Policy } from '../../../catalog/chain/retention/policy.ts';

/** A snapshot that counts. */
export interface Dated {
  readonly guid: string;
  /** Seconds since 1970. */
  readonly created: number;
}

const RULES = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
const HOURS: Readonly<Record<string, number>> = { m: 1 / 60, h: 1, d: 24, w: 168 };

/** GUIDs of those of one dataset that its policies keep, all of them restorable; the newest is always kept. */
export function wantedOf(snapshots: readonly Dated[], policies: readonly Policy[], now: number): Set<string> {
  const newestFirst = snapshots.toSorted((one, other) => other.created - one.created);
  if (policies.length === 0) return new Set(newestFirst.map(({ guid }) => guid));
  const wanted = new Set(newestFirst.slice(0, 1).map(({ guid }) => guid));
  for (const { keep, zone } of policies) {
    if (Object.keys(keep).length === 0) for (const { guid } of newestFirst) wanted.add(guid);
    for (const guid of byKeep(newestFirst, keep, zone, now)) wanted.add(guid);
  }
  return wanted;
}

function* byKeep(newestFirst: readonly Dated[], keep: Keep, zone: string, now: number): Generator<string> {
  const [, count, unit] = /^(\d+)([mhdw])$/.exec(keep.within ?? '') ?? [];
  for (const { guid, created } of newestFirst) {
    if (unit && (now - created * 1000) / 3_600_000 <= Number(count) * (HOURS[unit] ?? 0)) yield guid;
  }
  for (const rule of RULES) {
    const periods = new Set<string>();
    for (const { guid, created } of newestFirst) {
      const period = rule === 'last' ? guid : periodOf(rule, created * 1000, zone);
      if (periods.has(period) || periods.size === (keep[rule] ?? 0)) continue;
      periods.add(period);
      yield guid;
    }
  }
}

/** The period of a moment as the clocks of a zone show it, whose clocks differ from UTC by whole hours. */
function periodOf(rule: 'hourly' | 'daily' | 'weekly' | 'monthly' | 'yearly', at: number, zone: string) {
  if (rule === 'hourly') return String(Math.floor(at / 3_600_000));
  const date = dateIn(zone).format(at);
  if (rule === 'monthly') return date.slice(0, 7);
  if (rule === 'yearly') return date.slice(0, 4);
  if (rule === 'daily') return date;
  const day = new Date(`${date}T00:00:00Z`);
  day.setUTCDate(day.getUTCDate() - ((day.getUTCDay() + 6) % 7));
  return `week of ${day.toISOString().slice(0, 10)}`;
}

const DATES = new Map<string, Intl.DateTimeFormat>();

/** Swedes write dates as 2026-10-25. One is kept for each zone: to make one takes longer than all else here. */
function dateIn(zone: string): Intl.DateTimeFormat {
  const known = DATES.get(zone) ?? new Intl.DateTimeFormat('sv-SE', { timeZone: zone });
  DATES.set(zone, known);
  return known;
}
