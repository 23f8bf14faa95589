/** The guest's own clock, set forward by a test, and right again when its process ends: other files follow. */
import { execFileSync } from 'node:child_process';

/** One to a process. */
export class GuestClock {
  readonly #began = Date.now();
  readonly #steady = performance.now();

  constructor() {
    process.once('exit', () => this.right());
  }

  /** @param moment milliseconds since 1970, later than now. */
  forward(moment: number): void {
    if (moment <= Date.now()) throw new RangeError(`${new Date(moment).toISOString()} is over`);
    set(moment);
  }

  /** Sets it to what it would be had nobody set it. */
  right(): void {
    set(this.#began + performance.now() - this.#steady);
  }
}

function set(moment: number): void {
  execFileSync('date', ['--set', `@${moment / 1000}`], { stdio: ['ignore', 'ignore', 'inherit'] });
}
