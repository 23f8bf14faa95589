/** Grants to read the segments of one backup: asked for many at once, and anew when they end. */
import { type Clock, systemClock } from '../../catalog/clock.ts';
import { MAX_GRANTS } from '../../catalog/protocol/protocol.ts';
import type { Grant } from '../../catalog/repository/store/store.ts';

/** A grant that ends sooner than this, milliseconds, is renewed first. */
const MARGIN = 5_000;

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
    const held = await this.#batch(segment);
    const grant = held[segment % MAX_GRANTS];
    if (grant && grant.expires - MARGIN > this.#clock.now()) return grant;
    this.#batches.delete(firstOf(segment));
    const renewed = (await this.#batch(segment))[segment % MAX_GRANTS];
    if (!renewed) throw new RangeError(`there is no segment ${segment}`);
    return renewed;
  }

  #batch(segment: number): Promise<readonly Grant[]> {
    const first = firstOf(segment);
    const held = this.#batches.get(first);
    if (held) return held;
    const count = Math.min(MAX_GRANTS, this.#segments - first);
    const asking = this.#ask(Array.from({ length: count }, (_, index) => first + index));
    this.#batches.set(first, asking);
    asking.catch(() => this.#batches.delete(first));
    return asking;
  }
}

function firstOf(segment: number): number {
  return segment - (segment % MAX_GRANTS);
}
