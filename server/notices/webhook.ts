/** Notices by HTTP: a POST of one JSON document, signed. */
import { Agent, request } from 'undici';
import type { Clock } from '../../catalog/clock.ts';
import { messageOf } from '../../catalog/errors.ts';
import { VERSION } from '../version.ts';
import type { Delivered, Receiver } from './delivery.ts';
import { type NoticeDocument, SIGNATURE_HEADER, sign } from './document.ts';

/** Longest that one POST takes, milliseconds. */
const TIMEOUT = 15_000;
/** Statuses below 500 that pass: request timeout, too early, too many requests. */
const PASSING = new Set([408, 425, 429]);

export interface WebhookOptions {
  readonly url: string;
  /** Signs the body. */
  readonly secret: string | undefined;
  readonly clock: Clock;
  /** Milliseconds. */
  readonly timeout?: number;
}

export class Webhook implements Receiver {
  readonly name: string;
  readonly #options: WebhookOptions;
  readonly #agent: Agent;

  constructor(options: WebhookOptions) {
    this.#options = options;
    // The path of many webhooks is their secret.
    this.name = `webhook ${new URL(options.url).origin}`;
    this.#agent = new Agent({ connections: 1, connect: { timeout: options.timeout ?? TIMEOUT } });
  }

  async deliver(document: NoticeDocument, signal: AbortSignal): Promise<Delivered> {
    const { url, secret, clock, timeout = TIMEOUT } = this.#options;
    const body = JSON.stringify(document);
    const seconds = Math.floor(clock.now() / 1000);
    try {
      const answer = await request(url, {
        method: 'POST',
        dispatcher: this.#agent,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)]),
        headers: {
          'content-type': 'application/json',
          'user-agent': `zkeep-server/${VERSION}`,
          ...(secret === undefined ? {} : { [SIGNATURE_HEADER]: sign(body, seconds, secret) }),
        },
        body,
      });
      // Nobody reads what it says; it may be endless.
      answer.body.on('error', () => undefined).destroy();
      return judged(answer.statusCode);
    } catch (thrown) {
      return { kind: 'away', words: messageOf(thrown) };
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

function judged(status: number): Delivered {
  if (status >= 200 && status < 300) return { kind: 'delivered' };
  const words = `it answered with status ${status}`;
  // A redirect is not followed: the notice would go to somebody else.
  return { kind: status < 500 && !PASSING.has(status) ? 'refused' : 'away', words };
}
