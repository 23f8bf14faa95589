/**
 * Every failure that a person is to read is a {@link ZkeepError}: a stable code,
 * the facts as fields, and words that say what to do. Its `kind` alone decides
 * the exit code of a command and the status of an HTTP answer.
 */

/** What sort of failure it is, by what the one who meets it can do about it. */
export type ErrorKind =
  /** The request itself is wrong: an argument, a setting, a malformed name. */
  | 'usage'
  /** Something named does not exist. */
  | 'missing'
  /** Understood, and not done: it would break a promise. */
  | 'refused'
  /** Bytes are not what they must be: a spoilt stream, a damaged object. */
  | 'damaged'
  /** Somebody else is at it. */
  | 'busy'
  /** No right to do it. */
  | 'denied'
  /** No room left. */
  | 'full'
  /** A part did not answer, or answered with a passing failure: try again. */
  | 'unavailable'
  /** A command that zkeep ran (zfs, zpool) failed. */
  | 'failed';

/** Plain values that describe a failure; they go into logs, JSON and HTTP answers. */
export type Facts = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

/** What an error carries besides its words. */
export interface ErrorDetails {
  /** What to do about it, as one sentence without a full stop. */
  readonly advice?: string;
  readonly facts?: Facts;
  readonly cause?: unknown;
}

/**
 * A failure in words.
 *
 * @example
 * throw new ZkeepError('missing', 'zfs.no-dataset', `there is no dataset ${name}`, {
 *   advice: 'zfs list shows the datasets of this host', facts: { dataset: name } });
 */
export class ZkeepError extends Error {
  readonly kind: ErrorKind;
  /** `room.what`, stable over versions: scripts may test it. */
  readonly code: string;
  readonly advice: string | undefined;
  readonly facts: Facts;

  constructor(kind: ErrorKind, code: string, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.kind = kind;
    this.code = code;
    this.advice = details.advice;
    this.facts = details.facts ?? {};
  }

  /** The shape in which an error goes into `--json` output and HTTP answers. */
  toJSON(): { kind: ErrorKind; code: string; message: string; advice: string | null; facts: Facts } {
    return {
      kind: this.kind,
      code: this.code,
      message: this.message,
      advice: this.advice ?? null,
      facts: this.facts,
    };
  }
}

/** The exit code of a command that failed so. 0 is success, 1 any unforeseen error, 7 partly done. */
export const EXIT_CODES: Readonly<Record<ErrorKind, number>> = {
  failed: 1,
  usage: 2,
  missing: 3,
  refused: 4,
  damaged: 5,
  busy: 6,
  denied: 8,
  full: 9,
  unavailable: 10,
};

/** The status of an HTTP answer that reports such a failure. */
export const HTTP_STATUS: Readonly<Record<ErrorKind, number>> = {
  failed: 500,
  usage: 400,
  missing: 404,
  refused: 422,
  damaged: 422,
  busy: 409,
  denied: 403,
  full: 507,
  unavailable: 503,
};

/** The words of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
