/** How much deep looks may still read today. */
import type { Clock } from '../../../catalog/clock.ts';
import type { VerifyLedger } from './ledger.ts';

/** The bytes of a day: of a calendar day in the zone of all schedules, durable over restarts. */
export class Budget {
  readonly #ledger: Pick<VerifyLedger, 'read' | 'spend'>;
  readonly #clock: Clock;
  readonly #perDay: number;
  readonly #days: Intl.DateTimeFormat;
  /** Read and not noted yet. */
  #open = 0;

  /** @param perDay stored bytes. */
  constructor(
    ledger: Pick<VerifyLedger, 'read' | 'spend'>,
    { clock, perDay, zone }: { readonly clock: Clock; readonly perDay: number; readonly zone: string },
  ) {
    this.#ledger = ledger;
    this.#clock = clock;
    this.#perDay = perDay;
    // Swedes write YYYY-MM-DD.
    this.#days = new Intl.DateTimeFormat('sv-SE', { timeZone: zone });
  }

  /** Bytes that may be read today. */
  get perDay(): number {
    return this.#perDay;
  }

  get usedToday(): number {
    return this.#ledger.read(this.#today()) + this.#open;
  }

  get isUsedUp(): boolean {
    return this.usedToday >= this.#perDay;
  }

  /** Counts what was read; {@link Budget.note} makes it durable. */
  read(bytes: number): void {
    this.#open += bytes;
  }

  note(): void {
    if (this.#open === 0) return;
    this.#ledger.spend(this.#today(), this.#open);
    this.#open = 0;
  }

  #today(): string {
    return this.#days.format(this.#clock.now());
  }
}
