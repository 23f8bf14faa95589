/** Who may call what: every route names the scope that it needs, or that it needs none. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ZkeepError } from '../../catalog/errors.ts';
import type { Scope } from '../../catalog/protocol/protocol.ts';
import type { TokenFacts, Tokens } from '../state/tokens.ts';

/** What a route asks for: a token's scope, a grant (which the route checks itself), or nothing. */
export type Access = Scope | 'grant' | 'none';

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
  interface FastifyRequest {
    token: TokenFacts | null;
  }
}

const RANK: Readonly<Record<Scope, number>> = { reader: 1, agent: 2, operator: 3 };

/** How the OpenAPI document names what a route asks for. */
const SECURITY: Readonly<Record<Exclude<Access, 'none'>, Record<string, string[]>>> = {
  reader: { token: ['reader'] },
  agent: { token: ['agent'] },
  operator: { token: ['operator'] },
  grant: { grant: [] },
};

/** Guards all routes that are added afterwards. A route without `config.access` is an error at start. */
export function guard(app: FastifyInstance, tokens: Tokens): void {
  app.decorateRequest('token', null);
  app.addHook('onRoute', (route) => {
    const access = route.config?.access;
    if (!access)
      throw new Error(`the route ${String(route.method)} ${route.url} does not say who may call it`);
    route.schema = { ...route.schema, security: access === 'none' ? [] : [SECURITY[access]] };
  });
  app.addHook('onRequest', async (request) => {
    // Without a route there is nothing to guard; the answer is 404.
    if (request.is404) return;
    const access = request.routeOptions.config.access;
    if (access === 'none' || access === 'grant') return;
    request.token = admit(request.headers.authorization, access ?? 'operator', tokens);
  });
}

/** The token with which a guarded route was called. */
export function tokenOf(request: FastifyRequest): TokenFacts {
  if (!request.token) throw new Error('a route that needs a token does not ask for one');
  return request.token;
}

function admit(authorization: string | undefined, needed: Scope, tokens: Tokens): TokenFacts {
  const presented = /^Bearer +([\x21-\x7e]{1,200})$/i.exec(authorization ?? '')?.[1];
  if (!presented) {
    throw new ZkeepError('denied', 'token.missing', 'this call needs a token', {
      advice: 'zkeep-server token add makes one; send it as "Authorization: Bearer TOKEN"',
      facts: { needed },
    });
  }
  const token = tokens.find(presented);
  if (!token) {
    throw new ZkeepError('denied', 'token.unknown', 'the service does not know this token', {
      advice: 'it was removed, or belongs to another service; zkeep-server token add makes a new one',
    });
  }
  if (RANK[token.scope] < RANK[needed]) {
    throw new ZkeepError('denied', 'token.scope', `the token ${token.name} has scope ${token.scope}`, {
      advice: `this call needs scope ${needed}`,
      facts: { name: token.name, scope: token.scope, needed },
    });
  }
  return token;
}
