/**
 * How long service and store are waited for: one policy for both, shared by all
 * requests of a command. What waits holds nothing but its own request, so that
 * `zfs send` and `zfs receive` wait with it by back pressure.
 */
import { type Clock, systemClock } from './clock.ts';
import { type ErrorKind, ZkeepError } from './errors.ts';
import { pauseAfter, type RetryPolicy } from './retry.ts';

/** Who is waited for. */
export type Party = 'service' | 'store';

/** A wait, as it is told. All times in milliseconds since 1970. */
export interface Waiting {
  readonly party: Party;
  /** Why the last try failed. */
  readonly failure: ZkeepError;
  /** The first failure after the last success. */
  readonly since: number;
  /** When it will be given up. */
  readonly until: number;
}

/** Every field has a default. */
export interface PatienceOptions {
  /** Milliseconds from the first failure after a success until it is given up; 0: nothing is tried again. */
  readonly limit?: number;
  readonly clock?: Clock;
  /** Told before each pause. */
  readonly onWait?: (waiting: Waiting) => void;
  /** Told when who was waited for does again what is asked; milliseconds that it took. */
  readonly onEnd?: (party: Party, waited: number) => void;
}

/** What {@link Patience.keep} may be given. */
export interface KeepOptions {
  /** Ends a pause at once. A try that is under way has to heed it by itself. */
  readonly signal?: AbortSignal | undefined;
  /** Whether waiting may help; by default {@link isWorthWaiting}. */
  readonly isPassing?: (thrown: unknown) => boolean;
}

/** Where nothing else is set, milliseconds. */
export const DEFAULT_PATIENCE = 15 * 60_000;

/** Between two tries of one request; how long it is tried, the patience says. */
type Pauses = Pick<RetryPolicy, 'firstPause' | 'longestPause'>;
const PAUSES: Pauses = { firstPause: 200, longestPause: 30_000 };
/** Every try at a store without room sends a segment in vain, and nobody makes room in seconds. */
const FULL_PAUSES: Pauses = { firstPause: 200, longestPause: 60_000 };
/** Before anybody answered: an address that was wrong all along should cost seconds. */
const FIRST_PAUSES: Pauses = { firstPause: 200, longestPause: 2_000 };
const FIRST_LIMIT = 5_000;

/** The patience of one command. */
export class Patience {
  readonly limit: number;
  readonly #clock: Clock;
  readonly #onWait: PatienceOptions['onWait'];
  readonly #onEnd: PatienceOptions['onEnd'];
  /** Who is in trouble, and since when. */
  readonly #troubles = new Map<Party, number>();
  /** Failures at which patience ended: who waits for one within another does not begin anew. */
  readonly #final = new WeakSet<object>();
  #heard = false;

  constructor({ limit = DEFAULT_PATIENCE, clock = systemClock, onWait, onEnd }: PatienceOptions = {}) {
    this.limit = limit;
    this.#clock = clock;
    this.#onWait = onWait;
    this.#onEnd = onEnd;
  }

  /** Somebody answered, be it with a refusal: the address is no wrong one, so that it is worth waiting there. */
  heard(): void {
    this.#heard = true;
  }

  /**
   * Does `work`, again while it fails in a way that may pass, until the limit.
   * Before anybody answered at all, that is some seconds.
   *
   * @param party whose success it is when it succeeds; whose failure a failure is, its code says.
   * @throws what the last try threw, or the signal's reason.
   * @example await patience.keep('store', () => putByGrant(grant, body, signal), { signal })
   */
  async keep<T>(
    party: Party,
    work: (attempt: number) => Promise<T>,
    { signal, isPassing = isWorthWaiting }: KeepOptions = {},
  ): Promise<T> {
    const began = this.#clock.now();
    const troubled = new Set<Party>([party]);
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted();
      try {
        const result = await work(attempt);
        this.#heard = true;
        for (const one of troubled) this.#succeed(one);
        return result;
      } catch (thrown) {
        signal?.throwIfAborted();
        if (!(thrown instanceof ZkeepError) || this.#final.has(thrown) || !isPassing(thrown)) throw thrown;
        if (typeof thrown.facts['status'] === 'number') this.#heard = true;
        const blamed = partyIn(thrown);
        troubled.add(blamed);
        await this.#pause({ blamed, failure: thrown, began, attempt, signal });
      }
    }
  }

  /** @throws the failure, once the time for it is over. */
  async #pause({ blamed, failure, began, attempt, signal }: Failed): Promise<void> {
    const now = this.#clock.now();
    const since = this.#troubles.get(blamed) ?? now;
    this.#troubles.set(blamed, since);
    const until = this.#heard ? since + this.limit : began + Math.min(this.limit, FIRST_LIMIT);
    if (now >= until) {
      this.#final.add(failure);
      throw failure;
    }
    this.#onWait?.({ party: blamed, failure, since, until });
    const pauses = failure.kind === 'full' ? FULL_PAUSES : PAUSES;
    const pause = pauseAfter(attempt, this.#heard ? pauses : FIRST_PAUSES, this.#clock);
    // The last try is at the end of the time, and not some chance before.
    await this.#clock.sleep(Math.min(pause, until - now), signal);
  }

  #succeed(party: Party): void {
    const since = this.#troubles.get(party);
    if (since === undefined) return;
    this.#troubles.delete(party);
    this.#onEnd?.(party, this.#clock.now() - since);
  }
}

interface Failed {
  readonly blamed: Party;
  readonly failure: ZkeepError;
  readonly began: number;
  readonly attempt: number;
  readonly signal: AbortSignal | undefined;
}

const WORTH: ReadonlySet<ErrorKind> = new Set(['unavailable', 'full']);

/** True for failures that may pass while one waits: nobody answers, it is too much now, there is no room. */
export function isWorthWaiting(thrown: unknown): boolean {
  return thrown instanceof ZkeepError && WORTH.has(thrown.kind);
}

/** Who is in trouble, whoever told it: the service tells of its store, too. */
function partyIn({ code, kind }: ZkeepError): Party {
  if (code.startsWith('service.')) return 'service';
  return kind === 'full' || /^(store|grant|object)\./.test(code) ? 'store' : 'service';
}
