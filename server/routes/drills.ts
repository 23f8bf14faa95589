/** Drills: what was restored for a try, how long it took, and whether it was what it had been. */
import {
  DrillRequestSchema,
  DrillRowSchema,
  DrillsAnswerSchema,
  DrillsQuerySchema,
} from '../../catalog/protocol/events.ts';
import { tokenOf } from '../http/access.ts';
import type { App, Service } from '../service.ts';

const tags = ['proof'];

export function drillRoutes(app: App, { index, journal, clock }: Service): void {
  app.get(
    '/v1/drills',
    {
      config: { access: 'reader' },
      schema: {
        summary: 'the evidence of drills, the newest first',
        tags,
        querystring: DrillsQuerySchema,
        response: { 200: DrillsAnswerSchema },
      },
    },
    async ({ query }) => index.drills(query),
  );

  app.post(
    '/v1/drills',
    {
      config: { access: 'agent' },
      schema: {
        summary: 'takes in the evidence of a drill, whether it passed or not',
        tags,
        body: DrillRequestSchema,
        response: { 201: DrillRowSchema },
      },
    },
    async (request, reply) => {
      const by = tokenOf(request).name;
      const at = new Date(clock.now()).toISOString();
      await journal.record(by, { kind: 'drilled', drill: request.body });
      return await reply.status(201).send({ ...request.body, at, by });
    },
  );
}
