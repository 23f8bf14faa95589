import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { afterEach, describe, it } from 'node:test';
import { ServiceClient } from '../../../agent/service/client.ts';
import { Exchange } from '../../../agent/service/exchange.ts';
import { ZkeepError } from '../../../catalog/errors.ts';

describe('a question to the service', () => {
  const servers: Server[] = [];
  const open: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  async function answering(listener: RequestListener): Promise<string> {
    const server = createServer(listener).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    const address = server.address();
    assert.ok(typeof address === 'object' && address);
    return `http://127.0.0.1:${address.port}`;
  }

  async function exchangeWith(listener: RequestListener, waited: string[] = []): Promise<Exchange> {
    const url = await answering(listener);
    const exchange = new Exchange({
      url,
      token: 'secret',
      onRetry: (thrown) => waited.push(thrown instanceof ZkeepError ? thrown.code : String(thrown)),
    });
    open.push(exchange);
    return exchange;
  }

  const failing = (kind: string, code: string) => (thrown: unknown) =>
    thrown instanceof ZkeepError && thrown.kind === kind && thrown.code === code;
  const GET = { method: 'GET', path: '/v1/x' } as const;

  it('that fails there fails here in the same words, with advice and facts', async () => {
    const told = {
      kind: 'busy',
      code: 'backup.busy',
      message: 'wait',
      advice: 'a bit',
      facts: { process: 7, list: ['a'] },
    };
    const exchange = await exchangeWith((_, response) => response.writeHead(409).end(JSON.stringify(told)));
    await assert.rejects(exchange.ask(GET), (thrown: unknown) => {
      assert.ok(thrown instanceof ZkeepError);
      assert.deepEqual(thrown.toJSON(), told);
      return true;
    });
  });

  it('is asked again while the answer is a passing failure, and tells so', async () => {
    const waited: string[] = [];
    let asked = 0;
    const exchange = await exchangeWith((_, response) => {
      asked += 1;
      if (asked === 1) response.destroy();
      else if (asked === 2) response.writeHead(502).end('<html>Bad Gateway</html>');
      else response.end('{"fine":true}');
    }, waited);
    assert.deepEqual(await exchange.ask(GET), { fine: true });
    assert.deepEqual(waited, ['service.unreachable', 'service.unavailable']);
  });

  it('is not asked again when the service refuses it', async () => {
    let asked = 0;
    const exchange = await exchangeWith((_, response) => {
      asked += 1;
      response.writeHead(403).end('no');
    });
    await assert.rejects(exchange.ask(GET), failing('denied', 'service.denied'));
    assert.equal(asked, 1);
  });

  it('whose answer is not JSON, not this service, or too large, fails in words', async () => {
    const texts = ['<html>hello</html>', '"x"'.repeat(100_000)];
    for (const text of texts) {
      const exchange = await exchangeWith((_, response) => response.end(text));
      const code = text.length > 1000 ? 'service.large-answer' : 'service.strange-answer';
      await assert.rejects(exchange.ask({ ...GET, maxBytes: 1000 }), failing('failed', code));
    }
  });

  it('whose answer has another shape than the protocol fails in words', async () => {
    const url = await answering((_, response) => response.end('{"id":1}'));
    const client = new ServiceClient({ url, token: 'secret' });
    open.push(client);
    await assert.rejects(client.repository(), failing('failed', 'service.strange-answer'));
  });

  it('is given up when it is aborted, with the reason of that', async () => {
    const exchange = await exchangeWith(() => undefined);
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error('enough')), 50);
    await assert.rejects(exchange.ask({ ...GET, signal: stop.signal }), /enough/);
  });

  it('that is not answered in time counts as not answered, and is asked again', async () => {
    const url = await answering(() => undefined);
    const stop = new AbortController();
    const exchange = new Exchange({ url, token: 'secret', onRetry: (thrown) => stop.abort(thrown) });
    open.push(exchange);
    const question = { ...GET, timeout: 100, signal: stop.signal };
    await assert.rejects(exchange.ask(question), failing('unavailable', 'service.unreachable'));
  });

  it('carries the token, and the query without what is not given', async () => {
    const exchange = await exchangeWith((asked, response) =>
      response.end(JSON.stringify([asked.url, asked.headers.authorization])),
    );
    const answer = await exchange.ask({
      ...GET,
      query: { dataset: 'tank/a b&c', host: undefined, limit: 5 },
    });
    assert.deepEqual(answer, ['/v1/x?dataset=tank%2Fa+b%26c&limit=5', 'Bearer secret']);
  });
});
