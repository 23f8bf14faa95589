/**
 * How far the work is, on standard error: a line that rewrites itself on a
 * terminal, a calm one every ten seconds in a pipe, nothing when silent.
 */
import type { Clock } from '../../catalog/clock.ts';
import { durationInWords, printable, sizeInWords } from './words.ts';

const TERMINAL_PAUSE = 200;
const PIPE_PAUSE = 10_000;
/** The rate is that of the last so many milliseconds. */
const RATE_WINDOW = 10_000;

/** Where lines go. */
export interface Screen {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** What is told about a piece of work. */
export interface Amount {
  /** Raw bytes so far. */
  readonly bytes: number;
  /** Stored bytes so far, where they differ. */
  readonly stored?: number | undefined;
  /** Raw bytes in all, as far as they are known. */
  readonly total?: number | undefined;
}

/** One screen's progress; made once per command. */
export class Progress {
  readonly #screen: Screen;
  readonly #clock: Clock;
  readonly #silent: boolean;
  #label = '';
  #shown = false;
  #next = 0;
  #marks: { at: number; bytes: number }[] = [];

  /** @param silent no progress; notes are written all the same. */
  constructor(screen: Screen, clock: Clock, silent = false) {
    this.#screen = screen;
    this.#clock = clock;
    this.#silent = silent;
  }

  /** Nobody sees the progress: what only serves it need not be found out. */
  get silent(): boolean {
    return this.#silent;
  }

  /**
   * Begins a piece of work with its own count.
   *
   * @param bytes where it counts from: work that goes on is not fast because of what was done before.
   */
  begin(label: string, bytes = 0): void {
    this.clear();
    this.#label = label;
    const now = this.#clock.now();
    this.#marks = [{ at: now, bytes }];
    this.#next = now + (this.#screen.isTTY ? TERMINAL_PAUSE : PIPE_PAUSE);
  }

  /** May be called as often as one likes. */
  tell(amount: Amount): void {
    const now = this.#clock.now();
    if (this.#silent || now < this.#next) return;
    this.#next = now + (this.#screen.isTTY ? TERMINAL_PAUSE : PIPE_PAUSE);
    this.#marks.push({ at: now, bytes: amount.bytes });
    while (this.#marks.length > 2 && (this.#marks[1]?.at ?? now) < now - RATE_WINDOW) this.#marks.shift();
    const [from = { at: now, bytes: 0 }] = this.#marks;
    const rate = ((amount.bytes - from.bytes) * 1000) / Math.max(1, now - from.at);
    this.#draw(progressLine(this.#label, amount, rate));
  }

  /** A line that stays, between the ones that rewrite themselves. */
  note(text: string): void {
    this.clear();
    this.#screen.write(`zkeep: ${printable(text)}\n`);
  }

  /** Takes the rewriting line away. */
  clear(): void {
    if (this.#shown) this.#screen.write('\r\x1b[K');
    this.#shown = false;
  }

  #draw(text: string): void {
    if (!this.#screen.isTTY) {
      this.#screen.write(`${text}\n`);
      return;
    }
    const width = (this.#screen.columns ?? 80) - 1;
    this.#screen.write(`\r\x1b[K${text.slice(0, width)}`);
    this.#shown = true;
  }
}

/**
 * One line: what, how much of how much, how fast, how long still.
 *
 * @param rate raw bytes a second.
 */
export function progressLine(label: string, amount: Amount, rate: number): string {
  const { bytes, stored, total } = amount;
  // ZFS estimates: a stream may be longer than it said.
  const known = total !== undefined && total >= bytes ? total : undefined;
  const parts = [
    printable(label),
    known === undefined ? sizeInWords(bytes) : `${sizeInWords(bytes)} of ${sizeInWords(known)}`,
    ...(stored === undefined ? [] : [`stored ${sizeInWords(stored)}`]),
    `${sizeInWords(Math.round(rate))}/s`,
    ...(known === undefined || rate <= 0 ? [] : [`${durationInWords((known - bytes) / rate)} left`]),
  ];
  return parts.join('  ');
}
