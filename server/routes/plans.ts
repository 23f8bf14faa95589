/** Restore plans. */
import { PlanRequestSchema, RestorePlanSchema } from '../../catalog/protocol/protocol.ts';
import { tokenOf } from '../http/access.ts';
import type { App, Service } from '../service.ts';

export function planRoutes(app: App, { index, prune }: Service): void {
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
    async (request) => {
      const plan = index.plan(request.body);
      await prune.marks.use(
        plan.steps.map(({ backup }) => backup),
        tokenOf(request).name,
      );
      return plan;
    },
  );
}
