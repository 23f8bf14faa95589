/** The repository, and which snapshots it has. */
import {
  KnownAnswerSchema,
  KnownRequestSchema,
  RepositoryInfoSchema,
} from '../../catalog/protocol/protocol.ts';
import { renewing } from '../jobs/prune/renewing.ts';
import type { App, Service } from '../service.ts';

export function repositoryRoutes(app: App, { repository, index, prune: { marks } }: Service): void {
  app.get(
    '/v1/repository',
    {
      config: { access: 'reader' },
      schema: {
        summary: 'what an agent must know before it packs a stream',
        tags: ['repository'],
        response: { 200: RepositoryInfoSchema },
      },
    },
    async () => {
      const { id, recipients } = repository.marker;
      return { id, format: 1 as const, location: repository.store.location, recipients };
    },
  );

  app.post(
    '/v1/known',
    {
      config: { access: 'reader' },
      schema: {
        summary: 'of these snapshots, those that the repository has',
        tags: ['repository'],
        body: KnownRequestSchema,
        response: { 200: KnownAnswerSchema },
      },
    },
    async ({ body }) => ({ known: renewing({ index, marks }, index.known(body.guids), body.of) }),
  );
}
