/** Runs a command of which only the end of what it prints is wanted, however much that is. */
import { addAbortSignal } from 'node:stream';
import { ZkeepError } from '../../catalog/errors.ts';
import { tooSlow } from './run.ts';
import { endOf, startChild, stopChild } from './stream-child.ts';

/** The end of what a command printed. */
export interface Tail {
  /** From the beginning of a line on. */
  readonly stdout: Buffer;
  /** There was more before it. */
  readonly cut: boolean;
}

/**
 * Runs a command to its good end and gives the last bytes of what it printed.
 *
 * @param last most bytes that are kept.
 * @throws {ZkeepError} what `failureOf` makes of its words, when it ended badly; `zfs.timeout` when it took too long.
 */
export async function tailOf(
  command: readonly string[],
  options: { readonly last: number; readonly timeout: number; readonly signal?: AbortSignal | undefined },
): Promise<Tail> {
  const { last, timeout, signal } = options;
  const late = AbortSignal.timeout(timeout);
  const stop = signal === undefined ? late : AbortSignal.any([signal, late]);
  try {
    return await readTail(command, last, stop);
  } catch (thrown) {
    signal?.throwIfAborted();
    if (late.aborted && !(thrown instanceof ZkeepError)) throw tooSlow(command, timeout);
    throw thrown;
  }
}

async function readTail(command: readonly string[], last: number, stop: AbortSignal): Promise<Tail> {
  const started = startChild(command, stop);
  started.child.stdin.destroy();
  const kept = new LastBytes(last);
  let ended = false;
  try {
    for await (const chunk of addAbortSignal(stop, started.child.stdout)) kept.add(chunk);
    await endOf(started);
    ended = true;
    return kept.lines();
  } finally {
    if (!ended) await stopChild(started);
  }
}

/** Keeps at most twice as much as is wanted, and copies rarely. */
class LastBytes {
  readonly #last: number;
  #chunks: Buffer[] = [];
  #held = 0;
  #cut = false;

  constructor(last: number) {
    this.#last = last;
  }

  add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    if (this.#held > 2 * this.#last) this.#shorten();
  }

  lines(): Tail {
    if (this.#held > this.#last) this.#shorten();
    const all = Buffer.concat(this.#chunks);
    if (!this.#cut) return { stdout: all, cut: false };
    const start = all.indexOf('\n') + 1;
    return { stdout: start === 0 ? Buffer.alloc(0) : all.subarray(start), cut: true };
  }

  #shorten(): void {
    const kept = Buffer.from(Buffer.concat(this.#chunks).subarray(-this.#last));
    this.#chunks = [kept];
    this.#held = kept.length;
    this.#cut = true;
  }
}
