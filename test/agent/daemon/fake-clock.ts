/** A clock that goes on when it is told to, and wakes those who sleep in their order. */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../../catalog/clock.ts';

interface Sleeper {
  readonly until: number;
  readonly wake: () => void;
}

export class FakeClock implements Clock {
  #now: number;
  /** What sleeps are measured by: it knows nothing of a clock that is set anew. */
  #steady = 0;
  #sleepers: Sleeper[] = [];

  constructor(now: string) {
    this.#now = Date.parse(now);
  }

  now(): number {
    return this.#now;
  }

  random(): number {
    return 0.5;
  }

  get time(): string {
    return new Date(this.#now).toISOString().replace('.000Z', 'Z');
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const stop = () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(signal?.reason);
      };
      const wake = () => {
        signal?.removeEventListener('abort', stop);
        resolve();
      };
      const sleeper = { until: this.#steady + milliseconds, wake };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', stop, { once: true });
    });
  }

  /** Lets time pass, with all that comes to wake in it. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.#steady + milliseconds;
    await this.settle();
    for (;;) {
      const next = Math.min(end, ...this.#sleepers.map(({ until }) => until));
      this.#now += next - this.#steady;
      this.#steady = next;
      const woken = this.#sleepers.filter(({ until }) => until <= next);
      this.#sleepers = this.#sleepers.filter(({ until }) => until > next);
      for (const { wake } of woken) wake();
      await this.settle();
      if (woken.length === 0 && next === end) return;
    }
  }

  /** Sets the clock anew; nobody who sleeps notices. */
  jump(milliseconds: number): void {
    this.#now += milliseconds;
  }

  /** Lets all that can go on without time go on. */
  async settle(): Promise<void> {
    for (let round = 0; round < 20; round++) await setImmediate();
  }
}
