import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { ZkeepError } from '../../../../catalog/errors.ts';
import { TIMEOUTS, timeFor } from '../../../../catalog/repository/store/deadline.ts';
import type { Grant } from '../../../../catalog/repository/store/store.ts';
import {
  openTransfers,
  type TransferOptions,
  type Transfers,
} from '../../../../catalog/repository/store/transfer.ts';
import { type FaultProxy, startFaultProxy } from '../../../fault-proxy.ts';
import { failure } from './conformance.ts';
import { type PlainServer, refusal, startPlainServer } from './plain-server.ts';

const BODY = Buffer.from('the body');
/** More than the buffers of a loopback connection hold. */
const LARGE = randomBytes(24 * 1024 * 1024);

describe('a transfer by grant', () => {
  it('sends exactly the method, the address and the headers of the grant', async (t) => {
    const { transfers, server } = await house(t);
    server.answer({ status: 200 });
    const headers = {
      authorization: 'signed',
      'content-length': '8',
      host: 'of.the.grant',
      'x-other': 'a b',
    };
    await transfers.putByGrant(grantOf(server, { headers }), BODY);
    const [put] = server.arrived;
    assert.equal(put?.method, 'PUT');
    assert.equal(put?.path, '/bucket/key?q=1');
    const { connection, ...sent } = put?.headers ?? {};
    assert.equal(connection, 'keep-alive');
    assert.deepEqual(sent, headers);
    assert.ok(put?.body.equals(BODY));
  });

  it('sends a body of another size than granted nowhere', async (t) => {
    const { transfers, server } = await house(t);
    const grant = grantOf(server, { headers: { 'Content-Length': '9' } });
    await assert.rejects(transfers.putByGrant(grant, BODY), failure('damaged', 'store.mismatch'));
    assert.equal(server.arrived.length, 0);
  });

  it('takes any 2xx for done', async (t) => {
    const { transfers, server } = await house(t);
    server.answer({ status: 200 }, { status: 201, body: 'made' }, { status: 204 });
    for (let turn = 0; turn < 3; turn++) await transfers.putByGrant(grantOf(server), BODY);
  });

  it('tells a refusal by its kind, from XML, from JSON of the service, or from the status alone', async (t) => {
    const { transfers, server } = await house(t);
    const json = (status: number, value: object) => ({ status, body: JSON.stringify(value) });
    for (const [answer, kind, code] of [
      [refusal(412, 'PreconditionFailed'), 'refused', 'store.exists'],
      [refusal(403, 'AccessDenied'), 'denied', 'store.denied'],
      [refusal(403, 'QuotaExceeded'), 'full', 'store.full'],
      [refusal(404, 'NoSuchKey'), 'missing', 'store.missing'],
      [refusal(404, 'NoSuchBucket'), 'missing', 'store.no-bucket'],
      [refusal(400, 'BadDigest'), 'damaged', 'store.mismatch'],
      [refusal(503, 'SlowDown'), 'unavailable', 'store.unavailable'],
      [refusal(403, 'RequestTimeTooSkewed'), 'unavailable', 'grant.expired'],
      [refusal(403, 'AccessDenied', 'Request has expired'), 'unavailable', 'grant.expired'],
      [{ status: 507 }, 'full', 'store.full'],
      [{ status: 412 }, 'refused', 'store.exists'],
      [{ status: 500, body: '<html>oops' }, 'unavailable', 'store.unavailable'],
      [{ status: 302, headers: { location: 'http://elsewhere/' } }, 'failed', 'store.rejected'],
      [
        json(409, { kind: 'refused', code: 'store.exists', message: 'm', advice: 'a' }),
        'refused',
        'store.exists',
      ],
      [json(503, { kind: 'busy', code: 'backup.busy', message: 'm', advice: 'a' }), 'busy', 'backup.busy'],
      [json(403, { kind: 'denied', code: 'grant.expired', message: 'm' }), 'unavailable', 'grant.expired'],
      [json(403, { kind: 'constructor', code: 'x', message: 'm' }), 'denied', 'store.denied'],
      [refusal(400, 'constructor'), 'failed', 'store.rejected'],
    ] as const) {
      server.answer(answer);
      await assert.rejects(transfers.putByGrant(grantOf(server), BODY), failure(kind, code));
    }
    server.answer({ status: 403, body: 'x'.repeat(1_000_000) });
    await assert.rejects(
      transfers.getByGrant(grantOf(server, { method: 'GET' }), { maxBytes: 9 }),
      failure('denied', 'store.denied'),
    );
  });

  it('calls a grant expired that is denied after its time', async (t) => {
    const { transfers, server } = await house(t);
    server.answer(refusal(403, 'AccessDenied'));
    const late = transfers.putByGrant(grantOf(server, { expires: Date.now() - 1 }), BODY);
    await assert.rejects(late, failure('unavailable', 'grant.expired'));
  });

  it('tells no query of an address, which may hold a signature', async (t) => {
    const { transfers, server } = await house(t);
    server.answer(refusal(403, 'AccessDenied'));
    await assert.rejects(transfers.putByGrant(grantOf(server), BODY), (thrown) => {
      assert.ok(thrown instanceof ZkeepError);
      assert.match(thrown.message, /\/bucket\/key /);
      assert.doesNotMatch(JSON.stringify(thrown), /q=1/);
      return true;
    });
  });

  it('reads no more than allowed, told or not told the length', async (t) => {
    const { transfers, server } = await house(t);
    for (const headers of [{ 'content-length': '10' }, { 'transfer-encoding': 'chunked' }]) {
      const grant = grantOf(server, { method: 'GET' });
      server.answer({ status: 200, headers, body: '0123456789' });
      assert.equal(String(await transfers.getByGrant(grant, { maxBytes: 10 })), '0123456789');
      server.answer({ status: 200, headers, body: '0123456789' });
      await assert.rejects(
        transfers.getByGrant(grant, { maxBytes: 9 }),
        failure('damaged', 'store.too-large'),
      );
    }
  });

  it('puts what it reads into the memory that was offered, when the length is told', async (t) => {
    const { transfers, server } = await house(t);
    const grant = grantOf(server, { method: 'GET' });
    const into = new Uint8Array(new SharedArrayBuffer(12));
    server.answer({ status: 200, headers: { 'content-length': '10' }, body: '0123456789' });
    const told = await transfers.getByGrant(grant, { maxBytes: 12, into });
    assert.deepEqual([String(told), told.buffer === into.buffer], ['0123456789', true]);
    server.answer({ status: 200, headers: { 'transfer-encoding': 'chunked' }, body: '0123456789' });
    const untold = await transfers.getByGrant(grant, { maxBytes: 12, into });
    assert.deepEqual([String(untold), untold.buffer === into.buffer], ['0123456789', false]);
  });

  it('tells the size of an object by its first byte, or by its length where a store knows no ranges', async (t) => {
    const { transfers, server } = await house(t);
    const grant = grantOf(server, { method: 'GET' });
    const size = async () => await transfers.sizeByGrant(grant);
    assert.equal(await size(), undefined);
    server.objects.set('/bucket/key', LARGE);
    assert.equal(await size(), LARGE.length);
    assert.equal(server.arrived.at(-1)?.headers.range, 'bytes=0-0');
    server.answer({ status: 200, headers: { 'content-length': '5' }, body: 'whole' });
    assert.equal(await size(), 5);
    server.answer(refusal(416, 'InvalidRange'));
    assert.equal(await size(), 0, 'an empty object has no first byte');
    for (const [code, known] of [
      ['object.missing', undefined],
      ['object.range', 0],
    ] as const) {
      server.answer({
        status: 404,
        body: JSON.stringify({ kind: 'missing', code, message: 'of the service' }),
      });
      assert.equal(await size(), known);
    }
  });

  it('takes no other refusal for an object that is gone', async (t) => {
    const { transfers, server } = await house(t);
    const grant = grantOf(server, { method: 'GET' });
    for (const [answer, kind, code] of [
      [refusal(404, 'NoSuchBucket'), 'missing', 'store.no-bucket'],
      [refusal(403, 'AccessDenied'), 'denied', 'store.denied'],
      [refusal(403, 'RequestTimeTooSkewed'), 'unavailable', 'grant.expired'],
      [refusal(503, 'SlowDown'), 'unavailable', 'store.unavailable'],
      [{ status: 206, body: 'x' }, 'failed', 'store.unsupported'],
    ] as const) {
      server.answer(answer);
      await assert.rejects(transfers.sizeByGrant(grant), failure(kind, code));
    }
  });

  it('gives the reason of its caller', async (t) => {
    const { transfers, server, proxy } = await house(t);
    const throughProxy = grantOf(proxy);
    const early = AbortSignal.abort(new Error('before'));
    await assert.rejects(transfers.putByGrant(throughProxy, BODY, early), /before/);
    assert.equal(server.arrived.length, 0);
    proxy.meet({ withholdAnswer: true });
    const signal = AbortSignal.timeout(50);
    await assert.rejects(
      transfers.putByGrant(throughProxy, BODY, signal),
      (thrown) => thrown === signal.reason,
    );
  });

  it('keeps connections alive, and never has more than it may', async (t) => {
    const { transfers, server } = await house(t, { connections: 3 });
    server.objects.set('/bucket/key', LARGE.subarray(0, 100_000));
    const grant = grantOf(server, { method: 'GET' });
    const all = Array.from({ length: 30 }, () => transfers.getByGrant(grant, { maxBytes: 100_000 }));
    for (const body of await Promise.all(all)) assert.equal(body.length, 100_000);
    assert.ok(server.connections <= 3, `${server.connections} connections`);
  });
});

describe('time-outs of a transfer', () => {
  const timeouts = { connect: 500, stall: 1000, whole: 20_000 };

  it('notice an upload that stalls', async (t) => {
    const { transfers, proxy } = await house(t, { timeouts });
    proxy.meet({ stallUp: 1024 * 1024 });
    const start = performance.now();
    await assert.rejects(putLarge(transfers, proxy), failure('unavailable', 'store.unavailable'));
    assert.ok(performance.now() - start < 4000);
  });

  it('do not take a slow line for a stalled one', async (t) => {
    const { transfers, proxy, server } = await house(t, { timeouts });
    server.answer({ status: 200 });
    proxy.meet({ rate: 10 * 1024 * 1024 });
    const start = performance.now();
    await putLarge(transfers, proxy);
    assert.ok(performance.now() - start > 2 * timeouts.stall);
    assert.ok(server.arrived[0]?.body.equals(LARGE));
  });

  it('notice an answer that never comes, or stops midway', async (t) => {
    const { transfers, proxy, server } = await house(t, { timeouts });
    server.objects.set('/bucket/key', LARGE.subarray(0, 600_000));
    const grant = grantOf(proxy, { method: 'GET' });
    for (const fault of [{ withholdAnswer: true }, { stallDown: 300_000 }, { stallDown: 0 }]) {
      proxy.meet(fault);
      await assert.rejects(
        transfers.getByGrant(grant, { maxBytes: 600_000 }),
        failure('unavailable', 'store.unavailable'),
      );
    }
  });

  it('give a body the time that a slow line takes for it', async () => {
    assert.equal(timeFor(1000, 0), 1000);
    assert.ok(timeFor(TIMEOUTS.whole, 64 * 1024 * 1024) > 45 * 60_000);
  });

  it('end a transfer that takes too long as a whole', async (t) => {
    const { transfers, server } = await house(t, { timeouts: { ...timeouts, whole: 400 } });
    server.answer({ status: 200, body: 'slow as honey', drip: 100 });
    const grant = grantOf(server, { method: 'GET' });
    await assert.rejects(
      transfers.getByGrant(grant, { maxBytes: 20 }),
      failure('unavailable', 'store.timeout'),
    );
  });

  const putLarge = (transfers: Transfers, proxy: FaultProxy) =>
    transfers.putByGrant(grantOf(proxy, { headers: { 'content-length': String(LARGE.length) } }), LARGE);
});

interface House {
  readonly server: PlainServer;
  readonly proxy: FaultProxy;
  readonly transfers: Transfers;
}

async function house(t: TestContext, options: TransferOptions = {}): Promise<House> {
  const server = await startPlainServer();
  const proxy = await startFaultProxy(server.port);
  const transfers = openTransfers(options);
  t.after(async () => {
    await transfers.close();
    await proxy.stop();
    await server.stop();
  });
  return { server, proxy, transfers };
}

function grantOf({ url }: { url: string }, grant: Partial<Grant> = {}): Grant {
  return {
    method: 'PUT',
    url: `${url}/bucket/key${grant.method === 'GET' ? '' : '?q=1'}`,
    headers: {},
    expires: Date.now() + 60_000,
    ...grant,
  };
}
