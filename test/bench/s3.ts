/** A real S3 server for the bench: Ceph RGW on loopback, a new bucket for each round. */
import type { HouseOptions } from '../house.ts';
import { makeBucket } from '../s3/buckets.ts';
import { startCeph } from '../s3/ceph.ts';

/** Where the next round keeps. */
export type StoreChoice = () => Promise<HouseOptions>;

export async function startBenchStore(): Promise<{ store: StoreChoice; stop(): Promise<void> }> {
  const ceph = await startCeph({ gib: 40 });
  return {
    store: async () => {
      const { bucket, endpoint = '', access_key_id = '', secret_access_key = '' } = await makeBucket(ceph);
      const lines = Object.entries({ type: 's3', bucket, endpoint, region: 'us-east-1' });
      return {
        toml: `[store]\n${lines.map(([key, value]) => `${key} = ${JSON.stringify(value)}`).join('\n')}\n`,
        env: { AWS_ACCESS_KEY_ID: access_key_id, AWS_SECRET_ACCESS_KEY: secret_access_key },
      };
    },
    stop: () => ceph.stop(),
  };
}
