import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';

const BODY = 'a body of thirty-two characters.';

describe('the fault proxy', () => {
  it('changes nothing without a fault, over connections that are kept alive', async (t) => {
    const { send, proxy } = await house(t);
    for (let turn = 0; turn < 3; turn++) assert.equal(await send(BODY), `got ${BODY}`);
    assert.deepEqual([proxy.exchanges, proxy.met, proxy.connections], [3, 0, 1]);
  });

  it('lets a fault meet so many exchanges and no more, on one connection', async (t) => {
    const { send, proxy } = await house(t);
    await send(BODY);
    proxy.meet({ busy: true }, 2);
    await assert.rejects(send(BODY), /503/);
    await assert.rejects(send(BODY), /503/);
    assert.equal(await send(BODY), `got ${BODY}`);
    assert.deepEqual([proxy.exchanges, proxy.met], [4, 2]);
  });

  it('lets a fault wait for a request of its method', async (t) => {
    const { send, proxy } = await house(t);
    proxy.meet({ busy: true, method: 'GET' });
    proxy.meet({ flipDown: 0, method: 'PUT' });
    assert.equal(await send(BODY), `fot ${BODY}`);
    assert.equal(await send(BODY), `got ${BODY}`);
    assert.equal(proxy.met, 1);
  });

  it('takes the faults in turn, and forgets them when told', async (t) => {
    const { send, proxy } = await house(t);
    proxy.meet({ busy: true });
    proxy.meet({ flipDown: 0 });
    await assert.rejects(send(BODY), /503/);
    assert.equal(await send(BODY), `fot ${BODY}`);
    proxy.meet({ busy: true }, 10);
    proxy.clear();
    assert.equal(await send(BODY), `got ${BODY}`);
  });

  it('refuses a new connection and a request on an old one', async (t) => {
    const { send, proxy, seen } = await house(t);
    proxy.meet({ refuse: true });
    await assert.rejects(send(BODY), /ECONNRESET|EPIPE/);
    await send(BODY);
    proxy.meet({ refuse: true });
    await assert.rejects(send(BODY), /ECONNRESET|EPIPE/);
    assert.deepEqual(seen, [BODY]);
  });

  it('loses the answer to a request that was done', async (t) => {
    const { send, proxy, seen } = await house(t);
    proxy.meet({ dropAnswer: true });
    await assert.rejects(send(BODY), /ECONNRESET/);
    assert.deepEqual(seen, [BODY]);
  });

  it('cuts a request after so many bytes of its body', async (t) => {
    const { send, proxy, seen, cut } = await house(t);
    proxy.meet({ cutUp: 10 });
    await assert.rejects(send(BODY), /ECONNRESET/);
    assert.equal(await cut, BODY.slice(0, 10));
    assert.deepEqual(seen, []);
  });

  it('cuts an answer after so many bytes of its body, or before the first', async (t) => {
    const { send, proxy } = await house(t);
    for (const bytes of [0, 1, 10]) {
      proxy.meet({ cutDown: bytes });
      const got: string[] = [];
      await assert.rejects(send(BODY, got), /aborted|ECONNRESET/);
      assert.equal(got.join(''), `got ${BODY}`.slice(0, bytes));
    }
  });

  it('withholds the answer to a request that was done', async (t) => {
    const { send, proxy, seen } = await house(t);
    proxy.meet({ withholdAnswer: true });
    await assert.rejects(send(BODY, [], AbortSignal.timeout(100)), /abort/i);
    assert.deepEqual(seen, [BODY]);
  });

  it('stalls in either way and keeps the connection open', async (t) => {
    const { send, proxy, seen } = await house(t);
    for (const fault of [{ stallUp: 10 }, { stallDown: 10 }]) {
      proxy.meet(fault);
      const got: string[] = [];
      await assert.rejects(send(BODY, got, AbortSignal.timeout(100)), /abort/i);
      assert.equal(got.join('').length, 'stallDown' in fault ? 10 : 0);
    }
    assert.deepEqual(seen, [BODY]);
  });

  it('turns over one bit on the way there', async (t) => {
    const { send, proxy } = await house(t);
    proxy.meet({ flipUp: 2 });
    assert.equal(await send(BODY), `got a cody${BODY.slice(6)}`);
  });

  it('delays and slows down', async (t) => {
    const { send, proxy } = await house(t);
    proxy.meet({ delay: 40 });
    assert.ok((await time(() => send(BODY))) >= 79, 'once each way');
    proxy.meet({ rate: 2000 });
    assert.ok((await time(() => send(BODY))) >= 100, 'some 300 bytes');
  });

  it('closes every connection when it stops', async (t) => {
    const { send, proxy } = await house(t);
    proxy.meet({ stallDown: 3 });
    const waiting = assert.rejects(send(BODY), /aborted|ECONNRESET|socket hang up/);
    await new Promise((later) => setTimeout(later, 50));
    await proxy.stop();
    await waiting;
    assert.equal(proxy.connections, 0);
  });
});

interface House {
  readonly proxy: FaultProxy;
  /** Bodies that arrived whole. */
  readonly seen: string[];
  /** What had arrived of the first body that did not. */
  readonly cut: Promise<string>;
  /** Sends a body through the proxy and gives the answer's; `got` takes its pieces as they come. */
  send(body: string, got?: string[], signal?: AbortSignal): Promise<string>;
}

async function house(t: TestContext): Promise<House> {
  const seen: string[] = [];
  const cut = Promise.withResolvers<string>();
  const server = createServer(async (request, response) => {
    const pieces: string[] = [];
    try {
      for await (const piece of request) pieces.push(String(piece));
      seen.push(pieces.join(''));
      response.end(`got ${pieces.join('')}`);
    } catch {
      cut.resolve(pieces.join(''));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address && typeof address === 'object');
  const proxy = await startFaultProxy(address.port);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(async () => {
    agent.destroy();
    await proxy.stop();
    server.closeAllConnections();
    server.close();
  });
  return { proxy, seen, cut: cut.promise, send: (...sent) => send(proxy, agent, ...sent) };
}

async function send(
  proxy: FaultProxy,
  agent: Agent,
  body: string,
  got: string[] = [],
  signal?: AbortSignal,
): Promise<string> {
  const headers = { 'content-length': body.length };
  const request = httpRequest(proxy.url, { agent, method: 'PUT', headers, ...(signal ? { signal } : {}) });
  request.end(body);
  const [answer]: [IncomingMessage] = await new Promise((resolve, reject) => {
    request.on('response', (response) => resolve([response]));
    request.on('error', reject);
  });
  for await (const piece of answer) got.push(String(piece));
  if (answer.statusCode !== 200) throw new Error(`answered ${answer.statusCode}`);
  return got.join('');
}

async function time(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
