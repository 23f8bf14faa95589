/** Lineages: the connected sets of snapshots. */
import { Type } from 'typebox';
import { ZkeepError } from '../../catalog/errors.ts';
import { LineagesAnswerSchema, LineagesQuerySchema } from '../../catalog/protocol/pages.ts';
import { LineageSchema } from '../../catalog/protocol/protocol.ts';
import { LineageIdSchema } from '../../catalog/schema.ts';
import type { App, Service } from '../service.ts';

const tags = ['catalog'];
const config = { access: 'reader' } as const;

export function lineageRoutes(app: App, { index }: Service): void {
  app.get(
    '/v1/lineages',
    {
      config,
      schema: {
        summary: 'lineages',
        tags,
        querystring: LineagesQuerySchema,
        response: { 200: LineagesAnswerSchema },
      },
    },
    async ({ query }) => index.lineages(query),
  );

  app.get(
    '/v1/lineages/:id',
    {
      config,
      schema: {
        summary: 'one lineage',
        tags,
        params: Type.Object({ id: LineageIdSchema }),
        response: { 200: LineageSchema },
      },
    },
    async ({ params }) => {
      const lineage = index.lineage(params.id);
      if (lineage) return lineage;
      throw new ZkeepError('missing', 'lineage.missing', `there is no lineage ${params.id}`, {
        advice: 'GET /v1/lineages lists them; two that a backup links become one, with the smaller id',
        facts: { lineage: params.id },
      });
    },
  );
}
