/** Brings the notices of one receiver to it, one after the other, in the order of the journal. */
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../../catalog/clock.ts';
import { messageOf } from '../../catalog/errors.ts';
import type { Entry } from '../../catalog/journal/entry.ts';
import { pauseAfter } from '../../catalog/retry.ts';
import type { Delivered, Receiver } from './delivery.ts';
import { noticeDocument, type Teller } from './document.ts';
import type { NoticeQueue, Waiting } from './queue.ts';

/** Between two tries, milliseconds: random, and at most this, from doubling bounds. */
const PAUSES = { firstPause: 4_000, longestPause: 15 * 60_000 };
const SHORTEST_PAUSE = 1_000;
/** One that the receiver does not want is tried so often, any other for so long, milliseconds. */
const REFUSALS = 6;
const LONGEST = 7 * 86_400_000;
/** After a defect or a trouble of the database, milliseconds. */
const AFTER_TROUBLE = 60_000;

export interface PostTools {
  readonly receiver: Receiver;
  readonly queue: NoticeQueue;
  readonly teller: Teller;
  readonly clock: Clock;
  readonly log: FastifyBaseLogger;
}

export class Post {
  readonly #tools: PostTools;
  /** Ends waiting. */
  readonly #stopping = new AbortController();
  /** Ends a try that is on its way. */
  readonly #late = new AbortController();
  #wake: () => void = () => undefined;
  #done: Promise<void> = Promise.resolve();
  /** Said last of this receiver: the same is not said again. */
  #said = '';

  constructor(tools: PostTools) {
    this.#tools = tools;
  }

  start(): void {
    this.#done = this.#run();
  }

  /** Takes notices in. */
  add(entries: readonly Entry[]): void {
    const { queue, clock, log, receiver } = this.#tools;
    const dropped = queue.add(entries, clock.now());
    if (dropped > 0) log.error({ dropped }, `notices are given up: too many wait for ${receiver.name}`);
    this.#wake();
  }

  /** How it stands with it, in words, where it does not stand well. */
  trouble(): string | null {
    const { queue, receiver } = this.#tools;
    if (this.#said === '') return null;
    return `${receiver.name} does not take notices, ${queue.counts().waiting} wait: ${this.#said}`;
  }

  /** Lets the one that is on its way come to its end within the time, milliseconds; the others wait for the next start. */
  async stop(milliseconds: number): Promise<void> {
    const { queue, clock, receiver } = this.#tools;
    this.#stopping.abort();
    this.#wake();
    const late = setTimeout(() => this.#late.abort(), milliseconds);
    await this.#done;
    clearTimeout(late);
    queue.looked(clock.now());
    await receiver.close();
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { queue, clock, log, receiver } = this.#tools;
    while (!this.#stopping.signal.aborted) {
      try {
        const woken = new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        const first = queue.first();
        // A clock that was set back would have it wait for a moment that is far away now.
        const wait = Math.min((first?.due ?? 0) - clock.now(), PAUSES.longestPause);
        if (!first) await woken;
        else if (wait > 0) await this.#pause(wait);
        else await this.#bring(first);
      } catch (thrown) {
        log.error({ err: thrown }, `notices to ${receiver.name} cannot be brought: ${messageOf(thrown)}`);
        await this.#pause(AFTER_TROUBLE);
      }
    }
  }

  async #pause(milliseconds: number): Promise<void> {
    // It rejects only because the service ends.
    await this.#tools.clock.sleep(milliseconds, this.#stopping.signal).catch(() => undefined);
  }

  async #bring(waiting: Waiting): Promise<void> {
    const { queue, receiver, teller } = this.#tools;
    const { dropped } = queue.counts();
    const document = noticeDocument(waiting.entry, teller, dropped);
    const ended = await receiver.deliver(document, this.#late.signal);
    if (ended.kind !== 'delivered') return this.#failed(waiting, ended);
    queue.delivered(waiting, dropped);
    this.#said = '';
  }

  #failed(waiting: Waiting, { kind, words }: Exclude<Delivered, { kind: 'delivered' }>): void {
    const { queue, clock, log, receiver } = this.#tools;
    const now = clock.now();
    const tries = waiting.tries + 1;
    const { id } = waiting.entry;
    if (now - waiting.queued >= LONGEST || (kind === 'refused' && tries >= REFUSALS)) {
      log.error({ notice: id, tries }, `a notice to ${receiver.name} is given up: ${words}`);
      queue.dropped(waiting);
    } else {
      if (words !== this.#said) log.warn({ notice: id }, `${receiver.name} did not take a notice: ${words}`);
      queue.putOff(waiting, now + Math.max(SHORTEST_PAUSE, pauseAfter(tries, PAUSES, clock)));
    }
    this.#said = words;
  }
}
