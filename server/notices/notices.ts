/** Tells others what happened: webhooks and hooks, as the configuration says. NOTICES.md is the page on it. */
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../../catalog/clock.ts';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import type { CatalogIndex } from '../../catalog/index/catalog-index.ts';
import type { Entry } from '../../catalog/journal/entry.ts';
import type { Notice } from '../configuration/jobs.ts';
import type { State } from '../state/state.ts';
import type { Receiver } from './delivery.ts';
import type { Teller } from './document.ts';
import { Hook } from './hook.ts';
import { Post } from './post.ts';
import { forgetOthers, LOOK_BACK, NoticeQueue } from './queue.ts';
import { isTold, kindsOf } from './told.ts';
import { Webhook } from './webhook.ts';

/** Most facts of the time when the service was down that are told at its start. */
const MOST_MISSED = 10_000;
/** What is on its way when the service ends may take so long, milliseconds. */
const LAST = 3_000;
/** Least characters of a secret. */
const SECRET = 16;

export interface NoticeTools {
  readonly state: State;
  readonly index: Pick<CatalogIndex, 'events'>;
  readonly journal: { onFact(listener: (entry: Entry) => void): () => void };
  readonly clock: Clock;
  readonly log: FastifyBaseLogger;
  readonly teller: Teller;
}

interface Told {
  readonly events: readonly string[];
  readonly post: Post;
  /** Up to when a former run looked what is to be told; `undefined`: none did. */
  readonly looked: number | undefined;
}

/** Of what happens, all that is asked for goes into the queue of whoever asks for it, and from there to it. */
export class Notices {
  readonly #tools: NoticeTools;
  readonly #told: readonly Told[];
  readonly #forget: () => void;

  /**
   * Takes note of facts from now on.
   *
   * @throws {ZkeepError} `usage` for a secret that cannot be read or is too short.
   */
  constructor(settings: readonly Notice[], tools: NoticeTools) {
    this.#tools = tools;
    const receivers = settings.map((one) => ({
      ...one,
      place: placeOf(one),
      receiver: receiverOf(one, tools),
    }));
    const left = forgetOthers(
      tools.state,
      receivers.map(({ place }) => place),
    );
    if (left > 0)
      tools.log.warn({ left }, 'notices to receivers that are not configured any more are dropped');
    this.#told = receivers.map(({ events, place, receiver }) => {
      const queue = new NoticeQueue(tools.state, place);
      const looked = queue.begin(tools.clock.now());
      return { events, looked, post: new Post({ ...tools, receiver, queue }) };
    });
    this.#forget = tools.journal.onFact((entry) => {
      for (const { events, post } of this.#told) if (isTold(events, entry.fact)) post.add([entry]);
    });
  }

  /** Begins to deliver: what a former run left, what happened in between, what happens. */
  start(): void {
    for (const { events, looked, post } of this.#told) {
      if (looked !== undefined) post.add(this.#missed(events, looked - LOOK_BACK));
      post.start();
    }
  }

  /** What is wrong with receivers, in words. */
  problems(): string[] {
    return this.#told.flatMap(({ post }) => post.trouble() ?? []);
  }

  /** What is not delivered waits for the next start. */
  async stop(): Promise<void> {
    this.#forget();
    await Promise.all(this.#told.map(({ post }) => post.stop(LAST)));
  }

  /** The oldest first. */
  #missed(events: readonly string[], since: number): Entry[] {
    const missed: Entry[] = [];
    const kinds = kindsOf(events).join(',');
    for (let after: string | undefined; missed.length < MOST_MISSED && kinds !== ''; ) {
      const page = this.#tools.index.events({
        kinds,
        since: new Date(since).toISOString(),
        limit: 1000,
        ...(after ? { after } : {}),
      });
      missed.push(...page.events.filter(({ fact }) => isTold(events, fact)));
      if (page.next === null) break;
      after = page.next;
    }
    return missed.toReversed();
  }
}

/** The same after a restart, and with other `events`; without what is secret in it. */
function placeOf({ to }: Notice): string {
  return hash('sha256', JSON.stringify(to.kind === 'webhook' ? [to.kind, to.url] : [to.kind, to.command]));
}

function receiverOf({ to }: Notice, { clock }: NoticeTools): Receiver {
  if (to.kind === 'command') return new Hook(to.command);
  const secret = to.secretFile === undefined ? undefined : readSecret(to.secretFile);
  return new Webhook({ url: to.url, secret, clock });
}

function readSecret(file: string): string {
  const wrong = (what: string, cause?: unknown) =>
    new ZkeepError('usage', 'notices.secret', `the secret of a webhook in ${file} ${what}`, {
      advice: 'webhook.secret_file names a file with one line: head -c 32 /dev/urandom | base64 makes one',
      facts: { file },
      cause,
    });
  let secret: string;
  try {
    secret = readFileSync(file, 'utf8').trim();
  } catch (thrown) {
    throw wrong(`cannot be read: ${messageOf(thrown)}`, thrown);
  }
  if (secret.length < SECRET) throw wrong(`has less than ${SECRET} characters`);
  return secret;
}
