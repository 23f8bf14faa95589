/** What is damaged, and what that costs. */
import { damageRows } from '../../catalog/index/answers/damage.ts';
import { DamageAnswerSchema, DamageQuerySchema } from '../../catalog/protocol/events.ts';
import type { App, Service } from '../service.ts';

export function damageRoutes(app: App, { index }: Service): void {
  app.get(
    '/v1/damage',
    {
      config: { access: 'reader' },
      schema: {
        summary: 'damaged backups: what is lost because of each, and whether it is repaired',
        tags: ['proof'],
        querystring: DamageQuerySchema,
        response: { 200: DamageAnswerSchema },
      },
    },
    async ({ query }) => ({ damage: await damageRows(index, query) }),
  );
}
