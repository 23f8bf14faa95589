/** Committed backups: what they are, and grants for reading them. */
import { Type } from 'typebox';
import { ZkeepError } from '../../catalog/errors.ts';
import { BackupsAnswerSchema, BackupsQuerySchema } from '../../catalog/protocol/pages.ts';
import {
  type BackupSummary,
  BackupSummarySchema,
  ReadGrantsAnswerSchema,
  ReadGrantsRequestSchema,
} from '../../catalog/protocol/protocol.ts';
import { ManifestSchema } from '../../catalog/repository/manifest.ts';
import { segmentKey } from '../../catalog/repository/names.ts';
import { BackupIdSchema } from '../../catalog/schema.ts';
import type { BackupId } from '../../catalog/words.ts';
import { tokenOf } from '../http/access.ts';
import type { App, Service } from '../service.ts';

const params = Type.Object({ id: BackupIdSchema });
const tags = ['backups'];
const config = { access: 'reader' } as const;

export function backupRoutes(app: App, service: Service): void {
  const { index, repository, granter, prune } = service;

  app.get(
    '/v1/backups',
    {
      config,
      schema: {
        summary: 'committed backups',
        tags,
        querystring: BackupsQuerySchema,
        response: { 200: BackupsAnswerSchema },
      },
    },
    async ({ query }) => index.backups(query),
  );

  app.get(
    '/v1/backups/:id',
    { config, schema: { summary: 'one backup', tags, params, response: { 200: BackupSummarySchema } } },
    async ({ params }) => committed(service, params.id),
  );

  app.get(
    '/v1/backups/:id/manifest',
    {
      config,
      schema: {
        summary: 'its manifest, as it lies in the bucket',
        tags,
        params,
        response: { 200: ManifestSchema },
      },
    },
    async ({ params }) => {
      const { to, backup } = committed(service, params.id);
      return await repository.manifest(to, backup);
    },
  );

  app.post(
    '/v1/backups/:id/reads',
    {
      config: { access: 'agent' },
      schema: {
        summary: 'grants for reading segments, in the order asked',
        tags,
        params,
        body: ReadGrantsRequestSchema,
        response: { 200: ReadGrantsAnswerSchema },
      },
    },
    async (request) => {
      const { params, body } = request;
      const { backup, segments, encrypted } = committed(service, params.id);
      for (const number of body.segments) if (number >= segments) throw noSegment(backup, number, segments);
      await prune.marks.use([backup], tokenOf(request).name);
      const keys = body.segments.map((number) => segmentKey(backup, number, encrypted));
      return { grants: await Promise.all(keys.map((key) => granter.grantGet(key))) };
    },
  );
}

function committed({ index }: Service, backup: BackupId): BackupSummary {
  const summary = index.backup(backup);
  if (summary) return summary;
  throw new ZkeepError('missing', 'backup.missing', `there is no backup ${backup}`, {
    advice: 'GET /v1/backups lists those that are committed, /v1/backups/open those that are not yet',
    facts: { backup },
  });
}

function noSegment(backup: BackupId, number: number, segments: number): ZkeepError {
  return new ZkeepError('missing', 'backup.segment', `backup ${backup} has no segment ${number}`, {
    advice: `its segments are 0 to ${segments - 1}`,
    facts: { backup, segment: number, segments },
  });
}
