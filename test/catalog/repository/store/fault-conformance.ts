/** What an S3 store makes of a bad line: the same tests for every server, through the fault proxy. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import { digestOf } from '../../../../catalog/repository/store/body.ts';
import type { Timeouts } from '../../../../catalog/repository/store/deadline.ts';
import type { S3Location } from '../../../../catalog/repository/store/location.ts';
import { S3Granter } from '../../../../catalog/repository/store/s3-grants.ts';
import { S3Store } from '../../../../catalog/repository/store/s3-store.ts';
import type { StoreAbilities } from '../../../../catalog/repository/store/store.ts';
import { openTransfers, type Transfers } from '../../../../catalog/repository/store/transfer.ts';
import type { RetryPolicy } from '../../../../catalog/retry.ts';
import { type Fault, type FaultProxy, startFaultProxy } from '../../../fault-proxy.ts';
import { failure } from './conformance.ts';

/** A server on loopback with an empty bucket. */
export interface FaultyEnd {
  readonly port: number;
  readonly location: S3Location;
  cleanup(): Promise<void>;
}

export interface FaultExpectations {
  readonly abilities: StoreAbilities;
  /** Milliseconds without a byte that this server never needs. */
  readonly stall: number;
}

const BODY = randomBytes(600_000);
const SHA256 = digestOf(BODY);
const MIDDLE = 300_000;
const PAUSES = { firstPause: 5, longestPause: 20 };

/** Registers the suite; the server is opened once. */
export function faultConformance(
  name: string,
  open: () => Promise<FaultyEnd>,
  expected: FaultExpectations,
): void {
  describe(`on a bad line to ${name}`, () => {
    let end: FaultyEnd;
    let line: Line;
    before(async () => {
      end = await open();
      line = await openLine(end, expected);
    });
    after(async () => {
      await line.close();
      await end.cleanup();
    });
    beforeEach(() => line.proxy.clear());
    describe('the store', () => storeFaults(() => line, expected));
    describe('a transfer by grant', () => transferFaults(() => line, expected));
  });
}

/** The same bucket twice: straight, and through the proxy. */
interface Line {
  readonly proxy: FaultProxy;
  readonly straight: S3Store;
  readonly store: S3Store;
  /** As `store`, but begins no new try after one and a half stalls. */
  readonly impatient: S3Store;
  readonly transfers: Transfers;
  close(): Promise<void>;
}

async function openLine(end: FaultyEnd, { abilities, stall }: FaultExpectations): Promise<Line> {
  const proxy = await startFaultProxy(end.port);
  const timeouts: Timeouts = { connect: 1000, stall, whole: 20 * stall };
  const straight = new S3Store(end.location, { abilities });
  const open = (retries: RetryPolicy) =>
    new S3Store({ ...end.location, endpoint: proxy.url }, { abilities, timeouts, retries });
  const store = open({ ...PAUSES, tries: 4, budget: 100 * stall });
  const impatient = open({ ...PAUSES, tries: 100, budget: 1.5 * stall });
  const transfers = openTransfers({ timeouts });
  const close = async () => {
    await Promise.all([straight.close(), store.close(), impatient.close(), transfers.close()]);
    await proxy.stop();
  };
  return { proxy, straight, store, impatient, transfers, close };
}

function storeFaults(line: () => Line, { abilities, stall }: FaultExpectations): void {
  const put = (key: string, ifAbsent: boolean) => line().store.put(key, BODY, { sha256: SHA256, ifAbsent });
  const get = (key: string) => line().store.get(key, { maxBytes: BODY.length });
  const stored = async (key: string) =>
    (await line().straight.get(key, { maxBytes: BODY.length })).equals(BODY);
  const meetOnce = async (fault: Fault, work: () => Promise<unknown>) => {
    const before = line().proxy.met;
    line().proxy.meet(fault);
    const result = await work();
    assert.equal(line().proxy.met, before + 1, 'the fault was met');
    return result;
  };
  const passing: readonly [string, Fault][] = [
    ['is refused', { refuse: true }],
    ['is answered with 503', { busy: true }],
    ['breaks off in the middle', { cutUp: MIDDLE }],
    ['stalls in the middle', { stallUp: MIDDLE }],
    ['flips a bit', { flipUp: MIDDLE }],
    ['loses the answer', { dropAnswer: true }],
    ['never answers', { withholdAnswer: true }],
  ];

  for (const [what, fault] of passing)
    it(`writes once and for all when the line ${what}`, async () => {
      const key = `put/${Object.keys(fault)[0]}`;
      await meetOnce({ ...fault, method: 'PUT' }, () => put(key, false));
      assert.ok(await stored(key));
    });

  for (const [what, fault] of passing)
    it(`writes under a condition when the line ${what}`, async () => {
      const key = `put-if/${Object.keys(fault)[0]}`;
      await meetOnce({ ...fault, method: 'PUT' }, () => put(key, true));
      assert.ok(await stored(key));
    });

  it('stores nothing of a body that never arrives whole, and says so', async () => {
    line().proxy.meet({ cutUp: MIDDLE }, 4);
    await assert.rejects(put('put/never', false), failure('unavailable', 'store.unavailable'));
    assert.equal(await line().straight.stat('put/never'), undefined);
  });

  if (abilities.conditionalPut)
    it('does not take a lost answer for success when the key holds other bytes', async () => {
      const other = Buffer.from('written by another');
      await line().straight.put('put/other', other, { sha256: digestOf(other) });
      line().proxy.meet({ dropAnswer: true, method: 'PUT' });
      await assert.rejects(put('put/other', true), failure('refused', 'store.exists'));
      assert.ok((await line().straight.get('put/other', { maxBytes: 100 })).equals(other));
    });

  for (const [what, fault] of [
    ['is refused', { refuse: true }],
    ['is answered with 503', { busy: true }],
    ['breaks off in the middle of the body', { cutDown: MIDDLE }],
    ['breaks off before the body', { cutDown: 0 }],
    ['stalls in the middle of the body', { stallDown: MIDDLE }],
    ['never answers', { withholdAnswer: true }],
  ] as const)
    it(`reads the whole object when the line ${what}`, async () => {
      await line().straight.put('get/whole', BODY, { sha256: SHA256 });
      const back = await meetOnce(fault, () => get('get/whole'));
      assert.ok(Buffer.isBuffer(back) && back.equals(BODY));
    });

  it('cannot see a bit that flips on the way back: the digest of the caller does', async () => {
    await line().straight.put('get/flipped', BODY, { sha256: SHA256 });
    line().proxy.meet({ flipDown: MIDDLE });
    const back = await get('get/flipped');
    assert.equal(back.length, BODY.length);
    assert.notEqual(digestOf(back), SHA256);
    assert.equal(digestOf(await get('get/flipped')), SHA256);
  });

  it('lists whole when a page breaks off', async () => {
    for (const key of ['list/1', 'list/2'])
      await line().straight.put(key, Buffer.from(''), { sha256: digestOf(Buffer.from('')) });
    line().proxy.meet({ cutDown: 100 });
    const keys: string[] = [];
    for await (const { key } of line().store.list('list/')) keys.push(key);
    assert.deepEqual(keys, ['list/1', 'list/2']);
  });

  it('gives up within its budget on a store that never answers', async () => {
    line().proxy.meet({ withholdAnswer: true }, 100);
    const start = performance.now();
    const silent = line().impatient.get('get/silent', { maxBytes: 1 });
    await assert.rejects(silent, failure('unavailable', 'store.unavailable'));
    const took = performance.now() - start;
    assert.ok(took >= stall && took < 4 * stall, `${Math.round(took)} ms`);
  });

  it('gives the reason of its caller when that aborts in the middle', async () => {
    await line().straight.put('get/abort', BODY, { sha256: SHA256 });
    for (const fault of [{ withholdAnswer: true }, { stallDown: MIDDLE }]) {
      line().proxy.meet(fault);
      const signal = AbortSignal.timeout(Math.round(stall / 4));
      const aborted = line().store.get('get/abort', { maxBytes: BODY.length, signal });
      await assert.rejects(aborted, (thrown) => thrown === signal.reason);
    }
  });
}

function transferFaults(line: () => Line, { abilities }: FaultExpectations): void {
  const grantPut = (key: string) => new S3Granter(line().store).grantPut(key, BODY.length, SHA256);
  const grantGet = (key: string) => new S3Granter(line().store).grantGet(key);
  const stored = (key: string) => line().straight.stat(key);

  for (const [what, fault, code] of [
    ['is refused', { refuse: true }, 'store.unavailable'],
    ['is answered with 503', { busy: true }, 'store.unavailable'],
    ['breaks off in the middle', { cutUp: MIDDLE }, 'store.unavailable'],
    ['stalls in the middle', { stallUp: MIDDLE }, 'store.unavailable'],
    ['flips a bit', { flipUp: MIDDLE }, 'store.spoilt-on-the-way'],
  ] as const)
    it(`says that it may be tried again, and stores nothing, when the line ${what}`, async () => {
      const key = `grant-put/${Object.keys(fault)[0]}`;
      const grant = await grantPut(key);
      line().proxy.meet(fault);
      await assert.rejects(line().transfers.putByGrant(grant, BODY), failure('unavailable', code));
      assert.equal(await stored(key), undefined);
      await line().transfers.putByGrant(grant, BODY);
      assert.equal((await stored(key))?.size, BODY.length);
    });

  for (const fault of [{ dropAnswer: true }, { withholdAnswer: true }])
    it(`may be done although its answer is lost (${Object.keys(fault)[0]})`, async () => {
      const key = `grant-put/${Object.keys(fault)[0]}`;
      const grant = await grantPut(key);
      line().proxy.meet(fault);
      await assert.rejects(
        line().transfers.putByGrant(grant, BODY),
        failure('unavailable', 'store.unavailable'),
      );
      assert.equal((await stored(key))?.size, BODY.length);
      const again = line().transfers.putByGrant(grant, BODY);
      if (abilities.conditionalPut) await assert.rejects(again, failure('refused', 'store.exists'));
      else await again;
    });

  for (const [what, fault] of [
    ['is refused', { refuse: true }],
    ['is answered with 503', { busy: true }],
    ['breaks off in the middle', { cutDown: MIDDLE }],
    ['stalls in the middle', { stallDown: MIDDLE }],
    ['never answers', { withholdAnswer: true }],
  ] as const)
    it(`says that reading may be tried again when the line ${what}`, async () => {
      await line().straight.put('grant-get', BODY, { sha256: SHA256 });
      const grant = await grantGet('grant-get');
      line().proxy.meet(fault);
      const options = { maxBytes: BODY.length };
      await assert.rejects(
        line().transfers.getByGrant(grant, options),
        failure('unavailable', 'store.unavailable'),
      );
      assert.ok((await line().transfers.getByGrant(grant, options)).equals(BODY));
    });
}
