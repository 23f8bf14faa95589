import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import Database from 'better-sqlite3';
import { Compile } from 'typebox/compile';
import { HealthSchema, MAX_GRANTS, MAX_GUIDS } from '../../../catalog/protocol/protocol.ts';
import { gone } from '../fixture/faulty-store.ts';
import { TestService } from '../fixture/running-service.ts';
import { openRequest, part, someBackup } from '../fixture/samples.ts';

const id = someBackup(1);

describe('a request that is malformed', () => {
  const service = new TestService();
  before(() => service.start());
  after(() => service.end());

  const open = openRequest({ to: 1n });
  const malformed: [name: string, method: string, path: string, body: unknown, place: RegExp][] = [
    ['with no body', 'POST', '/v1/backups', undefined, /body/],
    ['with a body that is no JSON', 'POST', '/v1/backups', '{"source":', /JSON|body/],
    ['with a body of another type', 'POST', '/v1/backups', [], /^body must be object/],
    ['with a missing field', 'POST', '/v1/backups', { ...open, writer: undefined }, /^body .*writer/],
    [
      'with an unknown field',
      'POST',
      '/v1/backups',
      { ...open, tkeover: null },
      /^body .*not known: tkeover/,
    ],
    [
      'with an unknown field further in',
      'POST',
      '/v1/backups',
      { ...open, begin: { ...open.begin, colour: 1 } },
      /^body\/begin .*not known: colour/,
    ],
    [
      'with a number as text',
      'POST',
      '/v1/backups',
      { ...open, writer: { host: 'h', process: '1' } },
      /body\/writer\/process/,
    ],
    ['with a GUID in capitals', 'POST', '/v1/known', { guids: ['ABCDEF0123456789'] }, /body\/guids\/0/],
    ['with a poisoned prototype', 'POST', '/v1/known', '{"guids":[],"__proto__":{"x":1}}', /./],
    [
      'with too many GUIDs',
      'POST',
      '/v1/known',
      { guids: Array(MAX_GUIDS + 1).fill('0'.repeat(16)) },
      /body\/guids/,
    ],
    [
      'for too many grants',
      'POST',
      `/v1/backups/${id}/grants`,
      { parts: Array.from({ length: MAX_GRANTS + 1 }, (_, number) => part(number)) },
      /body\/parts/,
    ],
    ['for no grant', 'POST', `/v1/backups/${id}/grants`, { parts: [] }, /body\/parts/],
    ['with an id that is none', 'GET', '/v1/backups/x', undefined, /^params\/id/],
    [
      'with an unknown parameter',
      'GET',
      '/v1/backups?datset=x',
      undefined,
      /^querystring .*not known: datset/,
    ],
    ['with a page that is too large', 'GET', '/v1/backups?limit=1001', undefined, /^querystring\/limit/],
    ['with a page of none', 'GET', '/v1/datasets?limit=0', undefined, /^querystring\/limit/],
    ['with a page that is no number', 'GET', '/v1/datasets?limit=ten', undefined, /^querystring\/limit/],
    ['with an address that is none', 'GET', '/v1/%', undefined, /./],
  ];
  for (const [name, method, path, body, place] of malformed) {
    it(`${name} is refused, naming the place`, async () => {
      const refusal = await service.refusal(method, path, body === undefined ? {} : { body });
      assert.deepEqual([refusal.status, refusal.kind, refusal.code], [400, 'usage', 'request.malformed']);
      assert.match(refusal.message, place);
    });
  }

  it('because its body is too large is refused with 413', async () => {
    const refusal = await service.refusal('POST', '/v1/known', {
      body: { guids: [], rest: 'x'.repeat(3_000_000) },
    });
    assert.deepEqual([refusal.status, refusal.kind, refusal.code], [413, 'usage', 'request.too-large']);
  });

  it('because its body is no JSON by its own words is refused with 415', async () => {
    const headers = { 'content-type': 'text/xml' };
    const refusal = await service.refusal('POST', '/v1/known', { body: '<guids/>', headers });
    assert.deepEqual([refusal.status, refusal.kind, refusal.code], [415, 'usage', 'request.media-type']);
  });

  it('because there is no such call is refused with 404, token or not', async () => {
    for (const token of [null, service.token('agent')]) {
      const refusal = await service.refusal('GET', '/v1/nothing?secret=1', { token });
      assert.deepEqual([refusal.status, refusal.kind, refusal.code], [404, 'missing', 'request.no-route']);
      assert(!refusal.message.includes('secret'));
    }
    assert.equal((await service.refusal('DELETE', '/v1/repository')).status, 404);
  });

  it('because it is not HTTP is answered in the same shape', async () => {
    const text = await talk(service.url, 'HELO zkeep\r\n\r\n');
    assert.match(text, /^HTTP\/1\.1 400 /);
    assert.equal(JSON.parse(text.slice(text.indexOf('\r\n\r\n')))['code'], 'request.malformed');
  });

  it('because its headers are too large is answered in the same shape', async () => {
    const text = await talk(
      service.url,
      `GET /v1/health HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`,
    );
    assert.match(text, /^HTTP\/1\.1 431 /);
    assert.equal(JSON.parse(text.slice(text.indexOf('\r\n\r\n')))['code'], 'request.head-too-large');
  });

  it('finds a service whose own database has no room full, and not broken: agents wait for that', async () => {
    const error = new Database.SqliteError('database or disk is full', 'SQLITE_FULL');
    service.faults.decide = () => ({ when: 'before', error });
    try {
      const refusal = await service.refusal('GET', `/v1/attributes/${'0'.repeat(64)}`);
      assert.deepEqual([refusal.status, refusal.kind, refusal.code], [507, 'full', 'service.full']);
    } finally {
      service.faults.heal();
    }
  });

  it('because of the service itself tells nothing of its inside', async () => {
    service.faults.decide = () => ({ when: 'before', error: new Error('secret detail in /srv/zkeep') });
    try {
      const refusal = await service.refusal('GET', `/v1/attributes/${'0'.repeat(64)}`);
      assert.deepEqual([refusal.status, refusal.kind, refusal.code], [500, 'failed', 'service.unforeseen']);
      assert(!JSON.stringify(refusal).includes('secret'));
      assert(refusal.facts['request']);
    } finally {
      service.faults.heal();
    }
  });
});

describe('the service', () => {
  const service = new TestService();
  before(() => service.start());
  after(() => service.end());

  it('is in good health, and says when its store is not, without a token', async () => {
    const well = await service.ask(HealthSchema, 'GET', '/v1/health', { token: null });
    assert.deepEqual([well.status, well.problems], ['ok', []]);
    service.faults.decide = () => ({ when: 'before', error: gone() });
    service.clock.pass(1000);
    try {
      const { status, text } = await service.call('GET', '/v1/health', { token: null });
      const ill: unknown = JSON.parse(text);
      assert.equal(status, 503);
      assert(Compile(HealthSchema).Check(ill));
      assert.deepEqual([ill.status, ill.problems], ['failing', ['store: the store does not answer']]);
    } finally {
      service.faults.heal();
    }
  });

  it('tells browsers to keep, guess and frame nothing', async () => {
    for (const path of ['/v1/health', '/v1/nothing', '/v1/repository']) {
      const { headers } = await service.call('GET', path, { token: null });
      assert.equal(headers['cache-control'], 'no-store', path);
      assert.equal(headers['x-content-type-options'], 'nosniff', path);
      assert.match(String(headers['content-security-policy']), /default-src 'none'/, path);
      assert.equal(headers['x-powered-by'], undefined);
    }
  });

  it('describes itself in an OpenAPI document whose every schema can be used', async () => {
    const { status, text } = await service.call('GET', '/openapi.json', { token: null });
    assert.equal(status, 200);
    const document = JSON.parse(text);
    assert.equal(document.openapi, '3.1.0');
    assert(document.info.title && document.info.version);
    const operations = Object.entries<Record<string, Operation>>(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, path, operation })),
    );
    assert(operations.length >= 23, `${operations.length} operations`);
    for (const { name, path, operation } of operations) {
      assert(operation.summary, name);
      assert(operation.security, name);
      assert.deepEqual(
        (operation.parameters ?? [])
          .filter((parameter) => parameter.in === 'path')
          .map((parameter) => `{${parameter.name}}`),
        path.match(/\{[^}]+\}/g) ?? [],
        name,
      );
      assert(operation.responses['4XX'], name);
      for (const { description, content } of Object.values(operation.responses)) {
        assert(description !== undefined, name);
        for (const { schema } of Object.values(content ?? {})) if (schema) Compile(schema).Check(null);
      }
      for (const { schema } of operation.parameters ?? []) Compile(schema).Check('x');
    }
  });
});

interface Operation {
  readonly summary?: string;
  readonly security?: unknown;
  readonly parameters?: readonly { readonly in: string; readonly name: string; readonly schema: object }[];
  readonly responses: Record<string, { description?: string; content?: Record<string, { schema?: object }> }>;
}

/** Says something to the service that no client would, and gives what it answers until it hangs up. */
async function talk(url: string, words: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.end(words);
  let text = '';
  for await (const chunk of socket.setEncoding('utf8')) text += chunk;
  return text;
}
