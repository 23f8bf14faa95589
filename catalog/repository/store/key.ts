/** What a key may look like: one alphabet that every store takes and no store must escape. */
import { ZkeepError } from '../../errors.ts';

/** Longest key, characters: with a prefix of the same length it still fits the 1,024 bytes of S3. */
export const MAX_KEY = 512;

/** One name between slashes; shorter than the 255 bytes of a file name. */
const NAME = /^[A-Za-z0-9._-]{1,200}$/;
const PREFIX = /^[A-Za-z0-9._/-]*$/;

/** Whether an object of ours may have this key; what others left beside ours has none. */
export function isKey(text: string): boolean {
  return text.length <= MAX_KEY && text.split('/').every(isName);
}

/** Whether a key may have this name between its slashes: never empty, `.` or `..`. */
export function isName(text: string): boolean {
  return NAME.test(text) && text !== '.' && text !== '..';
}

/**
 * Gives the key back when it is one.
 *
 * @example checkKey('backups/918d38b26d2bd5af/x.json')
 * @throws {ZkeepError} `usage` when it is empty, too long, absolute, climbs or holds other characters.
 */
export function checkKey(text: string): string {
  if (!isKey(text)) throw badKey('key', text);
  return text;
}

/** Gives the beginning of keys back when keys may begin so; it may end in the middle of a name. */
export function checkKeyPrefix(text: string): string {
  const climbs = text.split('/').some((name) => name === '..' || name === '.');
  if (!PREFIX.test(text) || text.length > MAX_KEY || text.startsWith('/') || text.includes('//') || climbs)
    throw badKey('beginning of a key', text);
  return text;
}

function badKey(what: string, text: string): ZkeepError {
  return new ZkeepError('usage', 'store.bad-key', `${JSON.stringify(text.slice(0, 80))} is no ${what}`, {
    advice: 'keys are names of ASCII letters, digits, - _ and . with single slashes between them',
  });
}
