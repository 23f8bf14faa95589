/** Writes down what the verify job finds: damage at once, proofs together. */
import type { Clock } from '../../../catalog/clock.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import type { FoundDamage } from '../../../catalog/index/journal/findings.ts';
import type { Damage, Fact, Proof } from '../../../catalog/journal/entry.ts';
import { openRepository, type Repository } from '../../../catalog/repository/repository.ts';

export interface FindingsTools {
  readonly repository: Repository;
  readonly index: Pick<CatalogIndex, 'backup' | 'damage'>;
  readonly journal: {
    record(by: string | null, ...facts: Fact[]): Promise<void>;
    /** Takes in what other services wrote. */
    follow(): Promise<void>;
  };
  readonly clock: Clock;
}

/** Proofs are written down when there are so many, or when so much time is over, milliseconds. */
const MOST_PROOFS = 500;
const LATEST = 60_000;

export class Findings {
  readonly #tools: FindingsTools;
  readonly #signal: AbortSignal;
  /** Not written down yet, each with when the look began, milliseconds since 1970. */
  #waiting: { readonly proof: Proof; readonly began: number }[] = [];
  #flushed: number;

  constructor(tools: FindingsTools, signal: AbortSignal) {
    this.#tools = tools;
    this.#signal = signal;
    this.#flushed = tools.clock.now();
  }

  /** @param began when the look began that proved it, milliseconds since 1970. */
  async take(proof: Proof, began: number): Promise<void> {
    this.#waiting.push({ proof, began });
    if (this.#waiting.length >= MOST_PROOFS) await this.flush();
    else await this.flushLate();
  }

  /** Writes down what has waited for long. */
  async flushLate(): Promise<void> {
    if (this.#tools.clock.now() - this.#flushed >= LATEST) await this.flush();
  }

  async flush(): Promise<void> {
    const { index, journal, clock } = this.#tools;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#flushed = clock.now();
    if (waiting.length === 0) return;
    // Somebody may have found damage after these looks had begun: what they saw is older.
    const found = new Map(index.damage().map((damage) => [damage.backup, Date.parse(damage.found)]));
    const proofs = waiting
      .filter(({ proof, began }) => (found.get(proof.backup) ?? 0) <= began)
      .map(({ proof }) => proof);
    if (proofs.length > 0) await journal.record(null, { kind: 'proven', proofs });
  }

  /**
   * Writes damage down, unless it is known already.
   *
   * @param known what was known of this backup before.
   * @returns `false`: another service has removed the backup meanwhile.
   * @throws {ZkeepError} `unavailable` with code `verify.store-gone`: it is the repository that is not there.
   */
  async record(damage: Damage, known: FoundDamage | undefined): Promise<boolean> {
    const { index, journal } = this.#tools;
    await this.#seeRepository();
    await journal.follow();
    if (!index.backup(damage.backup)) return false;
    const isKnown = known?.depth === damage.depth && sameProblems(known.problems, damage.problems);
    if (!isKnown) await journal.record(null, { kind: 'damaged', damage });
    return true;
  }

  /** An empty mount point, or another bucket, lacks every object. */
  async #seeRepository(): Promise<void> {
    const { store, marker } = this.#tools.repository;
    try {
      const found = await openRepository(store, this.#signal);
      if (found.marker.id === marker.id) return;
    } catch (thrown) {
      if (!(thrown instanceof ZkeepError) || thrown.code !== 'repository.none') throw thrown;
    }
    throw new ZkeepError(
      'unavailable',
      'verify.store-gone',
      `the repository at ${store.location} is not there`,
      {
        advice:
          'is its file system mounted, and the bucket the right one? Nothing is called damaged for that',
        facts: { location: store.location },
      },
    );
  }
}

interface Named {
  readonly code: string;
  readonly key: string | null;
}

function sameProblems(one: readonly Named[], other: readonly Named[]): boolean {
  const words = (problems: readonly Named[]) => problems.map(({ code, key }) => `${code} ${key}`).join('\n');
  return words(one) === words(other);
}
