/** Writing by grants over a line and to a store that fail in passing. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { untilTaken } from '../../../agent/service/grants.ts';
import { Patience } from '../../../catalog/patience.ts';
import { digestOf } from '../../../catalog/repository/store/body.ts';
import type { Grant } from '../../../catalog/repository/store/store.ts';
import { openTransfers } from '../../../catalog/repository/store/transfer.ts';
import { failure } from '../../catalog/repository/store/conformance.ts';
import { refusal, startPlainServer } from '../../catalog/repository/store/plain-server.ts';
import { type Fault, startFaultProxy } from '../../fault-proxy.ts';
import { ManualClock } from '../../server/fixture/manual-clock.ts';

/** More than the buffers of a loopback connection hold. */
const BODY = randomBytes(24 * 1024 * 1024);

async function house(t: TestContext, limit = 60_000, body = BODY) {
  const server = await startPlainServer();
  const proxy = await startFaultProxy(server.port);
  const transfers = openTransfers({ timeouts: { connect: 1000, stall: 1000, whole: 60_000 } });
  t.after(async () => {
    await transfers.close();
    await proxy.stop();
    await server.stop();
  });
  const waits: string[] = [];
  const patience = new Patience({
    limit,
    clock: new ManualClock(),
    onWait: ({ failure: { code } }) => waits.push(code),
  });
  let asked = 0;
  const put = async () => {
    asked += 1;
    const headers = { 'x-amz-content-sha256': digestOf(body), 'content-length': String(body.length) };
    const url = `${proxy.url}/bucket/key?grant=${asked}`;
    const grant: Grant = { method: 'PUT', url, headers, expires: Number.MAX_SAFE_INTEGER };
    await transfers.putByGrant(grant, body);
  };
  const write = async () => await untilTaken(put, { patience, signal: undefined });
  return { server, proxy, waits, write, asked: () => asked };
}

describe('a segment on its way', () => {
  it('is sent at once by a new grant when the store calls the one it came with too old', async (t) => {
    const { server, write, waits, asked } = await house(t, 0);
    server.answer(refusal(403, 'RequestTimeTooSkewed'), refusal(403, 'AccessDenied', 'Request has expired'));
    await write();
    assert.equal(asked(), 3);
    assert.deepEqual(waits, []);
    assert.ok(server.objects.get('/bucket/key')?.equals(BODY));
  });

  it('is given up when every new grant is too old', async (t) => {
    const { server, write, waits } = await house(t);
    server.answer(...Array.from({ length: 3 }, () => refusal(403, 'RequestTimeTooSkewed')));
    await assert.rejects(write(), failure('unavailable', 'grant.expired'));
    assert.deepEqual(waits, []);
  });

  const passing: readonly [string, Fault, string][] = [
    ['is no longer taken', { stallUp: 1024 * 1024 }, 'store.unavailable'],
    ['is cut off', { cutUp: 1024 * 1024 }, 'store.unavailable'],
    ['is spoilt', { flipUp: 1024 * 1024 }, 'store.spoilt-on-the-way'],
    ['is refused for want of room', { full: true }, 'store.full'],
    ['is refused by a store that has too much to do', { busy: true }, 'store.unavailable'],
  ];
  for (const [what, fault, code] of passing) {
    it(`is sent again when it ${what}`, async (t) => {
      const { server, proxy, write, waits } = await house(t);
      proxy.meet(fault);
      await write();
      assert.deepEqual(waits, [code]);
      assert.ok(server.objects.get('/bucket/key')?.equals(BODY));
    });
  }

  it('is held back for hours by a store without room, and by none that refuses it', async (t) => {
    const { server, write, waits } = await house(t, 10 * 3_600_000, Buffer.from('small'));
    server.answer(...Array.from({ length: 30 }, () => ({ status: 507 })), refusal(403, 'AccessDenied'));
    await assert.rejects(write(), failure('denied', 'store.denied'));
    assert.equal(waits.length, 30);
  });
});
