/** The one logger. */
import type { FastifyBaseLogger } from 'fastify';
import { pino } from 'pino';

/** Logs JSON lines to standard error: standard output belongs to results. */
export function stderrLogger(level: string): FastifyBaseLogger {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  return pino(options, pino.destination({ fd: 2, sync: true }));
}
