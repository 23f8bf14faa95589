/** Sending what a grant allows: the way of an agent, which holds no credentials. */
import { Readable } from 'node:stream';
import { Agent, type Dispatcher, request } from 'undici';
import { type Clock, systemClock } from '../../clock.ts';
import { type ErrorKind, EXIT_CODES, ZkeepError } from '../../errors.ts';
import { blameTheWay, piecesOf, readBody } from './body.ts';
import { TIMEOUTS, type Timeouts, timeFor, withDeadline } from './deadline.ts';
import { atPace, type Pace } from './pace.ts';
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

/** A bounded pool of connections that are kept alive, and what can be done with a grant. */
export interface Transfers {
  /**
   * Writes the granted object. One try: the caller retries, with a new grant when this one has expired.
   *
   * @throws {ZkeepError} `refused` with code `store.exists` when the key is taken (perhaps by
   *   an earlier try whose answer was lost: compare), `unavailable` with code `grant.expired`,
   *   `damaged` when `body` is not what was granted, and the kinds of `ObjectStore`.
   * @param pace bounds how fast it goes; waiting for it counts as no slowness of the store.
   */
  putByGrant(grant: Grant, body: Uint8Array, signal?: AbortSignal, pace?: Pace): Promise<void>;
  /** Reads the granted object. One try, as above. The caller checks the digest: a store does not. */
  getByGrant(grant: Grant, options: Omit<GetOptions, 'range'>): Promise<Buffer>;
  /**
   * The size of the granted object, bytes; `undefined` when it is gone. One try, as above. Asks for
   * one byte: the range is no part of what the grant signs, and a store that does not know ranges
   * tells the length all the same.
   */
  sizeByGrant(grant: Grant, signal?: AbortSignal): Promise<number | undefined>;
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

  /** One request; `take` reads the body of the answer, of at most `bytes`. */
  async function send<T>(
    grant: Grant,
    {
      body = null,
      bytes,
      signal,
      pace,
    }: {
      body?: Uint8Array | null;
      bytes: number;
      signal?: AbortSignal | undefined;
      pace?: Pace | undefined;
    },
    take: (answer: Answer) => Promise<T>,
  ): Promise<T> {
    const { method, url, headers } = grant;
    try {
      return await withDeadline(timeFor(timeouts.whole, bytes), signal, async (limited, waiting) => {
        const paced =
          body && pace && Readable.from(atPace(body, pace, waiting, limited), { highWaterMark: 1 });
        const answer = await request(url, {
          dispatcher: agent,
          method,
          headers,
          body: paced ?? (body && piecesOf(body)),
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
    async putByGrant(grant, body, signal, pace) {
      const length = headerOf(grant, 'content-length');
      if (length !== undefined && Number(length) !== body.byteLength)
        throw bodyMismatch(nameOf(grant), { granted: Number(length), size: body.byteLength });
      try {
        await send(grant, { body, bytes: body.byteLength, signal, pace }, (answer) => answer.body.dump());
      } catch (thrown) {
        throw blameTheWay(thrown, body, headerOf(grant, 'x-amz-content-sha256'));
      }
    },
    getByGrant: (grant, { maxBytes, into, signal }) =>
      send(grant, { bytes: maxBytes, signal }, ({ headers, body }) => {
        const told = headers['content-length'];
        const length = told === undefined ? undefined : Number(told);
        return readBody(body, length, maxBytes, nameOf(grant), into);
      }),
    async sizeByGrant(grant, signal) {
      const first = { ...grant, headers: { ...grant.headers, range: 'bytes=0-0' } };
      try {
        return await send(first, { bytes: 0, signal }, async ({ statusCode, headers, body }) => {
          body.on('error', () => undefined).destroy();
          return sizeIn(statusCode, headers, nameOf(grant));
        });
      } catch (thrown) {
        if (!(thrown instanceof ZkeepError)) throw thrown;
        if (GONE.has(thrown.code)) return undefined;
        // An empty object has no first byte (RFC 9110, 15.5.17).
        if (EMPTY.has(thrown.code)) return 0;
        throw thrown;
      }
    },
    close: () => agent.destroy(),
  };
}

/** {@link Transfers.putByGrant} over the connections that the whole process shares. */
export function putByGrant(grant: Grant, body: Uint8Array, signal?: AbortSignal, pace?: Pace): Promise<void> {
  return shared().putByGrant(grant, body, signal, pace);
}

/** {@link Transfers.getByGrant} over the connections that the whole process shares. */
export function getByGrant(grant: Grant, options: Omit<GetOptions, 'range'>): Promise<Buffer> {
  return shared().getByGrant(grant, options);
}

/** {@link Transfers.sizeByGrant} over the connections that the whole process shares. */
export function sizeByGrant(grant: Grant, signal?: AbortSignal): Promise<number | undefined> {
  return shared().sizeByGrant(grant, signal);
}

type Answer = Dispatcher.ResponseData;

/** How a store and the service say that there is no object, and that it has no byte. */
const GONE: ReadonlySet<string> = new Set(['store.missing', 'object.missing']);
const EMPTY: ReadonlySet<string> = new Set(['store.short', 'object.range']);

/** Longest answer that is read for its reason, characters. */
const LONGEST_REASON = 64 * 1024;

let pool: Transfers | undefined;

/** Idle connections do not keep the process alive, so nobody has to close it. */
function shared(): Transfers {
  pool ??= openTransfers();
  return pool;
}

/** The size of an object in the answer to `range: bytes=0-0`. */
function sizeIn(status: number, headers: Answer['headers'], what: string): number {
  const told =
    status === 206 ? /\/(\d{1,16})$/.exec(String(headers['content-range']))?.[1] : headers['content-length'];
  if (typeof told === 'string') return Number(told);
  throw new ZkeepError('failed', 'store.unsupported', `the store does not tell the size of ${what}`, {
    advice: 'see STORES.md for what zkeep asks of a store',
    facts: { status },
  });
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
