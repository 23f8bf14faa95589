/** What the daemon tells: JSON lines for whoever collects them, calm words on a terminal. */
import { pino } from 'pino';
import { type Clock, systemClock } from '../../catalog/clock.ts';
import type { Screen } from '../output/progress.ts';
import { momentInWords, printable } from '../output/words.ts';

/** Where the daemon tells; `job` among the facts says of which. */
export interface AgentLog {
  info(facts: LogFacts, words: string): void;
  warn(facts: LogFacts, words: string): void;
  error(facts: LogFacts, words: string): void;
}
export type LogFacts = Readonly<Record<string, unknown>> & { readonly job?: string };

/** JSON lines on standard error. */
export function jsonLog(level = 'info'): AgentLog {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  return pino(options, pino.destination({ fd: 2, sync: true }));
}

/** A line each, with the time. */
export function wordsLog(screen: Screen, clock: Pick<Clock, 'now'> = systemClock): AgentLog {
  const write = (mark: string, { job }: LogFacts, words: string) => {
    const time = momentInWords(Math.floor(clock.now() / 1000)).slice(11);
    screen.write(`${time} ${mark}${job === undefined ? '' : `${job}: `}${printable(words)}\n`);
  };
  return {
    info: (facts, words) => write('', facts, words),
    warn: (facts, words) => write('! ', facts, words),
    error: (facts, words) => write('!! ', facts, words),
  };
}
