/** The failures that every store tells alike, whatever it is made of. */
import { ZkeepError } from '../../errors.ts';

/** There is no such object. */
export function noObject(what: string, cause?: unknown): ZkeepError {
  return new ZkeepError('missing', 'store.missing', `there is no ${what}`, {
    advice: 'check the name; if zkeep stored it, somebody removed it',
    cause,
  });
}

/** The key is taken, by other bytes as far as is known. */
export function keyTaken(what: string, cause?: unknown): ZkeepError {
  return new ZkeepError(
    'refused',
    'store.exists',
    `${what} is there already, and objects are never overwritten`,
    {
      advice: 'compare it with what was to be written',
      cause,
    },
  );
}

/** The body is not the one that was announced; nothing was stored. */
export function bodyMismatch(
  what: string,
  facts: Record<string, string | number>,
  cause?: unknown,
): ZkeepError {
  return new ZkeepError(
    'damaged',
    'store.mismatch',
    `the bytes for ${what} are not those that were announced`,
    {
      advice: 'nothing was stored; if it happens again, suspect the memory of this machine',
      facts,
      cause,
    },
  );
}

/** The object ends before the range that was asked for does. */
export function endsEarly(
  what: string,
  { start, end }: { start: number; end: number },
  cause?: unknown,
): ZkeepError {
  return new ZkeepError('damaged', 'store.short', `${what} ends before byte ${end}`, {
    advice: 'it was truncated or replaced after zkeep wrote it; verify the repository',
    facts: { start, end },
    cause,
  });
}

/** The object is larger than the caller takes. */
export function tooLarge(what: string, length: number, maxBytes: number): ZkeepError {
  return new ZkeepError(
    'damaged',
    'store.too-large',
    `${what} is larger than it may be (${maxBytes} bytes)`,
    {
      advice: 'it is not what zkeep wrote there; see who else writes to this place',
      facts: { length, max_bytes: maxBytes },
    },
  );
}

/** The connection ended with the body unfinished. */
export function cutShort(what: string, size: number, length: number): ZkeepError {
  return new ZkeepError('unavailable', 'store.cut', `${what} came with ${size} bytes instead of ${length}`, {
    advice: 'check the network to the store',
    facts: { size, length },
  });
}
