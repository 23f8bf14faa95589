import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { PutBucketPolicyCommand, PutBucketVersioningCommand } from '@aws-sdk/client-s3';
import { digestOf } from '../../catalog/repository/store/body.ts';
import { openStore } from '../../catalog/repository/store/location.ts';
import { S3Granter } from '../../catalog/repository/store/s3-grants.ts';
import { S3Store } from '../../catalog/repository/store/s3-store.ts';
import type { StoreAbilities } from '../../catalog/repository/store/store.ts';
import { putByGrant } from '../../catalog/repository/store/transfer.ts';
import { failure, putText, storeConformance, textOf } from '../catalog/repository/store/conformance.ts';
import { faultConformance } from '../catalog/repository/store/fault-conformance.ts';
import { makeBucket, openBucket, ownerOf, resolveHere } from './buckets.ts';
import { type Ceph, startCeph } from './ceph.ts';
import { serverConformance } from './server-conformance.ts';

const abilities: StoreAbilities = { conditionalPut: true, checksOnPut: true };
const RETRIES = { tries: 2, firstPause: 1, longestPause: 1, budget: 1000 };

let ceph: Ceph;
let restoreNames: () => void;
before(async () => {
  ceph = await startCeph();
  restoreNames = resolveHere(ceph.domain);
});
after(async () => {
  restoreNames();
  await ceph.stop();
});

storeConformance('Ceph RGW, path style, below a prefix', () => openBucket(ceph, { prefix: 'pre/fix' }), {
  abilities,
  grants: true,
});

storeConformance(
  'Ceph RGW, by the host of the bucket, with the newer checksums and a storage class',
  () =>
    openBucket(ceph, {
      endpoint: `http://${ceph.domain}:${ceph.port}`,
      path_style: false,
      checksums: 'supported',
      storage_class: 'STANDARD',
    }),
  { abilities, grants: true },
);

faultConformance(
  'Ceph RGW',
  async () => ({ port: ceph.port, location: await makeBucket(ceph), cleanup: async () => {} }),
  { abilities, stall: 1000 },
);

serverConformance('Ceph RGW', () => ceph, { abilities, hides: true });

describe('Ceph RGW', () => {
  it('ignores conditions in a versioned bucket, which is found out, and nothing is replaced', async (t) => {
    const location = await makeBucket(ceph);
    const client = ownerOf(ceph);
    const VersioningConfiguration = { Status: 'Enabled' } as const;
    await client.send(new PutBucketVersioningCommand({ Bucket: location.bucket, VersioningConfiguration }));
    client.destroy();
    const store = new S3Store(location);
    t.after(() => store.close());
    await putText(store, 'key', 'first', true);
    await assert.rejects(putText(store, 'key', 'second', true), failure('refused', 'store.exists'));
    assert.deepEqual(await store.abilities(), { conditionalPut: false, checksOnPut: true });
    const granter = new S3Granter(store);
    await assert.rejects(
      granter.grantPut('key', 1, digestOf(Buffer.from('x'))),
      failure('refused', 'store.exists'),
    );
    assert.equal(await textOf(store, 'key'), 'first');
  });

  it('can be used by a user who may write but not delete', async (t) => {
    const location = await makeBucket(ceph);
    await allowOther(location.bucket);
    const store = new S3Store({ ...location, ...ceph.other });
    t.after(() => store.close());
    await putText(store, 'key', 'text', true);
    await assert.rejects(putText(store, 'key', 'other', true), failure('refused', 'store.exists'));
    await assert.rejects(store.delete('key'), failure('denied', 'store.denied'));
    assert.equal(await textOf(store, 'key'), 'text');
    const body = Buffer.from('granted');
    await putByGrant(await new S3Granter(store).grantPut('granted', body.length, digestOf(body)), body);
    assert.equal(await textOf(store, 'granted'), 'granted');
    // STORES.md says so: an object belongs to who wrote it, not to the owner of the bucket.
    const owner = new S3Store(location, { abilities });
    t.after(() => owner.close());
    await assert.rejects(owner.get('granted', { maxBytes: 100 }), failure('denied', 'store.denied'));
  });

  it('says that a quota is full', async (t) => {
    const location = await makeBucket(ceph);
    const quota = ['--quota-scope=bucket', `--bucket=${location.bucket}`];
    await ceph.admin('quota', 'set', ...quota, '--max-size=100000');
    await ceph.admin('quota', 'enable', ...quota);
    const store = new S3Store(location, { abilities });
    t.after(() => store.close());
    const body = randomBytes(200_000);
    await assert.rejects(store.put('key', body, { sha256: digestOf(body) }), failure('full', 'store.full'));
    const grant = await new S3Granter(store).grantPut('key', body.length, digestOf(body));
    await assert.rejects(putByGrant(grant, body), failure('full', 'store.full'));
  });

  it('tells a bucket that is missing from an object that is', async (t) => {
    const store = new S3Store({ ...(await makeBucket(ceph)), bucket: 'there-is-no-such' }, { abilities });
    t.after(() => store.close());
    const gone = failure('missing', 'store.no-bucket');
    await assert.rejects(store.stat('key'), gone);
    await assert.rejects(store.get('key', { maxBytes: 1 }), gone);
    await assert.rejects(putText(store, 'key', ''), gone);
    await assert.rejects(store.list('').next(), gone);
    await assert.rejects(store.probe(), gone);
  });

  it('is unavailable where nothing listens, once the policy gives up', async (t) => {
    const location = { ...(await makeBucket(ceph)), endpoint: 'http://127.0.0.1:9' };
    const store = await openStore(location, { retries: RETRIES, abilities });
    t.after(() => store.close());
    await assert.rejects(store.get('key', { maxBytes: 1 }), failure('unavailable', 'store.unavailable'));
  });
});

/** Lets the other user read and write, but not delete, as deploy's bucket policies do. */
async function allowOther(bucket: string): Promise<void> {
  const Policy = JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { AWS: ['arn:aws:iam:::user/other'] },
        Action: ['s3:GetObject', 's3:PutObject', 's3:ListBucket'],
        Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`],
      },
    ],
  });
  const client = ownerOf(ceph);
  await client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
  client.destroy();
}
