/** What is kept, by the names of datasets. */
import { DatasetsAnswerSchema, DatasetsQuerySchema } from '../../catalog/protocol/pages.ts';
import type { App, Service } from '../service.ts';

export function datasetRoutes(app: App, { index }: Service): void {
  app.get(
    '/v1/datasets',
    {
      config: { access: 'reader' },
      schema: {
        summary: 'datasets and what is kept of them',
        tags: ['catalog'],
        querystring: DatasetsQuerySchema,
        response: { 200: DatasetsAnswerSchema },
      },
    },
    async ({ query }) => index.datasets(query),
  );
}
