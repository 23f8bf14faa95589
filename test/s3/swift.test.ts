import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { digestOf } from '../../catalog/repository/store/body.ts';
import { S3Granter } from '../../catalog/repository/store/s3-grants.ts';
import { S3Store } from '../../catalog/repository/store/s3-store.ts';
import type { StoreAbilities } from '../../catalog/repository/store/store.ts';
import { putByGrant } from '../../catalog/repository/store/transfer.ts';
import { failure, putText, storeConformance, textOf } from '../catalog/repository/store/conformance.ts';
import { faultConformance } from '../catalog/repository/store/fault-conformance.ts';
import { fetchByAws } from './aws-command.ts';
import { makeBucket, openBucket, resolveHere } from './buckets.ts';
import type { S3Server } from './daemons.ts';
import { startSwift } from './swift.ts';

const abilities: StoreAbilities = { conditionalPut: false, checksOnPut: true };

let swift: S3Server;
let restoreNames: () => void;
before(async () => {
  swift = await startSwift();
  restoreNames = resolveHere(swift.domain);
});
after(async () => {
  restoreNames();
  await swift.stop();
});

storeConformance(
  "Swift's s3api, path style, below a prefix",
  () => openBucket(swift, { prefix: 'pre/fix' }),
  {
    abilities,
    grants: true,
  },
);

faultConformance(
  "Swift's s3api",
  async () => ({ port: swift.port, location: await makeBucket(swift), cleanup: async () => {} }),
  { abilities, stall: 1000 },
);

describe("Swift's s3api", () => {
  it('is reached by the host of the bucket too', async (t) => {
    const endpoint = `http://${swift.domain}:${swift.port}`;
    const store = new S3Store({ ...(await makeBucket(swift)), endpoint, path_style: false });
    t.after(() => store.close());
    await putText(store, 'a/b', 'text', true);
    assert.equal(await textOf(store, 'a/b'), 'text');
    const body = randomBytes(1000);
    const grant = await new S3Granter(store).grantPut('c', body.length, digestOf(body));
    assert.match(grant.url, new RegExp(`^http://[^/]*\\.${swift.domain}:`));
    await putByGrant(grant, body);
    assert.ok((await store.get('c', { maxBytes: 1000 })).equals(body));
  });

  it('denies who has no right, a wrong secret and a wrong clock, in words', async (t) => {
    const location = await makeBucket(swift);
    const stranger = new S3Store({ ...location, ...swift.other }, { abilities });
    const forger = new S3Store({ ...location, secret_access_key: 'wrong' }, { abilities });
    const owner = new S3Store(location, { abilities });
    t.after(() => Promise.all([stranger.close(), forger.close(), owner.close()]));
    // Of an object that is not there, Swift tells a stranger just that.
    await putText(owner, 'key', 'private');
    for (const store of [stranger, forger]) {
      await assert.rejects(putText(store, 'key', 'x'), failure('denied', 'store.denied'));
      await assert.rejects(store.get('key', { maxBytes: 9 }), failure('denied', 'store.denied'));
    }
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 60 * 60_000 });
    for (let turn = 0; turn < 2; turn++)
      await assert.rejects(putText(owner, 'key', 'x'), failure('denied', 'store.clock'));
  });

  it('gives the AWS command line the same objects', async (t) => {
    const location = await makeBucket(swift);
    const store = new S3Store(location);
    t.after(() => store.close());
    const large = randomBytes(3_000_000);
    await putText(store, 'zkeep.json', '{}', true);
    const grant = await new S3Granter(store).grantPut('segments/1', large.length, digestOf(large));
    await putByGrant(grant, large);
    const found = await fetchByAws(location);
    assert.deepEqual([...found.keys()], ['segments/1', 'zkeep.json']);
    assert.equal(String(found.get('zkeep.json')), '{}');
    assert.ok(found.get('segments/1')?.equals(large));
  });
});
