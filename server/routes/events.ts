/** The journal: who did what, when. */
import { EventsAnswerSchema, EventsQuerySchema } from '../../catalog/protocol/events.ts';
import type { App, Service } from '../service.ts';

export function eventRoutes(app: App, { index }: Service): void {
  app.get(
    '/v1/events',
    {
      config: { access: 'reader' },
      schema: {
        summary: 'the journal, the newest entries first',
        tags: ['journal'],
        querystring: EventsQuerySchema,
        response: { 200: EventsAnswerSchema },
      },
    },
    async ({ query }) => index.events(query),
  );
}
