/** The AWS command line as a judge: what zkeep stored must be there for others too. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { S3Location } from '../../catalog/repository/store/location.ts';
import { needCommand } from './packages.ts';

/**
 * Lists the bucket and fetches every object.
 *
 * @returns the bodies by their key in the bucket.
 */
export async function fetchByAws(location: S3Location): Promise<Map<string, Buffer>> {
  await needCommand('aws', 'awscli');
  const folder = await mkdtemp(join(tmpdir(), 'zkeep-aws-'));
  try {
    const text = await aws(location, folder, 's3api', 'list-objects-v2', '--bucket', location.bucket);
    const { Contents }: { Contents?: { Key: string; Size: number }[] } = JSON.parse(text || '{}');
    const found = new Map<string, Buffer>();
    for (const { Key, Size } of Contents ?? []) {
      const file = join(folder, 'object');
      await aws(location, folder, 's3api', 'get-object', '--bucket', location.bucket, '--key', Key, file);
      const body = await readFile(file);
      assert.equal(body.length, Size, Key);
      found.set(Key, body);
    }
    return found;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function aws(location: S3Location, folder: string, ...args: string[]): Promise<string> {
  const env = {
    PATH: process.env['PATH'],
    HOME: folder,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_DEFAULT_REGION: location.region,
    AWS_ACCESS_KEY_ID: location.access_key_id,
    AWS_SECRET_ACCESS_KEY: location.secret_access_key,
  };
  const command = ['--endpoint-url', location.endpoint ?? '', '--output', 'json', ...args];
  return (await promisify(execFile)('aws', command, { env, timeout: 60_000 })).stdout;
}
