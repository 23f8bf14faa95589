/** Buckets on a server of the tests, and stores in them. */
import dns from 'node:dns';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { Clock } from '../../catalog/clock.ts';
import type { S3Location } from '../../catalog/repository/store/location.ts';
import { S3Granter } from '../../catalog/repository/store/s3-grants.ts';
import { S3Store } from '../../catalog/repository/store/s3-store.ts';
import type { OpenedStore } from '../catalog/repository/store/conformance.ts';
import type { S3Server } from './daemons.ts';

let made = 0;

/** Makes a bucket, and gives where it is. */
export async function makeBucket(server: S3Server): Promise<S3Location> {
  const bucket = `zkeep-${process.pid}-${++made}`;
  const client = ownerOf(server);
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
  return { type: 's3', bucket, prefix: '', endpoint: server.endpoint, region: 'us-east-1', ...server.owner };
}

/** A client of the SDK as the owner of the buckets. */
export function ownerOf({ endpoint, owner }: S3Server): S3Client {
  const credentials = { accessKeyId: owner.access_key_id, secretAccessKey: owner.secret_access_key };
  return new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
}

/** An empty store for the conformance tests. */
export async function openBucket(server: S3Server, settings: Partial<S3Location> = {}): Promise<OpenedStore> {
  const store = new S3Store({ ...(await makeBucket(server)), ...settings });
  return { store, granter: (clock: Clock) => new S3Granter(store, clock), cleanup: () => store.close() };
}

/** Lets every name below `domain` mean this machine, as a wildcard in the DNS would; gives the way back. */
export function resolveHere(domain: string): () => void {
  const { lookup } = dns;
  const here: typeof dns.lookup = Object.assign((name: string, ...rest: unknown[]) => {
    return Reflect.apply(lookup, dns, [name.endsWith(`.${domain}`) ? '127.0.0.1' : name, ...rest]);
  }, lookup);
  dns.lookup = here;
  return () => {
    dns.lookup = lookup;
  };
}
