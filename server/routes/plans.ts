/** Restore plans. */
import { PlanRequestSchema, RestorePlanSchema } from '../../catalog/protocol/protocol.ts';
import type { App, Service } from '../service.ts';

export function planRoutes(app: App, { index }: Service): void {
  app.post(
    '/v1/plans',
    {
      config: { access: 'reader' },
      schema: {
        summary: 'what must be received, in order, to stand at a snapshot',
        tags: ['catalog'],
        body: PlanRequestSchema,
        response: { 200: RestorePlanSchema },
      },
    },
    async ({ body }) => index.plan(body),
  );
}
