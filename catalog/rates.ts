/** Rates as people write them: in settings and on command lines. */
import { ZkeepError } from './errors.ts';

const RATE = /^([0-9]{1,9}(?:\.[0-9]{1,3})?) ?([kKMGT]i?)?(B|bit)\/s$/;
const POWERS = ['', 'K', 'M', 'G', 'T'];
/** Bytes a second: slower is a slip of the pen. */
const SLOWEST = 1024;

/**
 * A rate in bytes a second: `20 MiB/s`, `1.5MB/s`, `100 Mbit/s`. `undefined` for what is none, or slower than 1 KiB/s.
 *
 * @example rateMeant('20 MiB/s') // 20971520
 */
export function rateMeant(text: string): number | undefined {
  const found = RATE.exec(text.trim());
  if (!found) return undefined;
  const [, amount = '', prefix = '', unit] = found;
  const base = prefix.endsWith('i') ? 1024 : 1000;
  const units = Number(amount) * base ** POWERS.indexOf(prefix.slice(0, 1).toUpperCase());
  const bytes = Math.floor(unit === 'bit' ? units / 8 : units);
  return bytes >= SLOWEST && Number.isSafeInteger(bytes) ? bytes : undefined;
}

/**
 * The same of text that must be one.
 *
 * @throws {ZkeepError} `usage` (`words.rate`).
 */
export function parseRate(text: string): number {
  const bytes = rateMeant(text);
  if (bytes !== undefined) return bytes;
  throw new ZkeepError('usage', 'words.rate', `${JSON.stringify(text.slice(0, 40))} is no rate`, {
    advice: 'write it as 20 MiB/s, 1.5 MB/s or 100 Mbit/s, at least 1 KiB/s',
    facts: { rate: text.slice(0, 200) },
  });
}
