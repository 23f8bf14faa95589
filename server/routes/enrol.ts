/** How a new agent gets its token. */
import { EnrolAnswerSchema, EnrolRequestSchema } from '../../catalog/protocol/agents.ts';
import type { App, Service } from '../service.ts';

/** Bytes: a code and a name. */
const BODY_LIMIT = 4096;

export function enrolRoutes(app: App, { enrolments }: Service): void {
  app.post(
    '/v1/enrol',
    {
      config: { access: 'none' },
      bodyLimit: BODY_LIMIT,
      schema: {
        summary: 'trade a one-time code for a token',
        tags: ['agents'],
        body: EnrolRequestSchema,
        response: { 200: EnrolAnswerSchema },
      },
    },
    async ({ body }) => enrolments.enrol(body),
  );
}
