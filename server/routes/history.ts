/** Attributes as history: what was set at a moment, and when it changed. */
import {
  HistoryAnswerSchema,
  HistoryQuerySchema,
  SettingsAnswerSchema,
  SettingsRequestSchema,
} from '../../catalog/protocol/history.ts';
import type { App, Service } from '../service.ts';

const tags = ['catalog'];
const config = { access: 'reader' } as const;

export function historyRoutes(app: App, { index }: Service): void {
  app.post(
    '/v1/settings',
    {
      config,
      schema: {
        summary: 'what was set on a dataset, its snapshot, its pool and host, as of a snapshot or a moment',
        tags,
        body: SettingsRequestSchema,
        response: { 200: SettingsAnswerSchema },
      },
    },
    async ({ body }) => index.settings(body.wanted),
  );

  app.get(
    '/v1/history',
    {
      config,
      schema: {
        summary: 'the backups of a dataset at which its settings changed',
        tags,
        querystring: HistoryQuerySchema,
        response: { 200: HistoryAnswerSchema },
      },
    },
    async ({ query }) => index.history(query),
  );
}
