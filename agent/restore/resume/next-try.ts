/**
 * What is done when ZFS does not take the rest of an interrupted stream. A killed `zfs receive` takes its
 * time to end, and what it had taken goes into the token only then: whoever begins again at once finds the
 * target busy, or has read a token that is not the last one. Decided purely.
 */
import { isDeepStrictEqual } from 'node:util';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { ResumeToken } from '../../../catalog/stream/resuming/token.ts';
import type { Guid } from '../../../catalog/words.ts';
import type { Target } from '../target.ts';

/** Longest that another receive is waited for, milliseconds: a minute of a killed one was seen on a slow pool. */
export const ENDING = 120_000;
/** Between two tries, milliseconds: twice as long each time, for each of them fetches the first segments again. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 15_000;

export type NextTry =
  /** Once more after so many milliseconds, with what the token says then. */
  | { readonly kind: 'wait'; readonly pause: number }
  /** Nothing: the other receive came to its end, and the snapshot is there. */
  | { readonly kind: 'done' }
  /** At once, with the token that is there now. */
  | { readonly kind: 'resume'; readonly token: ResumeToken }
  /** What is there is thrown away, and the stream sent from its first byte. */
  | { readonly kind: 'again' }
  /** What was thrown is the end of it. */
  | { readonly kind: 'give-up' };

/** Of the errors: another receive is at it; and those that say that this stream is not the rest of what is there, for which ZFS calls itself too old (EINVAL). */
const BUSY = 'zfs.busy';
/** There is nothing to go on with any more, says OpenZFS 2.3. */
const EXISTS = 'zfs.exists';
const NO_REST = new Set(['zfs.too-old', 'resume.begin', 'resume.entry']);

/** Whether it says something about what the target holds; then the token is read once more before it is decided. */
export function isOfRest(thrown: unknown): thrown is ZkeepError {
  return thrown instanceof ZkeepError && ([BUSY, EXISTS].includes(thrown.code) || NO_REST.has(thrown.code));
}

/** What is known when a try has failed. */
export interface Failed {
  /** The token that it went by, and the snapshot that it was to bring. */
  readonly tried: ResumeToken;
  readonly to: Guid;
  /** The target as it is now. */
  readonly there: Pick<Target, 'partial' | 'snapshots'>;
  /** Tries so far, and milliseconds since the first of them. */
  readonly tries: number;
  readonly waited: number;
}

/**
 * Decides about the next try.
 *
 * @param thrown what the last one ended with.
 * @example nextTry(thrown, { tried, to, there, tries: 1, waited: 0 }).kind // 'wait'
 */
export function nextTry(thrown: unknown, { tried, to, there, tries, waited }: Failed): NextTry {
  if (!isOfRest(thrown)) return { kind: 'give-up' };
  const { partial, snapshots } = there;
  if (!partial) return { kind: snapshots[0]?.guid === to ? 'done' : 'give-up' };
  if (thrown.code === EXISTS) return { kind: 'give-up' };
  const isLate = waited >= ENDING;
  if (thrown.code === BUSY) return isLate ? { kind: 'give-up' } : { kind: 'wait', pause: pauseAfter(tries) };
  const { token } = partial;
  if (!token || token.toguid !== tried.toguid || isDeepStrictEqual(token, tried)) return { kind: 'again' };
  return isLate ? { kind: 'give-up' } : { kind: 'resume', token };
}

function pauseAfter(tries: number): number {
  return Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(tries - 1, 10));
}
