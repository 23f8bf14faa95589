/** What a failed file operation means to the one who asked a store for something. */
import { type ErrorDetails, type ErrorKind, messageOf, ZkeepError } from '../../../errors.ts';

/** The error code of the operating system, such as `ENOENT`, if the thrown thing has one. */
export function errnoOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown) || !('syscall' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}

/**
 * The failure in the words of a store; what is not from the operating system stays as it is.
 *
 * @param doing what was tried, e.g. `write /srv/zkeep/zkeep.json`.
 */
export function explainFileError(thrown: unknown, doing: string): unknown {
  const errno = errnoOf(thrown);
  if (errno === undefined) return thrown;
  const [kind, code, what, advice] = MEANINGS[errno] ?? UNFORESEEN;
  const details: ErrorDetails = { advice, facts: { errno }, cause: thrown };
  return new ZkeepError(kind, code, `could not ${doing}: ${what} (${messageOf(thrown)})`, details);
}

type Meaning = readonly [kind: ErrorKind, code: string, what: string, advice: string];

const FULL: Meaning = [
  'full',
  'store.full',
  'no room is left',
  'make room or raise the quota, then run it again',
];
const DENIED: Meaning = [
  'denied',
  'store.denied',
  'not allowed',
  'check the owner and the mode of the folder',
];
const TRY_AGAIN: Meaning = [
  'unavailable',
  'store.unavailable',
  'it cannot be reached now',
  'try again later',
];
const CLASH: Meaning = [
  'refused',
  'store.key-clash',
  'a folder or a file of that name is in the way',
  'no key may be the folder of another',
];
const NO_LINKS: Meaning = [
  'failed',
  'store.no-links',
  'the file system cannot do it',
  'keep the repository on one file system that has hard links',
];
const UNFORESEEN: Meaning = [
  'failed',
  'store.failed',
  'the file system failed',
  'check the disk and the system log (dmesg)',
];

/** By errno; the others, EIO above all, are no passing matter: {@link UNFORESEEN}. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOENT: ['missing', 'store.missing', 'it is not there', 'check the name'],
  ENOSPC: FULL,
  EDQUOT: FULL,
  EFBIG: FULL,
  EACCES: DENIED,
  EPERM: DENIED,
  EROFS: DENIED,
  ENOTDIR: CLASH,
  EISDIR: CLASH,
  EEXIST: CLASH,
  ENOTEMPTY: CLASH,
  EXDEV: NO_LINKS,
  ENOTSUP: NO_LINKS,
  EOPNOTSUPP: NO_LINKS,
  EMLINK: NO_LINKS,
  EAGAIN: TRY_AGAIN,
  EBUSY: TRY_AGAIN,
  EMFILE: TRY_AGAIN,
  ENFILE: TRY_AGAIN,
  ENOMEM: TRY_AGAIN,
  ESTALE: TRY_AGAIN,
  ETIMEDOUT: TRY_AGAIN,
  EHOSTDOWN: TRY_AGAIN,
};
