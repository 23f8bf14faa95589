/** The way of a backup from its opening to its commit. */
import { Type } from 'typebox';
import { AttributesSchema, MAX_ATTRIBUTES } from '../../catalog/attributes/attributes.ts';
import {
  AliveAnswerSchema,
  AttributesAnswerSchema,
  OpenBackupsAnswerSchema,
} from '../../catalog/protocol/pages.ts';
import {
  BackupSummarySchema,
  CommitRequestSchema,
  GrantsAnswerSchema,
  OpenBackupSchema,
  OpenRequestSchema,
  WriteGrantsRequestSchema,
} from '../../catalog/protocol/protocol.ts';
import { BackupIdSchema } from '../../catalog/schema.ts';
import { tokenOf } from '../http/access.ts';
import type { App, Service } from '../service.ts';

const params = Type.Object({ id: BackupIdSchema });
const tags = ['open backups'];
const config = { access: 'agent' } as const;

export function openBackupRoutes(app: App, { backups }: Service): void {
  app.get(
    '/v1/backups/open',
    {
      config: { access: 'reader' },
      schema: { summary: 'all open backups', tags, response: { 200: OpenBackupsAnswerSchema } },
    },
    async () => ({ open: backups.list() }),
  );

  app.post(
    '/v1/backups',
    {
      config,
      schema: {
        summary: 'open a backup',
        tags,
        body: OpenRequestSchema,
        response: { 201: OpenBackupSchema },
      },
    },
    async (request, reply) => {
      const open = await backups.open(request.body, tokenOf(request));
      return reply.code(201).send(open);
    },
  );

  app.post(
    '/v1/backups/:id/alive',
    { config, schema: { summary: 'renew the lease', tags, params, response: { 200: AliveAnswerSchema } } },
    async (request) => {
      const heard = backups.alive(request.params.id, tokenOf(request));
      return { heard: new Date(heard).toISOString() };
    },
  );

  app.post(
    '/v1/backups/:id/grants',
    {
      config,
      schema: {
        summary: 'grants for writing segments, in the order asked',
        tags,
        params,
        body: WriteGrantsRequestSchema,
        response: { 200: GrantsAnswerSchema },
      },
    },
    async (request) => {
      const { params, body } = request;
      return { grants: await backups.grant(params.id, body.parts, tokenOf(request)) };
    },
  );

  app.put(
    '/v1/backups/:id/attributes',
    {
      config,
      bodyLimit: MAX_ATTRIBUTES,
      schema: {
        summary: 'store an attribute manifest',
        tags,
        params,
        body: AttributesSchema,
        response: { 200: AttributesAnswerSchema },
      },
    },
    async (request) => {
      const { params, body } = request;
      return { digest: await backups.putAttributes(params.id, body, tokenOf(request)) };
    },
  );

  app.post(
    '/v1/backups/:id/commit',
    {
      config,
      schema: {
        summary: 'check that all is there and write the manifest',
        tags,
        params,
        body: CommitRequestSchema,
        response: { 200: BackupSummarySchema },
      },
    },
    async (request) => {
      // It looks at every segment: the line may be silent for longer than others may.
      request.socket.setTimeout(0);
      return await backups.commit(request.params.id, request.body, tokenOf(request));
    },
  );

  app.delete(
    '/v1/backups/:id',
    { config, schema: { summary: 'abandon an open backup', tags, params, response: { 204: Type.Null() } } },
    async (request, reply) => {
      await backups.abandon(request.params.id, tokenOf(request));
      return reply.code(204).send(null);
    },
  );
}
