/** How every dataset stands. */
import { StatusAnswerSchema, StatusQuerySchema } from '../../catalog/protocol/agents.ts';
import type { App, Service } from '../service.ts';
import { lookAt } from '../status/look.ts';

export function statusRoutes(app: App, service: Service): void {
  app.get(
    '/v1/status',
    {
      config: { access: 'reader' },
      schema: {
        summary: 'how datasets stand, the worst first',
        tags: ['status'],
        querystring: StatusQuerySchema,
        response: { 200: StatusAnswerSchema },
      },
    },
    async ({ query }) => await lookAt(service, query),
  );
}
