/**
 * Packages: what `zfs send -R`, `-I` and `-p` write. First a BEGIN, with the
 * properties as its payload, and an END; then streams, each whole in itself; at
 * last an END of nothing but zeros (OpenZFS `libzfs_sendrecv.c`). zkeep stores
 * streams, never packages, so an import splits them.
 */

import type { ByteOrder } from './fletcher4.ts';
import { StreamReader } from './reader.ts';
import { readBegin } from './reading/begin.ts';
import * as refusals from './reading/refusals.ts';
import { RECORD_SIZE, RECORDS } from './record.ts';
import type { Begin } from './state.ts';
import { StreamError } from './stream-error.ts';

/** One stream of a package, or the only one of a file that is no package. */
export interface Substream {
  /** Counted from 0. */
  readonly number: number;
  /** Whether it came in a package. */
  readonly packaged: boolean;
  readonly begin: Begin;
  /** Its bytes, to be taken once: the source's buffers, cut where the stream begins and ends. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

/**
 * Splits a package into its streams; gives a plain stream as the only one. All
 * is checked, and the source is read only as fast as the bytes are taken. What
 * is left of a stream is read over when the next one is asked for.
 *
 * @throws {StreamError} where the bytes are no stream, not whole, or damaged;
 *   from the iteration over `bytes` too.
 * @example
 * for await (const { begin, bytes } of splitPackage(process.stdin)) await store(begin, bytes);
 */
export async function* splitPackage(source: AsyncIterable<Uint8Array>): AsyncGenerator<Substream, void> {
  const input = new Input(source);
  try {
    const head = await input.take(RECORD_SIZE);
    const found = head.length < RECORD_SIZE ? undefined : readBegin(head);
    if (found?.header !== 'package') yield* oneStream(input, head, 0, false);
    else yield* streamsOf(input, head, found.begin.order);
    const end = input.position;
    if (await input.next()) throw refusals.trailing(placeAt(end));
  } finally {
    await input.close();
  }
}

async function* streamsOf(input: Input, head: Uint8Array, order: ByteOrder): AsyncGenerator<Substream, void> {
  const wrapper = new Checked(input, head, new StreamReader({ expect: 'package' }));
  await wrapper.drain();
  for (let number = 0; ; number++) {
    head = await input.take(RECORD_SIZE);
    if (head.length < RECORD_SIZE) throw refusals.truncated(placeAt(input.position), head.length, 0);
    if (isLastRecord(head, order)) return;
    yield* oneStream(input, head, number, true);
  }
}

async function* oneStream(
  input: Input,
  head: Uint8Array,
  number: number,
  packaged: boolean,
): AsyncGenerator<Substream, void> {
  const stream = new Checked(input, head, new StreamReader(), packaged ? number : undefined);
  const begin = await stream.begin();
  yield { number, packaged, begin, bytes: { [Symbol.asyncIterator]: () => stream } };
  await stream.drain();
}

/** The bytes of one stream, as they are checked. It has no `return`: whoever stops early does not stop the splitting. */
class Checked implements AsyncIterator<Uint8Array> {
  readonly #input: Input;
  readonly #reader: StreamReader;
  readonly #number: number | undefined;
  readonly #start: number;
  /** The first bytes, taken from the input already. */
  #head: Uint8Array | undefined;

  constructor(input: Input, head: Uint8Array, reader: StreamReader, number?: number) {
    this.#input = input;
    this.#reader = reader;
    this.#number = number;
    this.#start = input.position - head.length;
    this.#head = head;
    this.#guard(() => reader.write(head));
  }

  /** @throws {StreamError} when the first bytes are no BEGIN. */
  async begin(): Promise<Begin> {
    return this.#reader.begin ?? this.#guard(() => this.#reader.end().begin);
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const head = this.#head;
    if (head) {
      this.#head = undefined;
      return { done: false, value: head };
    }
    if (this.#reader.ended) return { done: true, value: undefined };
    const bytes = await this.#input.next();
    if (!bytes) return this.#guard(() => ({ done: true, value: void this.#reader.end() }));
    const taken = this.#guard(() => this.#reader.read(bytes));
    this.#input.giveBack(bytes.length - taken);
    return { done: false, value: bytes.subarray(0, taken) };
  }

  async drain(): Promise<void> {
    while (!(await this.next()).done);
  }

  /** Lets errors name the place in the whole package. */
  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (thrown) {
      if (this.#number === undefined || !(thrown instanceof StreamError)) throw thrown;
      throw thrown.inPackage(this.#number, this.#start);
    }
  }
}

/** The source, of which bytes can be given back. */
class Input {
  /** Bytes taken so far. */
  position = 0;
  readonly #source: AsyncIterator<Uint8Array>;
  /** The buffer at hand, and how many of its bytes are taken. */
  #buffer: Uint8Array = new Uint8Array();
  #taken = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The rest of the buffer at hand, or the next one; `undefined` at the end. Never empty. */
  async next(): Promise<Uint8Array | undefined> {
    while (this.#taken === this.#buffer.length) {
      const { done, value } = await this.#source.next();
      if (done) return undefined;
      this.#buffer = value;
      this.#taken = 0;
    }
    const bytes = this.#buffer.subarray(this.#taken);
    this.#taken = this.#buffer.length;
    this.position += bytes.length;
    return bytes;
  }

  /** Gives back the last bytes of what {@link next} gave. */
  giveBack(length: number): void {
    this.#taken -= length;
    this.position -= length;
  }

  /** A copy of the next bytes: fewer only at the end. */
  async take(length: number): Promise<Uint8Array> {
    const taken = new Uint8Array(length);
    let have = 0;
    while (have < length) {
      const bytes = await this.next();
      if (!bytes) break;
      const used = Math.min(bytes.length, length - have);
      taken.set(bytes.subarray(0, used), have);
      this.giveBack(bytes.length - used);
      have += used;
    }
    return taken.subarray(0, have);
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }
}

function isLastRecord(head: Uint8Array, order: ByteOrder): boolean {
  const typeAt = order === 'little' ? 0 : 3;
  return head.every((byte, at) => byte === (at === typeAt ? RECORDS.END.type : 0));
}

const placeAt = (position: number) => ({ record: 0, type: null, position });
