/**
 * A stream that can be given once more. Who finds that another `zfs receive` is still at the target has
 * sent hardly more than BEGIN, and tries again soon: what was fetched for it is not fetched again.
 */
import type { Sent } from '../../../catalog/stream/resuming/stream.ts';

/** Bytes from its beginning that are kept: more than goes into a pipe before a receive refuses them. */
const KEPT = 4 * 1024 * 1024;

/**
 * Keeps its beginning as long as it is short.
 *
 * @example
 * const stream = new Repeatable(sent);
 * for await (const { bytes } of stream.given()) child.stdin.write(bytes);
 * if (stream.isWhole) for await (const { bytes } of stream.given()) other.stdin.write(bytes);
 * await stream.close();
 */
export class Repeatable {
  readonly #source: AsyncIterator<Sent>;
  #kept: Sent[] = [];
  #size = 0;
  #isWhole = true;
  /** The piece that was asked for last. */
  #asked: Promise<Sent | undefined> = Promise.resolve(undefined);

  /** @param source it is read once, and only as far as what is given is taken. */
  constructor(source: AsyncIterable<Sent>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Whether all that was given can be given again. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Resolves when a piece that was asked for by somebody who has left since has come: only then it is known what is whole. */
  async settled(): Promise<void> {
    await this.#asked.catch(() => undefined);
  }

  /** The stream, from its first piece on; whoever stops taking leaves the rest for the next time. */
  async *given(): AsyncGenerator<Sent> {
    await this.settled();
    if (!this.#isWhole) throw new RangeError('too much was taken for it to be given again');
    for (const kept of [...this.#kept]) yield kept;
    for (let next = await this.#ask(); next; next = await this.#ask()) yield next;
  }

  /** Ends the source, whatever is left of it. */
  async close(): Promise<void> {
    this.#kept = [];
    await this.#source.return?.();
  }

  async #ask(): Promise<Sent | undefined> {
    this.#asked = this.#source.next().then((next) => {
      if (next.done) return undefined;
      return this.#isWhole ? this.#keep(next.value) : next.value;
    });
    return await this.#asked;
  }

  #keep({ bytes, reached }: Sent): Sent {
    const kept = { bytes: new Uint8Array(bytes), reached };
    this.#size += bytes.length;
    if (this.#size <= KEPT) {
      this.#kept.push(kept);
    } else {
      this.#isWhole = false;
      this.#kept = [];
    }
    return kept;
  }
}
