/** The jobs of the service: how they stand, and having one run now. */
import { Type } from 'typebox';
import { JobNameSchema, JobStateSchema, JobsAnswerSchema } from '../../catalog/protocol/events.ts';
import { tokenOf } from '../http/access.ts';
import type { App, Service } from '../service.ts';

const tags = ['jobs'];
const params = Type.Object({ name: JobNameSchema });

export function jobRoutes(app: App, { jobs }: Service): void {
  app.get(
    '/v1/jobs',
    {
      config: { access: 'reader' },
      schema: { summary: 'jobs of the service', tags, response: { 200: JobsAnswerSchema } },
    },
    async () => ({ jobs: jobs.states() }),
  );

  app.post(
    '/v1/jobs/:name',
    {
      config: { access: 'operator' },
      schema: {
        summary: 'have a job run now, unless it runs already',
        tags,
        params,
        response: { 202: JobStateSchema },
      },
    },
    async (request, reply) => {
      return reply.code(202).send(jobs.ask(request.params.name, tokenOf(request).name));
    },
  );
}
