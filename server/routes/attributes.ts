/** Attribute manifests. */
import { Type } from 'typebox';
import { AttributesSchema } from '../../catalog/attributes/attributes.ts';
import { DigestSchema } from '../../catalog/schema.ts';
import type { App, Service } from '../service.ts';

export function attributesRoutes(app: App, { repository }: Service): void {
  app.get(
    '/v1/attributes/:digest',
    {
      config: { access: 'reader' },
      schema: {
        summary: 'an attribute manifest',
        tags: ['backups'],
        params: Type.Object({ digest: DigestSchema }),
        response: { 200: AttributesSchema },
      },
    },
    async ({ params }) => repository.attributes(params.digest),
  );
}
