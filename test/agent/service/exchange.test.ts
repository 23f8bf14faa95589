import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { afterEach, describe, it } from 'node:test';
import { ServiceClient } from '../../../agent/service/client.ts';
import { Exchange } from '../../../agent/service/exchange.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { Patience } from '../../../catalog/patience.ts';
import { startFaultProxy } from '../../fault-proxy.ts';
import { ManualClock } from '../../server/fixture/manual-clock.ts';

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
    const patience = new Patience({ onWait: ({ failure }) => waited.push(failure.code) });
    const exchange = new Exchange({ url, token: 'secret', patience });
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
    const patience = new Patience({ onWait: ({ failure }) => stop.abort(failure) });
    const exchange = new Exchange({ url, token: 'secret', patience });
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

  it('waits for a service that has no room, and not for a wrong address', async () => {
    let asked = 0;
    const told = { kind: 'full', code: 'store.full', message: 'no room' };
    const waited: string[] = [];
    const exchange = await exchangeWith((_, response) => {
      asked += 1;
      if (asked < 3) response.writeHead(507).end(JSON.stringify(told));
      else response.end('{}');
    }, waited);
    await exchange.ask(GET);
    assert.deepEqual(waited, ['store.full', 'store.full']);
    const clock = new ManualClock();
    const nobody = new Exchange({
      url: 'http://127.0.0.1:1',
      token: 'secret',
      patience: new Patience({ clock }),
    });
    open.push(nobody);
    const began = clock.now();
    await assert.rejects(nobody.ask(GET), failing('unavailable', 'service.unreachable'));
    assert.ok(clock.now() - began <= 5_000);
  });

  it('that was answered once waits for the whole patience when the service goes away', async () => {
    const clock = new ManualClock();
    const url = await answering((_, response) => response.end('{}'));
    const exchange = new Exchange({
      url,
      token: 'secret',
      patience: new Patience({ limit: 600_000, clock }),
    });
    open.push(exchange);
    await exchange.ask(GET);
    const [server] = servers.splice(0);
    server?.closeAllConnections();
    server?.close();
    const began = clock.now();
    await assert.rejects(exchange.ask(GET), failing('unavailable', 'service.unreachable'));
    assert.equal(clock.now() - began, 600_000);
  });

  it('does not outlive its connection, and waits for nothing then', async () => {
    const waited: string[] = [];
    const exchange = await exchangeWith(() => undefined, waited);
    const asking = exchange.ask(GET);
    asking.catch(() => undefined);
    await new Promise(setImmediate);
    await exchange.close();
    await assert.rejects(asking, /is closed/);
    assert.deepEqual(waited, []);
  });

  it('that is asked only once neither waits nor counts', async () => {
    const waited: string[] = [];
    const exchange = await exchangeWith((_, response) => response.destroy(), waited);
    await assert.rejects(exchange.ask({ ...GET, once: true }), failing('unavailable', 'service.unreachable'));
    assert.deepEqual(waited, []);
  });

  it('that must not be left in doubt is not interrupted, but its wait is', async () => {
    const stop = new AbortController();
    let asked = 0;
    const url = await answering((_, response) => {
      asked += 1;
      stop.abort(new Error('enough'));
      setTimeout(() => (asked === 1 ? response.end('{"fine":true}') : response.destroy()), 50);
    });
    const exchange = new Exchange({ url, token: 'secret' });
    open.push(exchange);
    assert.deepEqual(await exchange.ask({ ...GET, waiting: stop.signal }), { fine: true });
    await assert.rejects(exchange.ask({ ...GET, waiting: stop.signal }), /enough/);
    const later = new AbortController();
    const lost = exchange.ask({ ...GET, waiting: later.signal });
    setTimeout(() => later.abort(new Error('now')), 10);
    await assert.rejects(lost, /now/);
  });

  for (const [what, fault] of [
    ['whose body is no longer taken', { stallUp: 1024 * 1024 }],
    ['whose answer stops midway', { stallDown: 1000 }],
    ['whose answer never comes', { withholdAnswer: true }],
    ['whose connection is cut in the middle', { cutUp: 1024 * 1024 }],
  ] as const) {
    it(`${what} is noticed, and asked again`, async () => {
      const url = await answering((asked, response) => {
        let size = 0;
        asked.on('error', () => undefined);
        asked.on('data', (chunk: Buffer) => {
          size += chunk.length;
        });
        asked.on('end', () => response.end(JSON.stringify({ size, text: 'x'.repeat(100_000) })));
      });
      const proxy = await startFaultProxy(Number(new URL(url).port));
      const waited: string[] = [];
      const patience = new Patience({ onWait: ({ failure }) => waited.push(failure.code) });
      const timeouts = { connect: 1000, stall: 500 };
      const exchange = new Exchange({ url: proxy.url, token: 'secret', patience, timeouts });
      open.push(exchange, { close: () => proxy.stop() });
      await exchange.ask(GET);
      proxy.meet(fault);
      // More than the buffers of a loopback connection hold.
      const body = 'y'.repeat(24 * 1024 * 1024);
      const answer = await exchange.ask({ method: 'PUT', path: '/v1/x', body, timeout: 500 });
      assert.equal((answer as { size: number }).size, body.length + 2);
      assert.deepEqual(waited, ['service.unreachable']);
    });
  }
});
