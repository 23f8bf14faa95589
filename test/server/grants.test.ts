import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Digest } from '../../catalog/words.ts';
import { SelfGranter } from '../../server/grants.ts';
import { ManualClock } from './fixture/manual-clock.ts';

const KEY = 'segments/01890a5d-ac96-774b-bcce-b302099a8057/00000000.zst';
const SHA = 'ab'.repeat(32) as Digest;

function granter(key = Buffer.alloc(32, 1), clock = new ManualClock()): SelfGranter {
  return new SelfGranter({ key, clock, address: () => 'http://zkeep.example:8470', lifetime: 900_000 });
}

describe('a grant of the service', () => {
  it('says method, address, headers and end', async () => {
    const { method, url, headers, expires } = await granter().grantPut(KEY, 1234, SHA);
    assert.equal(method, 'PUT');
    assert.equal(url, `http://zkeep.example:8470/v1/objects/${KEY}`);
    assert.equal(headers['content-length'], '1234');
    assert.equal(expires, new ManualClock().now() + 900_000);
  });

  it('is good for what it was given for, any number of times', async () => {
    const grants = granter();
    const { headers } = await grants.grantPut(KEY, 1234, SHA);
    for (let time = 0; time < 2; time++) {
      assert.deepEqual(grants.checkPut(KEY, headers['authorization']), { size: 1234, sha256: SHA });
    }
    const read = await grants.grantGet(KEY);
    grants.checkGet(KEY, read.headers['authorization']);
  });

  it('is not good for another key, method, size, content or end', async () => {
    const grants = granter();
    const authorization = (await grants.grantPut(KEY, 1234, SHA)).headers['authorization'] ?? '';
    const invalid = { kind: 'denied', code: 'grant.invalid' };
    assert.throws(() => grants.checkPut(KEY.replace('0.zst', '1.zst'), authorization), invalid);
    assert.throws(() => grants.checkGet(KEY, authorization), invalid);
    for (const [from, to] of [
      ['size=1234', 'size=12345'],
      [SHA, 'cd'.repeat(32)],
      ['expires=', 'expires=9'],
    ] as const) {
      assert.throws(() => grants.checkPut(KEY, authorization.replace(from, to)), invalid);
    }
  });

  it('to read is not one to write', async () => {
    const grants = granter();
    const { headers } = await grants.grantGet(KEY);
    assert.throws(() => grants.checkPut(KEY, headers['authorization']), { code: 'grant.invalid' });
  });

  it('of another service is refused', async () => {
    const { headers } = await granter(Buffer.alloc(32, 2)).grantPut(KEY, 1234, SHA);
    assert.throws(() => granter().checkPut(KEY, headers['authorization']), { code: 'grant.invalid' });
  });

  it('ends', async () => {
    const clock = new ManualClock();
    const grants = granter(Buffer.alloc(32, 1), clock);
    const { headers } = await grants.grantPut(KEY, 1234, SHA);
    clock.pass(899_999);
    grants.checkPut(KEY, headers['authorization']);
    clock.pass(1);
    assert.throws(() => grants.checkPut(KEY, headers['authorization']), {
      kind: 'denied',
      code: 'grant.expired',
    });
  });

  for (const header of [
    undefined,
    '',
    'Bearer zkeep_x',
    'zkeep-grant',
    'zkeep-grant expires=1,size=-,sha256=-,signature=',
  ]) {
    it(`is not ${JSON.stringify(header)}`, () => {
      assert.throws(() => granter().checkGet(KEY, header), { kind: 'denied', code: 'grant.invalid' });
    });
  }
});
