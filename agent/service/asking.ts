/** One question to the service, for commands that have no more. */
import { Exchange, type Question, type ServiceAccess } from './exchange.ts';

/**
 * Asks, reads the answer, and lets go of the connection.
 *
 * @param read checks the answer's shape.
 * @throws {ZkeepError} what the service answered, or that it did not.
 * @example await asking(access, readStatus, { method: 'GET', path: '/v1/status' })
 */
export async function asking<T>(
  access: ServiceAccess,
  read: (answer: unknown) => T,
  question: Question,
): Promise<T> {
  const exchange = new Exchange(access);
  try {
    return await exchange.askFor(read, question);
  } finally {
    await exchange.close();
  }
}
