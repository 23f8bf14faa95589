/** Durations as people write them: in settings, policies and on command lines. */
import { ZkeepError } from './errors.ts';

const DURATION =
  /^(?:([0-9]{1,6})w)?(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?$/;
/** Seconds in the units of {@link DURATION}. */
const UNITS = [7 * 86_400, 86_400, 3_600, 60, 1];

/**
 * A duration in milliseconds: `2w`, `2d`, `1h30m`, `90s`; `0` needs no unit. `undefined` for what is none.
 *
 * @example durationMeant('1h30m') // 5400000
 */
export function durationMeant(text: string): number | undefined {
  if (text === '0') return 0;
  const found = DURATION.exec(text);
  if (!found || text === '') return undefined;
  return UNITS.reduce((sum, unit, at) => sum + Number(found[at + 1] ?? 0) * unit, 0) * 1000;
}

/**
 * The same of text that must be one.
 *
 * @throws {ZkeepError} `usage` (`words.duration`).
 */
export function parseDuration(text: string): number {
  const milliseconds = durationMeant(text);
  if (milliseconds !== undefined) return milliseconds;
  throw new ZkeepError('usage', 'words.duration', `${JSON.stringify(text.slice(0, 40))} is no duration`, {
    advice: 'write it as 90s, 15m, 1h30m, 2d or 4w',
    facts: { duration: text.slice(0, 200) },
  });
}
