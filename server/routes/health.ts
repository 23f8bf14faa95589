/** Whether the service can do its work, for those who watch it. */
import { messageOf } from '../../catalog/errors.ts';
import { type Health, HealthSchema } from '../../catalog/protocol/protocol.ts';
import { MARKER_KEY } from '../../catalog/repository/names.ts';
import type { Repository } from '../../catalog/repository/repository.ts';
import type { App, Service } from '../service.ts';
import { VERSION } from '../version.ts';

/** Longest wait for the store, milliseconds: watchers ask often and give up early. */
const PATIENCE = 5_000;

/** How long an answer is good, milliseconds: whoever asks needs no token, and every look costs a request to the store. */
const GOOD_FOR = 1_000;

export function healthRoutes(app: App, service: Service): void {
  let last: { readonly at: number; readonly health: Promise<Health> } | undefined;
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
      const now = service.clock.now();
      if (!last || now - last.at >= GOOD_FOR) last = { at: now, health: examine(service) };
      const health = await last.health;
      return reply.code(health.status === 'ok' ? 200 : 503).send(health);
    },
  );
}

async function examine({ repository, index }: Service): Promise<Health> {
  const problems = [
    ...(await problemsOf('store', () => seeMarker(repository))),
    ...(await problemsOf('index', async () => index.datasets({ limit: 1 }))),
  ];
  const status = problems.length === 0 ? 'ok' : 'failing';
  return { status, version: VERSION, repository: repository.marker.id, problems };
}

async function seeMarker({ store }: Repository): Promise<void> {
  if (await store.stat(MARKER_KEY, AbortSignal.timeout(PATIENCE))) return;
  throw new Error(`there is no ${MARKER_KEY} any more: is the file system mounted?`);
}

async function problemsOf(part: string, look: () => Promise<unknown>): Promise<string[]> {
  try {
    await look();
    return [];
  } catch (thrown) {
    return [`${part}: ${messageOf(thrown)}`];
  }
}
