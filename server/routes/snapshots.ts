/** The snapshots that backups lead to. */
import { SnapshotsAnswerSchema, SnapshotsQuerySchema } from '../../catalog/protocol/pages.ts';
import type { App, Service } from '../service.ts';

export function snapshotRoutes(app: App, { index }: Service): void {
  app.get(
    '/v1/snapshots',
    {
      config: { access: 'reader' },
      schema: {
        summary: 'snapshots',
        tags: ['catalog'],
        querystring: SnapshotsQuerySchema,
        response: { 200: SnapshotsAnswerSchema },
      },
    },
    async ({ query }) => index.snapshots(query),
  );
}
