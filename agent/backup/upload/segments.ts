/** Segments on their way into the store, each by grants of the service, and how far they are there. */
import { ZkeepError } from '../../../catalog/errors.ts';
import type { Part, Writing } from '../../../catalog/protocol/protocol.ts';
import type { Segment } from '../../../catalog/repository/manifest.ts';
import { ByteGate } from '../../../catalog/repository/segment/bounds.ts';
import type { PackedSegment } from '../../../catalog/repository/segment/pack.ts';
import { putByGrant } from '../../../catalog/repository/store/transfer.ts';
import type { ServiceClient } from '../../service/client.ts';
import { untilTaken } from '../../service/grants.ts';
import type { Throttle } from './throttle.ts';

/** What is needed of the service. */
type Granting = Pick<ServiceClient, 'writeGrants' | 'patience'>;

/** What an interrupted run had done of it. */
export interface Earlier {
  /** Segments of it that the service knows. */
  readonly segments: number;
  /** Raw bytes from the first on that are known to be durable. */
  readonly bytes: number;
  /** Raw bytes in all segments that it had begun to send. */
  readonly begun: number;
}

/**
 * Segments on their way at once: so many are sent again at most when it is cut off. One goes into the
 * store while the next is on its way, which keeps a line and a disk busy.
 */
const AT_ONCE = 2;

/** The segments of one upload. */
export class Segments {
  readonly #client: Granting;
  readonly #earlier: Earlier;
  readonly #throttle: Throttle | undefined;
  readonly #gate = new ByteGate(Number.POSITIVE_INFINITY, AT_ONCE);
  /** Ends of segments that are durable behind a gap, by their offsets. */
  readonly #beyond = new Map<number, number>();
  #granted = 0;
  #put = 0;
  #again = 0;
  #durable = 0;

  /**
   * @param from the raw byte at which this upload begins: everything before it is durable.
   * @param throttle bounds the rate; as fast as it goes without one.
   */
  constructor(client: Granting, earlier: Earlier, from: number, throttle?: Throttle) {
    this.#client = client;
    this.#earlier = earlier;
    this.#durable = from;
    this.#throttle = throttle;
  }

  /** Segments that the service knows, of this run and of the interrupted one. */
  get granted(): number {
    return Math.max(this.#earlier.segments, this.#granted);
  }

  /** Raw bytes from the first on that are durable. */
  get durable(): number {
    return Math.max(this.#earlier.bytes, this.#durable);
  }

  /** Raw bytes of the segments that were sent now. */
  get put(): number {
    return this.#put;
  }

  /** Raw bytes of segments that the interrupted run had begun to send and that were sent once more. */
  get again(): number {
    return this.#again;
  }

  /**
   * Makes one segment durable, with a new grant at every try; what is stored already is not sent.
   *
   * @throws {ZkeepError} `refused` with code `grant.stored` when another content of it is stored.
   */
  async send(writing: Writing, { body, ...part }: PackedSegment, signal: AbortSignal): Promise<void> {
    const leave = await this.#gate.enter(part.segment.stored);
    try {
      signal.throwIfAborted();
      const { patience } = this.#client;
      const sent = await untilTaken(() => this.#inLine(writing, part, body, signal), { patience, signal });
      this.#note(part.segment, sent);
    } finally {
      leave();
    }
  }

  #note({ offset, size }: Segment, sent: boolean): void {
    if (sent) {
      this.#put += size;
      this.#again += Math.max(0, Math.min(offset + size, this.#earlier.begun) - offset);
    }
    this.#noteDurable(offset, size);
  }

  /** A grant is asked for when its bytes begin to go, not before: it must not grow old in a queue. */
  async #inLine(writing: Writing, part: Part, body: Uint8Array, signal: AbortSignal): Promise<boolean> {
    const leave = await this.#throttle?.line(signal);
    try {
      return await this.#try(writing, part, body, signal);
    } finally {
      leave?.();
    }
  }

  /** Whether it was sent: else it was there. */
  async #try(writing: Writing, part: Part, body: Uint8Array, signal: AbortSignal): Promise<boolean> {
    const grant = await this.#grant(writing, part, signal);
    this.#granted = Math.max(this.#granted, part.number + 1);
    if ('stored' in grant) return false;
    try {
      await putByGrant(grant, body, signal, this.#throttle);
      return true;
    } catch (thrown) {
      if (!(thrown instanceof ZkeepError) || thrown.code !== 'store.exists') throw thrown;
      // An earlier write of it arrived, ours or that of the interrupted run: the service looks what it was.
      const now = await this.#grant(writing, part, signal);
      if ('stored' in now) return true;
      throw vanished(part, thrown);
    }
  }

  async #grant(writing: Writing, part: Part, signal: AbortSignal) {
    const [grant] = await this.#client.writeGrants(writing, [part], signal);
    if (!grant) throw new RangeError(`no grant for segment ${part.number}`);
    return grant;
  }

  #noteDurable(offset: number, size: number): void {
    this.#beyond.set(offset, offset + size);
    for (let end = this.#beyond.get(this.#durable); end !== undefined; end = this.#beyond.get(end)) {
      this.#beyond.delete(this.#durable);
      this.#durable = end;
    }
  }
}

/** The store says that it has it, the service does not find it there: one of them is late. */
function vanished({ number }: Part, cause: ZkeepError): ZkeepError {
  const message = `the store says that it has segment ${number}, and does not show it`;
  return new ZkeepError('unavailable', 'store.late', message, {
    advice: 'try again: a store that follows late shows it by then',
    facts: { segment: number },
    cause,
  });
}
