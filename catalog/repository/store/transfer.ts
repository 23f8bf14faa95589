/** Sending what a grant allows: the way of an agent, which holds no credentials. */
import { Readable } from 'node:stream';
import { Agent, type Dispatcher, request } from 'undici';
import { type Clock, systemClock } from '../../clock.ts';
import { type ErrorKind, EXIT_CODES, ZkeepError } from '../../errors.ts';
import { blameTheWay, readBody } from './body.ts';
import { TIMEOUTS, type Timeouts, withDeadline } from './deadline.ts';
import { explainBrokenLine, explainRefusal, type Refusal } from './s3/answers.ts';
import type { GetOptions, Grant } from './store.ts';
import { bodyMismatch } from './store-errors.ts';

/** How transfers are done; every field has a default. */
export interface TransferOptions {
  readonly timeouts?: Timeouts;
  /** Connections to one store at the same time, at most; further requests wait. */
  readonly connections?: number;
  readonly clock?: Clock;
}

/** A bounded pool of connections that are kept alive, and the two things to do with a grant. */
export interface Transfers {
  /**
   * Writes the granted object. One try: the caller retries, with a new grant when this one has expired.
   *
   * @throws {ZkeepError} `refused` with code `store.exists` when the key is taken (perhaps by
   *   an earlier try whose answer was lost: compare), `unavailable` with code `grant.expired`,
   *   `damaged` when `body` is not what was granted, and the kinds of `ObjectStore`.
   */
  putByGrant(grant: Grant, body: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** Reads the granted object. One try, as above. The caller checks the digest: a store does not. */
  getByGrant(grant: Grant, options: Pick<GetOptions, 'maxBytes' | 'signal'>): Promise<Buffer>;
  /** Frees the connections. */
  close(): Promise<void>;
}

/** Opens a pool of one's own; most callers use {@link putByGrant} and {@link getByGrant}. */
export function openTransfers(options: TransferOptions = {}): Transfers {
  const { timeouts = TIMEOUTS, connections = 16, clock = systemClock } = options;
  const agent = new Agent({
    connections,
    connect: { timeout: timeouts.connect },
    headersTimeout: timeouts.stall,
    bodyTimeout: timeouts.stall,
  });

  /** One request; `take` reads the body of the answer. */
  async function send<T>(
    grant: Grant,
    body: Uint8Array | null,
    signal: AbortSignal | undefined,
    take: (answer: Answer) => Promise<T>,
  ): Promise<T> {
    const { method, url, headers } = grant;
    try {
      return await withDeadline(timeouts.whole, signal, async (limited) => {
        const pieces = body && piecesOf(body);
        const answer = await request(url, {
          dispatcher: agent,
          method,
          headers,
          body: pieces,
          signal: limited,
        });
        if (answer.statusCode >= 200 && answer.statusCode < 300) return take(answer);
        throw explainAnswer(grant, await refusalOf(answer), clock.now());
      });
    } catch (thrown) {
      signal?.throwIfAborted();
      throw explainBrokenLine(thrown, nameOf(grant)) ?? thrown;
    }
  }

  return {
    async putByGrant(grant, body, signal) {
      const length = headerOf(grant, 'content-length');
      if (length !== undefined && Number(length) !== body.byteLength)
        throw bodyMismatch(nameOf(grant), { granted: Number(length), size: body.byteLength });
      try {
        await send(grant, body, signal, (answer) => answer.body.dump());
      } catch (thrown) {
        throw blameTheWay(thrown, body, headerOf(grant, 'x-amz-content-sha256'));
      }
    },
    getByGrant: (grant, { maxBytes, signal }) =>
      send(grant, null, signal, ({ headers, body }) => {
        const length = headers['content-length'];
        return readBody(body, length === undefined ? undefined : Number(length), maxBytes, nameOf(grant));
      }),
    close: () => agent.destroy(),
  };
}

/** {@link Transfers.putByGrant} over the connections that the whole process shares. */
export function putByGrant(grant: Grant, body: Uint8Array, signal?: AbortSignal): Promise<void> {
  return shared().putByGrant(grant, body, signal);
}

/** {@link Transfers.getByGrant} over the connections that the whole process shares. */
export function getByGrant(grant: Grant, options: Pick<GetOptions, 'maxBytes' | 'signal'>): Promise<Buffer> {
  return shared().getByGrant(grant, options);
}

type Answer = Dispatcher.ResponseData;

/** Bytes given to a connection at once: small, so that a stalled upload shows. */
const PIECE = 1024 * 1024;
/** Longest answer that is read for its reason, characters. */
const LONGEST_REASON = 64 * 1024;

let pool: Transfers | undefined;

/** Idle connections do not keep the process alive, so nobody has to close it. */
function shared(): Transfers {
  pool ??= openTransfers();
  return pool;
}

/**
 * undici's time-outs look at what is left to write: given whole, a large body
 * on a slow line would look like a store that does not answer.
 */
function piecesOf(body: Uint8Array): Uint8Array | Readable {
  return body.byteLength <= PIECE ? body : Readable.from(eachPiece(body), { highWaterMark: 1 });
}

function* eachPiece(body: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < body.byteLength; at += PIECE) yield body.subarray(at, at + PIECE);
}

/** A grant's address without its query, which may hold a signature. */
function nameOf(grant: Grant): string {
  const { origin, pathname } = new URL(grant.url);
  return `${origin}${pathname}`;
}

function headerOf(grant: Grant, name: string): string | undefined {
  return Object.entries(grant.headers).find(([key]) => key.toLowerCase() === name)?.[1];
}

/** What the answer says of itself: XML from an S3 store, JSON from the service. */
async function refusalOf({ statusCode, body }: Answer): Promise<Refusal & { readonly text: string }> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > LONGEST_REASON) break;
  }
  const code = /<Code>([^<]{1,100})<\/Code>/.exec(text)?.[1] ?? '';
  const message = /<Message>([^<]{1,500})<\/Message>/.exec(text)?.[1] ?? '';
  return { status: statusCode, code, message, text };
}

function explainAnswer(grant: Grant, refusal: Refusal & { readonly text: string }, now: number): ZkeepError {
  const own = serviceError(refusal.text);
  if (own?.code === 'grant.expired') return expired(grant, refusal, now);
  if (own) return own;
  const late =
    refusal.code === 'RequestTimeTooSkewed' || /expired/i.test(refusal.message) || now >= grant.expires;
  if (refusal.status === 403 && late) return expired(grant, refusal, now);
  return explainRefusal(refusal, nameOf(grant));
}

/** The error that the service put into its answer, as it was there. */
function serviceError(text: string): ZkeepError | undefined {
  try {
    const { kind, code, message, advice } = JSON.parse(text);
    if (!isKind(kind) || typeof code !== 'string' || typeof message !== 'string') return undefined;
    return new ZkeepError(kind, code, message, typeof advice === 'string' ? { advice } : {});
  } catch {
    return undefined; // An S3 store answers in XML, a proxy in HTML: their status speaks.
  }
}

function isKind(text: unknown): text is ErrorKind {
  return typeof text === 'string' && Object.hasOwn(EXIT_CODES, text);
}

function expired(grant: Grant, { status, code }: Refusal, now: number): ZkeepError {
  const left = Math.round((grant.expires - now) / 1000);
  return new ZkeepError('unavailable', 'grant.expired', `the grant for ${nameOf(grant)} has expired`, {
    advice:
      'ask for a new one; if that expires at once, set the clocks of the service and of the store (NTP)',
    facts: { status, code, seconds_left: left },
  });
}
