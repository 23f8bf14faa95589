/** The right to write an open backup, renewed until it ends. */
import { type ErrorKind, ZkeepError } from '../../../catalog/errors.ts';
import { LEASE_MILLISECONDS, type Writing } from '../../../catalog/protocol/protocol.ts';
import type { ServiceClient } from '../../service/client.ts';
import { writtenHere } from '../writer.ts';

/** How long an abandoned backup's end may take, milliseconds; the service ends it by itself later. */
const ABANDON_TIMEOUT = 10_000;

/** Kinds of the answers that say that somebody else has it, or nobody. */
const TAKEN: ReadonlySet<ErrorKind> = new Set(['busy', 'missing', 'refused', 'denied']);

/**
 * Keeps a backup open from {@link keep} to {@link end}.
 *
 * @example
 * const lease = new Lease(client);
 * lease.keep(await client.open(request));
 * try { await write(lease.writing, lease.lost); } finally { lease.end(); }
 */
export class Lease {
  readonly #client: ServiceClient;
  readonly #lost = new AbortController();
  #writing: Writing | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(client: ServiceClient) {
    this.#client = client;
  }

  /** Aborts when the service says that the backup is not ours any more. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Nothing was opened yet. */
  get isEmpty(): boolean {
    return this.#writing === undefined;
  }

  get writing(): Writing {
    if (!this.#writing) throw new Error('a segment was sealed before BEGIN was read');
    return this.#writing;
  }

  keep({ backup, session }: Writing): void {
    const writing = { backup, session };
    this.#writing = writing;
    writtenHere.add(backup);
    this.#timer = setInterval(() => void this.#renew(writing), LEASE_MILLISECONDS / 3).unref();
  }

  /** Ends what was opened. A service that does not answer ends it itself. */
  async abandon(): Promise<void> {
    this.end();
    if (!this.#writing) return;
    await this.#client.abandon(this.#writing, AbortSignal.timeout(ABANDON_TIMEOUT)).catch(() => undefined);
  }

  /** Renews it no more. */
  end(): void {
    clearInterval(this.#timer);
    if (this.#writing) writtenHere.delete(this.#writing.backup);
  }

  async #renew(writing: Writing): Promise<void> {
    try {
      await this.#client.alive(writing, this.#lost.signal);
    } catch (thrown) {
      // While the service is away, or what answers is not it, the next grant decides.
      if (thrown instanceof ZkeepError && TAKEN.has(thrown.kind)) this.#lost.abort(thrown);
    }
  }
}
