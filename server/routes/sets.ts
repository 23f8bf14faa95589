/** Sets that several hosts take together. */
import { Type } from 'typebox';
import {
  OpenSetRequestSchema,
  SetEventSchema,
  SetsAnswerSchema,
  SetsQuerySchema,
  SnapshotSetSchema,
} from '../../catalog/protocol/sets.ts';
import { SetIdSchema } from '../../catalog/schema.ts';
import { tokenOf } from '../http/access.ts';
import type { App, Service } from '../service.ts';

const params = Type.Object({ id: SetIdSchema });
const tags = ['sets'];
const config = { access: 'agent' } as const;

export function setRoutes(app: App, { sets }: Service): void {
  app.post(
    '/v1/sets',
    {
      config,
      schema: {
        summary: 'open a set that several hosts take together',
        tags,
        body: OpenSetRequestSchema,
        response: { 201: SnapshotSetSchema },
      },
    },
    async (request, reply) => reply.code(201).send(sets.open(request.body, tokenOf(request).name)),
  );

  app.get(
    '/v1/sets',
    {
      config,
      schema: {
        summary: 'the sets that are under way',
        tags,
        querystring: SetsQuerySchema,
        response: { 200: SetsAnswerSchema },
      },
    },
    async ({ query }) => ({ sets: sets.list(query.fsname) }),
  );

  app.get(
    '/v1/sets/:id',
    { config, schema: { summary: 'one set', tags, params, response: { 200: SnapshotSetSchema } } },
    async ({ params }) => sets.get(params.id),
  );

  app.post(
    '/v1/sets/:id/events',
    {
      config,
      schema: {
        summary: 'join a set, or tell what happened',
        tags,
        params,
        body: SetEventSchema,
        response: { 200: SnapshotSetSchema },
      },
    },
    async (request) => sets.tell(request.params.id, request.body, tokenOf(request).name),
  );
}
