/**
 * One request to the service and its answer as JSON: bounded in time and size,
 * tried again while the service does not answer, failures as they were there.
 */
import { Agent, request } from 'undici';
import { systemClock } from '../../catalog/clock.ts';
import { type ErrorKind, EXIT_CODES, type Facts, messageOf, ZkeepError } from '../../catalog/errors.ts';
import { REQUEST_RETRIES, type RetryPolicy, retry } from '../../catalog/retry.ts';

/** Where the service is and what opens it. */
export interface ServiceAccess {
  /** Without a slash at the end. */
  readonly url: string;
  readonly token: string;
  /** Told when the service did not answer and is asked again. */
  readonly onRetry?: (thrown: unknown, pause: number) => void;
}

/** What is asked. */
export interface Question {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** From the first slash on, parts encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  /** Longest wait for the first byte of the answer, milliseconds. */
  readonly timeout?: number;
  /** Most bytes of the answer. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal | undefined;
}

const TIMEOUT = 60_000;
const MAX_ANSWER = 64 * 1024 * 1024;
/** Before the first answer: an address that was wrong all along should not cost a minute. */
const FIRST_RETRIES: RetryPolicy = { tries: 5, firstPause: 200, longestPause: 2_000, budget: 5_000 };

/** A connection to one service. */
export class Exchange {
  readonly access: ServiceAccess;
  readonly #agent = new Agent({ connections: 8, connect: { timeout: 10_000 }, bodyTimeout: TIMEOUT });
  #answered = false;

  constructor(access: ServiceAccess) {
    this.access = access;
  }

  /**
   * Asks, again while the service does not answer: about a minute long once it
   * did answer before, so that a restart of it passes unnoticed.
   *
   * @returns the answer's JSON; `undefined` for an empty one.
   * @throws {ZkeepError} the service's own failure, or `unavailable`.
   */
  async ask(question: Question): Promise<unknown> {
    return await retry(() => this.#try(question), {
      policy: this.#answered ? REQUEST_RETRIES : FIRST_RETRIES,
      clock: systemClock,
      ...(question.signal ? { signal: question.signal } : {}),
      onRetry: (thrown, _attempt, pause) => this.access.onRetry?.(thrown, pause),
    });
  }

  /** Frees the sockets. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #try(question: Question): Promise<unknown> {
    const { method, path, body, timeout = TIMEOUT, maxBytes = MAX_ANSWER, signal } = question;
    const { url, token } = this.access;
    try {
      const answer = await request(`${url}${path}${queryText(question.query)}`, {
        method,
        dispatcher: this.#agent,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        headersTimeout: timeout,
        ...(signal ? { signal } : {}),
      });
      const text = await readText(answer.body, maxBytes);
      if (answer.statusCode >= 500) throw this.#failure(answer.statusCode, text);
      this.#answered = true;
      if (answer.statusCode >= 300) throw this.#failure(answer.statusCode, text);
      return text === '' ? undefined : this.#parse(text);
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
