/** Policies: what is to be kept of which datasets, as operators say. */
import { isDeepStrictEqual } from 'node:util';
import { Type } from 'typebox';
import { checkPolicy, PolicyNameSchema, PolicySchema } from '../../catalog/chain/retention/policy.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import { PoliciesAnswerSchema } from '../../catalog/protocol/keeping.ts';
import { tokenOf } from '../http/access.ts';
import type { App, Service } from '../service.ts';

const tags = ['keeping'];
const config = { access: 'operator' } as const;
const params = Type.Object({ name: PolicyNameSchema });
/** Every plan of what may go asks all of them of every snapshot. */
const MOST_POLICIES = 1000;

export function policyRoutes(app: App, { index, journal }: Service): void {
  app.get(
    '/v1/policies',
    {
      config: { access: 'reader' },
      schema: { summary: 'policies that hold, by name', tags, response: { 200: PoliciesAnswerSchema } },
    },
    async () => ({ policies: index.policies() }),
  );

  app.put(
    '/v1/policies/:name',
    {
      config,
      schema: {
        summary: 'set a policy, or replace it',
        tags,
        params,
        body: PolicySchema,
        response: { 200: PolicySchema },
      },
    },
    async (request) => {
      const { params, body } = request;
      if (body.name !== params.name) throw otherName(params.name, body.name);
      const policy = checkPolicy(body);
      const policies = index.policies();
      const known = policies.find(({ name }) => name === policy.name);
      if (isDeepStrictEqual(known, policy)) return policy;
      if (!known && policies.length >= MOST_POLICIES) throw tooMany();
      await journal.record(tokenOf(request).name, { kind: 'policy.set', policy });
      return policy;
    },
  );

  app.delete(
    '/v1/policies/:name',
    {
      config,
      schema: {
        summary: 'remove a policy: what no other one is for is kept from then on',
        tags,
        params,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      if (!index.policies().some((policy) => policy.name === name)) throw noPolicy(name);
      await journal.record(tokenOf(request).name, { kind: 'policy.removed', name });
      return reply.code(204).send(null);
    },
  );
}

function otherName(wanted: string, name: string): ZkeepError {
  return new ZkeepError('usage', 'policy.wrong', `the policy is called ${name}, not ${wanted}`, {
    advice: 'send it to the path of its own name',
    facts: { policy: name, field: 'name' },
  });
}

function noPolicy(name: string): ZkeepError {
  return new ZkeepError('missing', 'policy.missing', `there is no policy ${name}`, {
    advice: 'zkeep policy list shows the names',
    facts: { policy: name },
  });
}

function tooMany(): ZkeepError {
  return new ZkeepError('refused', 'policy.too-many', `there are ${MOST_POLICIES} policies already`, {
    advice: 'a policy may be for many datasets, by patterns',
    facts: { most: MOST_POLICIES },
  });
}
