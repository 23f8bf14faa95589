import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { digestOf } from '../../catalog/repository/store/body.ts';
import { S3Granter } from '../../catalog/repository/store/s3-grants.ts';
import { S3Store } from '../../catalog/repository/store/s3-store.ts';
import type { StoreAbilities } from '../../catalog/repository/store/store.ts';
import { putByGrant } from '../../catalog/repository/store/transfer.ts';
import { putText, storeConformance, textOf } from '../catalog/repository/store/conformance.ts';
import { faultConformance } from '../catalog/repository/store/fault-conformance.ts';
import { makeBucket, openBucket, resolveHere } from './buckets.ts';
import type { S3Server } from './daemons.ts';
import { serverConformance } from './server-conformance.ts';
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

serverConformance("Swift's s3api", () => swift, { abilities, hides: false });

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
});
