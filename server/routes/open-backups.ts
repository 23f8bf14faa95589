/** The way of a backup from its opening to its commit. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { AttributesSchema, MAX_ATTRIBUTES } from '../../catalog/attributes/attributes.ts';
import {
  AliveAnswerSchema,
  AttributesAnswerSchema,
  OpenBackupsAnswerSchema,
  OpenBackupsQuerySchema,
} from '../../catalog/protocol/pages.ts';
import {
  BackupSummarySchema,
  CommitRequestSchema,
  OpenBackupSchema,
  OpenRequestSchema,
  ResumeOfferSchema,
  ResumeRequestSchema,
  SESSION_HEADER,
  SessionSchema,
  WriteGrantsAnswerSchema,
  WriteGrantsRequestSchema,
} from '../../catalog/protocol/protocol.ts';
import { BackupIdSchema } from '../../catalog/schema.ts';
import type { Caller } from '../backup/backups.ts';
import { tokenOf } from '../http/access.ts';
import type { App, Service } from '../service.ts';

const params = Type.Object({ id: BackupIdSchema });
/** What every call of a backup's writer carries. */
const headers = Type.Object({ [SESSION_HEADER]: SessionSchema });
/** The session that is to be given, the same in every try, so that a try that comes late changes nothing. */
const wanted = Type.Partial(headers);
const tags = ['open backups'];
const config = { access: 'agent' } as const;

export function openBackupRoutes(app: App, { backups }: Service): void {
  app.get(
    '/v1/backups/open',
    {
      config: { access: 'reader' },
      schema: {
        summary: 'open backups, those that are written and those that were left',
        tags,
        querystring: OpenBackupsQuerySchema,
        response: { 200: OpenBackupsAnswerSchema },
      },
    },
    async ({ query }) => ({ open: backups.list(query) }),
  );

  app.post(
    '/v1/backups',
    {
      config,
      schema: {
        summary: 'open a backup',
        tags,
        headers: wanted,
        body: OpenRequestSchema,
        response: { 201: OpenBackupSchema },
      },
    },
    async (request, reply) => {
      const open = await backups.open(request.body, callerOf(request));
      return reply.code(201).send(open);
    },
  );

  app.post(
    '/v1/backups/:id/resume',
    {
      config,
      schema: {
        summary: 'take over an open backup whose writer is dead',
        tags,
        params,
        headers: wanted,
        body: ResumeRequestSchema,
        response: { 200: ResumeOfferSchema },
      },
    },
    async (request) => {
      // It looks at every segment: the line may be silent for longer than others may.
      request.socket.setTimeout(0);
      return await backups.resume(request.params.id, request.body, callerOf(request));
    },
  );

  app.post(
    '/v1/backups/:id/alive',
    {
      config,
      schema: { summary: 'renew the lease', tags, params, headers, response: { 200: AliveAnswerSchema } },
    },
    async (request) => {
      const heard = backups.alive(request.params.id, callerOf(request));
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
        headers,
        body: WriteGrantsRequestSchema,
        response: { 200: WriteGrantsAnswerSchema },
      },
    },
    async (request) => {
      const { params, body } = request;
      return { grants: await backups.grant(params.id, body.parts, callerOf(request)) };
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
        headers,
        body: AttributesSchema,
        response: { 200: AttributesAnswerSchema },
      },
    },
    async (request) => {
      const { params, body } = request;
      return { digest: await backups.putAttributes(params.id, body, callerOf(request)) };
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
        headers,
        body: CommitRequestSchema,
        response: { 200: BackupSummarySchema },
      },
    },
    async (request) => {
      // It looks at every segment: the line may be silent for longer than others may.
      request.socket.setTimeout(0);
      return await backups.commit(request.params.id, request.body, callerOf(request));
    },
  );

  app.delete(
    '/v1/backups/:id',
    {
      config,
      schema: {
        summary: 'abandon an open backup',
        tags,
        params,
        headers: wanted,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await backups.abandon(request.params.id, callerOf(request));
      return reply.code(204).send(null);
    },
  );
}

function callerOf(request: FastifyRequest): Caller {
  const session = request.headers[SESSION_HEADER];
  return { token: tokenOf(request), session: typeof session === 'string' ? session : undefined };
}
