/**
 * One request to the service and its answer as JSON: bounded in time and size,
 * tried again while the service does not answer, failures as they were there.
 */
import { Agent, request } from 'undici';
import { systemClock } from '../../catalog/clock.ts';
import { type ErrorKind, EXIT_CODES, type Facts, messageOf, ZkeepError } from '../../catalog/errors.ts';
import { Patience } from '../../catalog/patience.ts';
import { piecesOf } from '../../catalog/repository/store/body.ts';
import { TIMEOUTS, type Timeouts } from '../../catalog/repository/store/deadline.ts';

/** Where the service is and what opens it. */
export interface ServiceAccess {
  /** Without a slash at the end. */
  readonly url: string;
  /** Empty for what needs none. */
  readonly token: string;
  /** How long it is waited for; shared with whatever else the command waits for. */
  readonly patience?: Patience;
  readonly timeouts?: Pick<Timeouts, 'connect' | 'stall'>;
}

/** What is asked. */
export interface Question {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** From the first slash on, parts encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  /** Besides those that every request has. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Longest wait for the first byte of the answer, milliseconds. */
  readonly timeout?: number;
  /** Most bytes of the answer. */
  readonly maxBytes?: number;
  /** Ends the request, and the wait for another try. */
  readonly signal?: AbortSignal | undefined;
  /** Ends only the wait for another try: what was asked already is not left in doubt. */
  readonly waiting?: AbortSignal | undefined;
  /** One try, that neither waits nor counts: it is asked again by itself, as a lease is renewed. */
  readonly once?: boolean;
}

/** Longer than the service itself tries its store, which may have a request of ours hang for so long. */
const TIMEOUT = 100_000;
const MAX_ANSWER = 64 * 1024 * 1024;

/** A connection to one service. */
export class Exchange {
  readonly access: ServiceAccess;
  readonly patience: Patience;
  readonly #agent: Agent;
  #ahead: number | null = null;
  readonly #closed = new AbortController();

  constructor(access: ServiceAccess) {
    const { patience = new Patience(), timeouts: { connect, stall } = TIMEOUTS } = access;
    this.access = access;
    this.patience = patience;
    this.#agent = new Agent({ connections: 8, connect: { timeout: connect }, bodyTimeout: stall });
  }

  /**
   * Asks, again while the service does not answer or has no room, as long as the patience lasts.
   *
   * @returns the answer's JSON; `undefined` for an empty one.
   * @throws {ZkeepError} the service's own failure, or `unavailable`.
   */
  async ask(question: Question): Promise<unknown> {
    const { once = false, signal, waiting = signal } = question;
    if (once) return await this.#try(question);
    const ended = waiting ? AbortSignal.any([waiting, this.#closed.signal]) : this.#closed.signal;
    return await this.patience.keep('service', () => this.#try(question), { signal: ended });
  }

  /**
   * Asks, and reads the answer.
   *
   * @param read checks the answer's shape.
   * @throws {ZkeepError} as {@link Exchange.ask}; `unavailable` for an answer of another shape.
   */
  async askFor<T>(read: (answer: unknown) => T, question: Question): Promise<T> {
    const answer = await this.ask(question);
    try {
      return read(answer);
    } catch (cause) {
      throw strangeAnswer(this.access.url, `${question.method} ${question.path} has another shape`, cause);
    }
  }

  /** So far the clock of who answered last was ahead of ours, milliseconds, to a second; `null`: nobody told. */
  get ahead(): number | null {
    return this.#ahead;
  }

  /** Frees the sockets, and ends what nobody waits for any more. */
  async close(): Promise<void> {
    this.#closed.abort(new Error('the connection to the service is closed'));
    await this.#agent.destroy();
  }

  async #try(question: Question): Promise<unknown> {
    const { method, path, body, headers = {}, timeout = TIMEOUT, maxBytes = MAX_ANSWER, signal } = question;
    const { url, token } = this.access;
    const text = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    signal?.throwIfAborted();
    try {
      const answer = await request(`${url}${path}${queryText(question.query)}`, {
        method,
        dispatcher: this.#agent,
        headers: {
          ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
          ...(text ? { 'content-type': 'application/json', 'content-length': String(text.length) } : {}),
          ...headers,
        },
        body: text ? piecesOf(text) : null,
        headersTimeout: timeout,
        ...(signal ? { signal } : {}),
      });
      const told = await readText(answer.body, maxBytes);
      const date = Date.parse(String(answer.headers['date']));
      // The header is cut off to a second.
      this.#ahead = Number.isNaN(date) ? null : date + 500 - systemClock.now();
      if (answer.statusCode >= 300) throw this.#failure(answer.statusCode, told);
      this.patience.heard();
      return told === '' ? undefined : this.#parse(told);
    } catch (thrown) {
      signal?.throwIfAborted();
      if (thrown instanceof ZkeepError) throw thrown;
      throw unreachable(url, thrown);
    }
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw strangeAnswer(this.access.url, 'it is not JSON', cause);
    }
  }

  /** The failure that the service reported; of something between us and it, by the status alone. */
  #failure(status: number, text: string): ZkeepError {
    const told = readFailure(text);
    // What stands before a service that does not run answers with statuses above 500 of its own.
    if (told || status < 500) this.patience.heard();
    if (told) return told;
    const [kind, code]: [ErrorKind, string] =
      status === 502 || status === 503 || status === 504 || status === 429
        ? ['unavailable', 'service.unavailable']
        : status === 401 || status === 403
          ? ['denied', 'service.denied']
          : ['failed', 'service.strange-answer'];
    return new ZkeepError(kind, code, `${this.access.url} answered with status ${status}`, {
      advice: 'this may not be zkeep-server, or something stands between: check --service',
      facts: { url: this.access.url, status, body: text.slice(0, 300) },
    });
  }
}

/** The failure for an answer whose shape is not the protocol's. */
export function strangeAnswer(url: string, why: string, cause: unknown): ZkeepError {
  return new ZkeepError('failed', 'service.strange-answer', `the answer of ${url} cannot be read: ${why}`, {
    advice: 'zkeep and zkeep-server should be of one version; check --service',
    facts: { url },
    cause,
  });
}

function queryText(query: Question['query']): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined) given.set(name, String(value));
  }
  return given.size === 0 ? '' : `?${given}`;
}

async function readText(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes) {
      throw new ZkeepError(
        'failed',
        'service.large-answer',
        `the service answers more than ${maxBytes} bytes`,
        {
          advice: 'check --service',
        },
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** `{kind, code, message, advice, facts}`, whatever else may stand there. */
function readFailure(text: string): ZkeepError | undefined {
  let told: unknown;
  try {
    told = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof told !== 'object' || told === null) return undefined;
  if (!('kind' in told) || !('code' in told) || !('message' in told)) return undefined;
  const { kind, code, message } = told;
  if (typeof kind !== 'string' || typeof code !== 'string' || typeof message !== 'string') return undefined;
  const advice = 'advice' in told && typeof told.advice === 'string' ? told.advice : undefined;
  return new ZkeepError(isKind(kind) ? kind : 'failed', code, message, {
    ...(advice === undefined ? {} : { advice }),
    facts: 'facts' in told ? readFacts(told.facts) : {},
  });
}

function isKind(text: string): text is ErrorKind {
  return Object.hasOwn(EXIT_CODES, text);
}

function readFacts(told: unknown): Facts {
  const facts: Record<string, string | number | boolean | null | string[]> = {};
  for (const [name, value] of Object.entries(told ?? {})) {
    if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) facts[name] = value;
    else if (Array.isArray(value)) facts[name] = value.map(String);
  }
  return facts;
}

function unreachable(url: string, cause: unknown): ZkeepError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const why = messageOf(cause) || code;
  if (/CERT|TLS|SSL|SELF_SIGNED|VERIFY/.test(code)) {
    return new ZkeepError(
      'denied',
      'service.certificate',
      `${url} has no certificate that is trusted: ${why}`,
      {
        advice: 'NODE_EXTRA_CA_CERTS=FILE adds a certificate authority',
        facts: { url },
        cause,
      },
    );
  }
  return new ZkeepError(
    'unavailable',
    'service.unreachable',
    `the service at ${url} does not answer: ${why}`,
    {
      advice: 'see that zkeep-server runs there; --service or ZKEEP_SERVICE names another address',
      facts: { url },
      cause,
    },
  );
}
