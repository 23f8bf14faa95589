/** What a command tells while it waits for the service or the store: who, why, since when, and how long still. */
import type { Clock } from '../../catalog/clock.ts';
import type { ZkeepError } from '../../catalog/errors.ts';
import type { Party, Waiting } from '../../catalog/patience.ts';
import type { Progress } from './progress.ts';
import { spanInWords } from './words.ts';

/** Between two lines about the same trouble, milliseconds. */
const PAUSE = 60_000;

/** Tells of waits on a command's progress: at once, then about every minute, and when they are over. */
export class Waits {
  readonly #progress: Pick<Progress, 'note' | 'silent'>;
  readonly #clock: Clock;
  readonly #told = new Map<Party, { readonly why: string; readonly at: number }>();

  constructor(progress: Pick<Progress, 'note' | 'silent'>, clock: Clock) {
    this.#progress = progress;
    this.#clock = clock;
  }

  /** May be called at every try. */
  tell({ party, failure, since, until }: Waiting): void {
    const now = this.#clock.now();
    const why = whyInWords(failure);
    const told = this.#told.get(party);
    if (told?.why === why && (this.#progress.silent || now < told.at + PAUSE)) return;
    this.#told.set(party, { why, at: now });
    const [waited, left] = [now - since, until - now];
    this.#progress.note(
      [
        `waits for the ${party}: ${why}`,
        ...(waited < 1000 ? [] : [`since ${spanInWords(waited / 1000)}`]),
        `gives up in ${spanInWords(left / 1000)}`,
      ].join('; '),
    );
  }

  /** @param waited milliseconds. */
  end(party: Party, waited: number): void {
    if (this.#told.delete(party)) {
      this.#progress.note(`the ${party} is back after ${spanInWords(waited / 1000)}: it goes on`);
    }
  }
}

/** Which trouble it is; what exactly failed stands in brackets where the code does not say it all. */
function whyInWords({ kind, code, message, facts }: ZkeepError): string {
  if (kind === 'full') return 'it is full';
  if (code === 'grant.alive') return 'what it was allowed before has not ended yet';
  if (code === 'service.unreachable' || (code === 'store.unavailable' && facts['status'] === undefined))
    return `it does not answer (${message})`;
  return `it cannot do it now (${message})`;
}
