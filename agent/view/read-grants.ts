/** Grants to read the segments of one backup: asked for many at once, and anew when they end; and reading by them. */
import { type Clock, systemClock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import { MAX_GRANTS } from '../../catalog/protocol/protocol.ts';
import type { Grant } from '../../catalog/repository/store/store.ts';
import { untilTaken } from '../service/grants.ts';

/** A grant that ends sooner than this, milliseconds, is renewed first. */
const MARGIN = 5_000;

/**
 * Does `work` with a grant for one segment, again as long as the patience lasts. A grant that the
 * store calls too old is renewed, whatever the clock of this host says of it.
 *
 * @throws {ZkeepError} what the last try threw.
 * @example await byGrant(grants, 3, (grant) => getByGrant(grant, { maxBytes, signal }), { patience, signal })
 */
export async function byGrant<T>(
  grants: ReadGrants,
  segment: number,
  work: (grant: Grant) => Promise<T>,
  tools: Parameters<typeof untilTaken>[1],
): Promise<T> {
  const once = async () => {
    const grant = await grants.grantFor(segment);
    try {
      return await work(grant);
    } catch (thrown) {
      const late = thrown instanceof ZkeepError && thrown.code === 'grant.expired';
      if (late) await grants.forget(segment, grant);
      throw thrown;
    }
  };
  return await untilTaken(once, tools);
}

export class ReadGrants {
  readonly #segments: number;
  readonly #ask: (segments: number[]) => Promise<readonly Grant[]>;
  readonly #clock: Clock;
  /** By the first segment of each batch. */
  readonly #batches = new Map<number, Promise<readonly Grant[]>>();

  /**
   * @param segments how many the backup has.
   * @param ask asks the service for the grants of these segments.
   */
  constructor(
    segments: number,
    ask: (segments: number[]) => Promise<readonly Grant[]>,
    clock: Clock = systemClock,
  ) {
    this.#segments = segments;
    this.#ask = ask;
    this.#clock = clock;
  }

  /** A grant for one segment that is good for some time still. */
  async grantFor(segment: number): Promise<Grant> {
    const held = this.#batch(segment);
    const grant = (await held)[segment % MAX_GRANTS];
    if (grant && grant.expires - MARGIN > this.#clock.now()) return grant;
    this.#forget(segment, held);
    const renewed = (await this.#batch(segment))[segment % MAX_GRANTS];
    if (!renewed) throw new RangeError(`there is no segment ${segment}`);
    return renewed;
  }

  /** The store does not take this grant any more: the next one asked for is a new one. */
  async forget(segment: number, grant: Grant): Promise<void> {
    const held = this.#batches.get(firstOf(segment));
    // Somebody else may have had the same trouble, and new ones may have come since.
    if (held && (await held)[segment % MAX_GRANTS] === grant) this.#forget(segment, held);
  }

  #forget(segment: number, held: Promise<readonly Grant[]>): void {
    const first = firstOf(segment);
    if (this.#batches.get(first) === held) this.#batches.delete(first);
  }

  #batch(segment: number): Promise<readonly Grant[]> {
    const first = firstOf(segment);
    const held = this.#batches.get(first);
    if (held) return held;
    const count = Math.min(MAX_GRANTS, this.#segments - first);
    const asking = this.#ask(Array.from({ length: count }, (_, index) => first + index));
    this.#batches.set(first, asking);
    asking.catch(() => this.#forget(first, asking));
    return asking;
  }
}

function firstOf(segment: number): number {
  return segment - (segment % MAX_GRANTS);
}
