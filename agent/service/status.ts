/** What is asked of the service about how everything stands. */
import { type StatusAnswer, StatusAnswerSchema, type StatusQuery } from '../../catalog/protocol/agents.ts';
import { checker } from '../../catalog/schema.ts';
import { asking } from './asking.ts';
import type { ServiceAccess } from './exchange.ts';

const readStatus = checker(StatusAnswerSchema, 'the answer');

/** How the datasets of a name or host stand, or all. */
export async function askStatus(
  access: ServiceAccess,
  query: StatusQuery,
  signal: AbortSignal,
): Promise<StatusAnswer> {
  return await asking(access, readStatus, { method: 'GET', path: '/v1/status', query, signal });
}
