/** Whether the service can do its work, for those who watch it. */
import { messageOf } from '../../catalog/errors.ts';
import { type Health, HealthSchema } from '../../catalog/protocol/protocol.ts';
import { MARKER_KEY } from '../../catalog/repository/names.ts';
import type { App, Service } from '../service.ts';
import { VERSION } from '../version.ts';

/** Longest wait for the store, milliseconds: watchers ask often and give up early. */
const PATIENCE = 5_000;

export function healthRoutes(app: App, { repository, index }: Service): void {
  app.get(
    '/v1/health',
    {
      config: { access: 'none' },
      schema: {
        summary: 'whether store and index answer',
        tags: ['service'],
        response: { 200: HealthSchema, 503: HealthSchema },
      },
    },
    async (_request, reply) => {
      const problems = [
        ...(await problemsOf('store', () =>
          repository.store.stat(MARKER_KEY, AbortSignal.timeout(PATIENCE)),
        )),
        ...(await problemsOf('index', async () => index.known([]))),
      ];
      const health: Health = {
        status: problems.length === 0 ? 'ok' : 'failing',
        version: VERSION,
        repository: repository.marker.id,
        problems,
      };
      return reply.code(problems.length === 0 ? 200 : 503).send(health);
    },
  );
}

async function problemsOf(part: string, look: () => Promise<unknown>): Promise<string[]> {
  try {
    await look();
    return [];
  } catch (thrown) {
    return [`${part}: ${messageOf(thrown)}`];
  }
}
