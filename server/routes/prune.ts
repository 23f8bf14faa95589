/** Retention: what would go and why, and having it go. */

import { checkPolicy } from '../../catalog/chain/retention/policy.ts';
import {
  PruneActSchema,
  PrunePlanSchema,
  PruneRequestSchema,
  RemovedAnswerSchema,
} from '../../catalog/protocol/keeping.ts';
import { tokenOf } from '../http/access.ts';
import { removedInWords } from '../jobs/prune/prune.ts';
import type { App, Service } from '../service.ts';

const tags = ['retention'];

export function pruneRoutes(app: App, { prune, jobs }: Service): void {
  app.post(
    '/v1/prune/plan',
    {
      config: { access: 'reader' },
      schema: {
        summary: 'what prune would do, and why each backup stays; also by other policies',
        tags,
        body: PruneRequestSchema,
        response: { 200: PrunePlanSchema },
      },
    },
    async ({ body }) => {
      body.policies?.forEach(checkPolicy);
      return await prune.plan(body);
    },
  );

  app.post(
    '/v1/prune',
    {
      config: { access: 'operator' },
      schema: {
        summary: 'mark and remove what a plan showed',
        tags,
        body: PruneActSchema,
        response: { 200: RemovedAnswerSchema },
      },
    },
    async (request) => {
      // Removing takes its time: the line may be silent for longer than others may.
      request.socket.setTimeout(0);
      const by = tokenOf(request).name;
      return await jobs.instead('prune', by, async (run) => {
        const result = await prune.act(request.body, by, run);
        return { result, words: removedInWords(result) };
      });
    },
  );
}
