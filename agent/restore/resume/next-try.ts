/**
 * What is done when ZFS does not take the rest of an interrupted stream. A killed `zfs receive` takes its
 * time to end, and what it had taken goes into the token only then: whoever begins again at once finds the
 * target busy, or has read a token that is not the last one. Decided purely.
 */
import { isDeepStrictEqual } from 'node:util';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { ResumeToken } from '../../../catalog/stream/token.ts';

/** Longest that another receive is waited for, milliseconds: on a slow pool a killed one takes as long. */
export const ENDING = 60_000;
/** Between two tries, milliseconds. */
export const PAUSE = 1_000;

export type NextTry =
  /** Once more with what the token says then. */
  | { readonly kind: 'wait' }
  /** At once, with the token that is there now. */
  | { readonly kind: 'resume'; readonly token: ResumeToken }
  /** What is there is thrown away, and the stream sent from its first byte. */
  | { readonly kind: 'again' }
  /** What was thrown is the end of it. */
  | { readonly kind: 'give-up' };

/** Of the errors: another receive is at it; and those that say that this stream is not the rest of what is there, for which ZFS calls itself too old (EINVAL). */
const BUSY = 'zfs.busy';
const NO_REST = new Set(['zfs.too-old', 'resume.begin', 'resume.entry']);

/** Whether it says something about what the target holds; then the token is read once more before it is decided. */
export function isOfRest(thrown: unknown): thrown is ZkeepError {
  return thrown instanceof ZkeepError && (thrown.code === BUSY || NO_REST.has(thrown.code));
}

/**
 * Decides about the next try.
 *
 * @param thrown what the last one ended with.
 * @param tried the token that it went by.
 * @param there the token that the target has now; `undefined`: none that can be read.
 * @param waited milliseconds since the first try.
 * @example nextTry(thrown, { tried, there: tried, waited: 0 }).kind // 'again'
 */
export function nextTry(
  thrown: unknown,
  { tried, there, waited }: { tried: ResumeToken; there: ResumeToken | undefined; waited: number },
): NextTry {
  if (!isOfRest(thrown)) return { kind: 'give-up' };
  const isLate = waited >= ENDING;
  if (thrown.code === BUSY) return { kind: isLate ? 'give-up' : 'wait' };
  if (!there || there.toguid !== tried.toguid || isDeepStrictEqual(there, tried)) return { kind: 'again' };
  return isLate ? { kind: 'give-up' } : { kind: 'resume', token: there };
}
