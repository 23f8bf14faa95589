/** What a store's answer, or its silence, means to the one who asked: one table for the SDK and for grants. */
import { type ErrorDetails, type ErrorKind, messageOf, ZkeepError } from '../../../errors.ts';
import { bodyMismatch, keyTaken, noObject } from '../store-errors.ts';

/** An answer that is no success. */
export interface Refusal {
  readonly status: number;
  /** `<Code>` of the answer; empty when it had none. */
  readonly code: string;
  readonly message: string;
}

/**
 * The failure in the words of a store. The code decides, then the status.
 *
 * @param what the object, e.g. `s3://bucket/prefix/key`.
 * @example explainRefusal({ status: 503, code: 'SlowDown', message: '' }, 's3://b/k').kind // 'unavailable'
 */
export function explainRefusal(refusal: Refusal, what: string, cause?: unknown): ZkeepError {
  const { status, code } = refusal;
  if (code === 'NoSuchKey') return noObject(what, cause);
  if (MISMATCHES.has(code)) return bodyMismatch(what, { status, code }, cause);
  const meaning = BY_CODE.get(code) ?? BY_STATUS.get(status) ?? (status >= 500 ? AGAIN : REJECTED);
  if (meaning === TAKEN) return keyTaken(what, cause);
  if (meaning === ABSENT) return noObject(what, cause);
  const [kind, ours, said, advice] = meaning;
  const answer = [status, code, refusal.message.slice(0, 200)].filter(Boolean).join(' ');
  const details: ErrorDetails = { advice, facts: { status, code }, cause };
  return new ZkeepError(kind, ours, `${said}: ${what} (${answer})`, details);
}

/**
 * A failure below HTTP in the words of a store: no connection, a lost one, time-outs.
 *
 * @returns `undefined` when the thrown thing is something else.
 */
export function explainBrokenLine(thrown: unknown, what: string): ZkeepError | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const code = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : thrown.name;
  const untrusted = TLS.test(code);
  if (!untrusted && !PASSING.test(code)) return undefined;
  const said = `${untrusted ? 'no trust in the store' : 'no answer from the store'}: ${what}`;
  return new ZkeepError(
    untrusted ? 'failed' : 'unavailable',
    untrusted ? 'store.tls' : 'store.unavailable',
    `${said} (${code}: ${messageOf(thrown)})`,
    {
      advice: untrusted
        ? 'check the address and the certificate; NODE_EXTRA_CA_CERTS names a file of further authorities'
        : 'check the address of the store and the network to it',
      facts: { code },
      cause: thrown,
    },
  );
}

type Meaning = readonly [kind: ErrorKind, code: string, said: string, advice: string];

const DENIED: Meaning = [
  'denied',
  'store.denied',
  'the store denied it',
  'check the access key, its secret and what the bucket policy allows',
];
const FULL: Meaning = [
  'full',
  'store.full',
  'the store has no room left',
  'raise the quota or make room, then run it again',
];
const AGAIN: Meaning = [
  'unavailable',
  'store.unavailable',
  'the store could not do it now',
  'try again later; a store that is full may answer so too',
];
const CLOCK: Meaning = [
  'denied',
  'store.clock',
  'the clocks of the store and of this machine differ too much',
  'set the clocks (NTP); a request is valid for 15 minutes around its time',
];
const REGION: Meaning = [
  'usage',
  'store.region',
  'the bucket is in another region or at another address',
  'set region, and endpoint if there is one',
];
const UNSUPPORTED: Meaning = [
  'failed',
  'store.unsupported',
  'the store does not know how to do that',
  'see STORES.md for what zkeep asks of a store',
];
const REJECTED: Meaning = [
  'failed',
  'store.rejected',
  'the store did not take the request',
  'see STORES.md for the settings that a store may need',
];
const NO_BUCKET: Meaning = [
  'missing',
  'store.no-bucket',
  'there is no such bucket',
  'check bucket, endpoint and region, or make the bucket',
];
const ARCHIVED: Meaning = [
  'refused',
  'store.archived',
  'the object is in an archive tier',
  'bring it back from the archive, then run it again',
];
const SHORT: Meaning = [
  'damaged',
  'store.short',
  'the object ends before the range does',
  'it was truncated or replaced after zkeep wrote it; verify the repository',
];
const TAKEN: Meaning = ['refused', 'store.exists', '', ''];
const ABSENT: Meaning = ['missing', 'store.missing', '', ''];

/** The store's words for a body that does not match its signed hash, its checksum or its length. */
const MISMATCHES = new Set([
  'XAmzContentSHA256Mismatch',
  'BadDigest',
  'InvalidDigest',
  'ContentChecksumMismatch',
]);

const BY_CODE: ReadonlyMap<string, Meaning> = new Map([
  ['AuthorizationHeaderMalformed', REGION],
  ['ConditionalRequestConflict', AGAIN],
  ['IllegalLocationConstraintException', REGION],
  ['IncompleteBody', AGAIN],
  ['InsufficientCapacity', FULL],
  ['InsufficientStorage', FULL],
  ['InternalError', AGAIN],
  ['InvalidObjectState', ARCHIVED],
  ['NoSuchBucket', NO_BUCKET],
  ['NotImplemented', UNSUPPORTED],
  ['OperationAborted', AGAIN],
  ['PermanentRedirect', REGION],
  ['PreconditionFailed', TAKEN],
  ['QuotaExceeded', FULL],
  ['RequestTimeTooSkewed', CLOCK],
  ['RequestTimeout', AGAIN],
  ['ServiceUnavailable', AGAIN],
  ['SlowDown', AGAIN],
  ['TemporaryRedirect', REGION],
  ['XMinioStorageFull', FULL],
]);

const BY_STATUS: ReadonlyMap<number, Meaning> = new Map([
  [301, REGION],
  [307, REGION],
  [401, DENIED],
  [403, DENIED],
  [404, ABSENT],
  [408, AGAIN],
  [412, TAKEN],
  [416, SHORT],
  [429, AGAIN],
  [501, UNSUPPORTED],
  [507, FULL],
]);

/** Names and codes of Node (`node:net`, `node:dns`), of undici and of the SDK. */
const PASSING =
  /^(TimeoutError|ECONNRESET|ECONNREFUSED|ECONNABORTED|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENETDOWN|EAI_AGAIN|ENOTFOUND|EADDRNOTAVAIL|ERR_STREAM_PREMATURE_CLOSE|UND_ERR_(CONNECT_TIMEOUT|HEADERS_TIMEOUT|BODY_TIMEOUT|SOCKET|INFO)|HPE_\w+)$/;
const TLS = /CERT|^(EPROTO|ERR_TLS_\w+|ERR_SSL_\w+|UNABLE_TO_\w+)$/;
