/** Fastify as this service uses it: bounds, headers, log, the OpenAPI page and all routes. */
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { type FastifyBaseLogger, fastify, LogController } from 'fastify';
import { Type } from 'typebox';
import type { Limits } from '../configuration/configuration.ts';
import { agentRoutes } from '../routes/agents.ts';
import { attributesRoutes } from '../routes/attributes.ts';
import { backupRoutes } from '../routes/backups.ts';
import { damageRoutes } from '../routes/damage.ts';
import { datasetRoutes } from '../routes/datasets.ts';
import { drillRoutes } from '../routes/drills.ts';
import { enrolRoutes } from '../routes/enrol.ts';
import { eventRoutes } from '../routes/events.ts';
import { healthRoutes } from '../routes/health.ts';
import { historyRoutes } from '../routes/history.ts';
import { jobRoutes } from '../routes/jobs.ts';
import { lineageRoutes } from '../routes/lineages.ts';
import { objectRoutes } from '../routes/objects.ts';
import { openBackupRoutes } from '../routes/open-backups.ts';
import { pinRoutes } from '../routes/pins.ts';
import { planRoutes } from '../routes/plans.ts';
import { policyRoutes } from '../routes/policies.ts';
import { proofRoutes } from '../routes/proofs.ts';
import { pruneRoutes } from '../routes/prune.ts';
import { repositoryRoutes } from '../routes/repository.ts';
import { setRoutes } from '../routes/sets.ts';
import { snapshotRoutes } from '../routes/snapshots.ts';
import { statusRoutes } from '../routes/status.ts';
import type { App, Service } from '../service.ts';
import type { Tokens } from '../state/tokens.ts';
import { VERSION } from '../version.ts';
import { guard } from './access.ts';
import { answerFailure, answerNoRoute, rawFailure } from './failures.ts';
import { useShapes } from './shapes.ts';

/** Bytes of a body where the route says nothing else: 20,000 GUIDs or 64 parts, with room to spare. */
const BODY_LIMIT = 2 * 1024 * 1024;

/** An empty Fastify with the service's bounds. */
export function makeApp(limits: Limits, log: FastifyBaseLogger): App {
  return fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT,
    requestTimeout: limits.request_seconds * 1000,
    connectionTimeout: limits.idle_seconds * 1000,
    exposeHeadRoutes: false,
    // What still comes on open connections while the service stops is finished, not turned away.
    return503OnClosing: false,
    frameworkErrors: answerFailure,
    clientErrorHandler: (error, socket) => {
      if (socket.writable) socket.end(rawFailure(error.code));
    },
  }).withTypeProvider<TypeBoxTypeProvider>();
}

/** Gives an app its routes. */
export async function addRoutes(app: App, tokens: Tokens, service: Service): Promise<void> {
  useShapes(app);
  await app.register(swagger, { openapi: OPENAPI });
  addHeaders(app);
  guard(app, tokens);
  addLog(app);
  app.setErrorHandler(answerFailure);
  app.setNotFoundHandler(answerNoRoute);
  for (const add of ROUTES) add(app, service);
  const { objects } = service;
  // In a scope of its own, because bodies there are no JSON.
  if (objects) await app.register(async (scope) => objectRoutes(scope, service.backups, objects));
  addDocument(app);
}

const ROUTES = [
  healthRoutes,
  repositoryRoutes,
  openBackupRoutes,
  backupRoutes,
  datasetRoutes,
  snapshotRoutes,
  setRoutes,
  lineageRoutes,
  attributesRoutes,
  historyRoutes,
  planRoutes,
  statusRoutes,
  agentRoutes,
  enrolRoutes,
  jobRoutes,
  pruneRoutes,
  proofRoutes,
  damageRoutes,
  drillRoutes,
  policyRoutes,
  pinRoutes,
  eventRoutes,
];

const OPENAPI = {
  openapi: '3.1.0',
  info: {
    title: 'zkeep-server',
    description: 'The catalog service of zkeep. catalog/protocol/PROTOCOL.md says what each call promises.',
    version: VERSION,
  },
  components: {
    securitySchemes: {
      token: { type: 'http', scheme: 'bearer', description: 'zkeep-server token add makes one' },
      grant: { type: 'apiKey', in: 'header', name: 'authorization', description: 'the header of a grant' },
    },
  },
} as const;

/** For browsers that come here by mistake or by malice: there is nothing to render, frame or keep. */
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

function addHeaders(app: App): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(HEADERS);
  });
}

/** One line a request, without its query and headers: grants and tokens are in there. */
function addLog(app: App): void {
  app.addHook('onResponse', async (request, reply) => {
    const { method, url, token } = request;
    const path = url.split('?', 1)[0];
    const line = {
      method,
      path,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
      token: token?.name,
    };
    if (path === '/v1/health') request.log.debug(line, 'answered');
    else request.log.info(line, 'answered');
  });
}

function addDocument(app: App): void {
  app.get(
    '/openapi.json',
    {
      config: { access: 'none' },
      schema: { summary: 'this document', tags: ['service'], response: { 200: Type.Object({}) } },
    },
    async () => app.swagger(),
  );
}
