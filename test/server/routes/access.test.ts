import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Scope } from '../../../catalog/protocol/protocol.ts';
import { TestService } from '../fixture/running-service.ts';
import { someBackup } from '../fixture/samples.ts';

const id = someBackup(1);

/** Every call that needs a token, and the least scope for it. */
const CALLS: readonly [scope: Scope, method: string, path: string, body?: unknown][] = [
  ['reader', 'GET', '/v1/repository'],
  ['reader', 'GET', '/v1/agents'],
  ['agent', 'POST', '/v1/agents'],
  ['reader', 'POST', '/v1/known', { guids: [] }],
  ['reader', 'GET', '/v1/backups/open'],
  ['reader', 'GET', '/v1/backups'],
  ['reader', 'GET', `/v1/backups/${id}`],
  ['reader', 'GET', `/v1/backups/${id}/manifest`],
  ['reader', 'GET', '/v1/datasets'],
  ['reader', 'GET', '/v1/snapshots'],
  ['reader', 'GET', '/v1/lineages'],
  ['reader', 'GET', `/v1/lineages/${id}`],
  ['reader', 'GET', `/v1/attributes/${'0'.repeat(64)}`],
  ['reader', 'POST', '/v1/settings', { wanted: {} }],
  ['reader', 'GET', '/v1/history'],
  ['reader', 'POST', '/v1/plans', { wanted: {}, have: [], rollback: false }],
  ['reader', 'GET', '/v1/policies'],
  ['operator', 'PUT', '/v1/policies/all', {}],
  ['operator', 'DELETE', '/v1/policies/all'],
  ['reader', 'GET', '/v1/pins'],
  ['operator', 'POST', '/v1/pins', {}],
  ['operator', 'DELETE', `/v1/pins/${id}`, {}],
  ['reader', 'POST', '/v1/prune/plan', {}],
  ['operator', 'POST', '/v1/prune', {}],
  ['reader', 'GET', '/v1/jobs'],
  ['operator', 'POST', '/v1/jobs/sweep'],
  ['reader', 'GET', '/v1/events'],
  ['reader', 'GET', '/v1/proofs?depth=deep'],
  ['operator', 'POST', '/v1/proofs', { proofs: [], damage: [] }],
  ['reader', 'GET', '/v1/damage'],
  ['reader', 'GET', '/v1/drills'],
  ['agent', 'POST', '/v1/drills', {}],
  ['agent', 'POST', '/v1/sets', {}],
  ['agent', 'GET', '/v1/sets'],
  ['agent', 'GET', `/v1/sets/${id}`],
  ['agent', 'POST', `/v1/sets/${id}/events`, {}],
  ['agent', 'POST', '/v1/backups', {}],
  ['agent', 'POST', `/v1/backups/${id}/resume`, {}],
  ['agent', 'POST', `/v1/backups/${id}/alive`],
  ['agent', 'POST', `/v1/backups/${id}/grants`, {}],
  ['agent', 'PUT', `/v1/backups/${id}/attributes`, {}],
  ['agent', 'POST', `/v1/backups/${id}/commit`, {}],
  ['agent', 'DELETE', `/v1/backups/${id}`],
  ['agent', 'POST', `/v1/backups/${id}/reads`, { segments: [0] }],
  ['reader', 'GET', '/v1/status'],
];

const OPEN_TO_ALL = [
  'GET /v1/health',
  'POST /v1/enrol',
  'GET /openapi.json',
  'GET /v1/objects/{*}',
  'PUT /v1/objects/{*}',
];

describe('access', () => {
  const service = new TestService();
  before(() => service.start());
  after(() => service.end());

  for (const [scope, method, path, body] of CALLS) {
    it(`to ${method} ${path} needs a token of scope ${scope}`, async () => {
      const asking = body === undefined ? {} : { body };
      const none = await service.refusal(method, path, { ...asking, token: null });
      assert.deepEqual([none.status, none.kind, none.code], [401, 'denied', 'token.missing']);
      const unknown = await service.refusal(method, path, { ...asking, token: 'zkeep_unknown' });
      assert.deepEqual([unknown.status, unknown.code], [401, 'token.unknown']);
      if (scope !== 'reader') {
        const low = await service.refusal(method, path, { ...asking, token: service.token('reader') });
        assert.deepEqual([low.status, low.kind, low.code], [403, 'denied', 'token.scope']);
        assert.equal(low.facts['needed'], scope);
      }
      const { status } = await service.call(method, path, { ...asking, token: service.token(scope) });
      assert(![401, 403].includes(status), `${status}`);
    });
  }

  it('is said of every route that there is', () => {
    const { paths = {} } = service.running.app.swagger();
    const routes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods ?? {}).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const tried = CALLS.map(([, method, path]) => `${method} ${path.split('?', 1)[0]}`);
    const left = routes.filter((route) => {
      const pattern = new RegExp(`^${route.replaceAll('.', '\\.').replace(/\{[^}]+\}/g, '[^/]+')}$`);
      return !tried.some((call) => pattern.test(call));
    });
    assert.deepEqual(left.sort(), [...OPEN_TO_ALL].sort());
  });

  it('ends at once when the token is removed', async () => {
    const token = service.token('operator', 'leaver');
    assert.equal((await service.call('GET', '/v1/repository', { token })).status, 200);
    service.running.tokens.remove('leaver');
    assert.equal((await service.refusal('GET', '/v1/repository', { token })).code, 'token.unknown');
  });

  it('asks for a Bearer token, by that name, and takes nothing else', async () => {
    const { status, headers } = await service.call('GET', '/v1/repository', { token: null });
    assert.equal(status, 401);
    assert.match(String(headers['www-authenticate']), /^Bearer/);
    for (const authorization of [
      'Basic dXNlcjpwYXNz',
      service.token('agent'),
      'Bearer',
      `Bearer ${'x'.repeat(5000)}`,
    ]) {
      const refusal = await service.refusal('GET', '/v1/repository', {
        token: null,
        headers: { authorization },
      });
      assert.equal(refusal.status, 401, authorization.slice(0, 20));
    }
  });

  it('is not had by a token in the address', async () => {
    const path = `/v1/repository?token=${service.token('operator')}`;
    assert.equal((await service.refusal('GET', path, { token: null })).status, 401);
  });
});
