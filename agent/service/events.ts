/** What is asked of the service about what happened. */
import { type EventsAnswer, EventsAnswerSchema, type EventsQuery } from '../../catalog/protocol/events.ts';
import { checker } from '../../catalog/schema.ts';
import { asking } from './asking.ts';
import type { ServiceAccess } from './exchange.ts';

const readEvents = checker(EventsAnswerSchema, 'the answer');

/** A page of the journal, the newest first. */
export async function askEvents(
  access: ServiceAccess,
  query: EventsQuery,
  signal: AbortSignal,
): Promise<EventsAnswer> {
  return await asking(access, readEvents, { method: 'GET', path: '/v1/events', query, signal });
}
