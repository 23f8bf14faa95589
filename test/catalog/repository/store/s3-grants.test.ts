import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import { type Clock, systemClock } from '../../../../catalog/clock.ts';
import { digestOf } from '../../../../catalog/repository/store/body.ts';
import type { S3Location } from '../../../../catalog/repository/store/location.ts';
import {
  S3Granter,
  SAFETY_MARGIN,
  SIGNATURE_LIFETIME,
} from '../../../../catalog/repository/store/s3-grants.ts';
import { S3Store } from '../../../../catalog/repository/store/s3-store.ts';
import type { Grant } from '../../../../catalog/repository/store/store.ts';
import { failure, putText } from './conformance.ts';
import { startPlainServer } from './plain-server.ts';

const SECRET = 'a-secret';
const BODY = Buffer.from('the body');
const NOON = Date.UTC(2026, 10, 20, 12);

describe('a grant for an S3 store', () => {
  it('is signed as the specification of Signature Version 4 says', async () => {
    for (const grant of [await grantPut(), await grantGet()]) {
      assert.equal(signatureIn(grant), signatureBySpecification(grant, 'eu-central-1'));
    }
  });

  it('binds address, length, content, condition and everything else that it sends', async () => {
    const { headers, method, url } = await grantPut({ storage_class: 'COLD', session_token: 'token' });
    assert.equal(method, 'PUT');
    assert.equal(url, 'https://s3.example.org/bucket/pre/fix/segments/1');
    const { authorization, ...rest } = headers;
    assert.deepEqual(rest, {
      'content-length': '8',
      'content-type': 'application/octet-stream',
      host: 's3.example.org',
      'if-none-match': '*',
      'x-amz-content-sha256': digestOf(BODY),
      'x-amz-date': '20261120T120000Z',
      'x-amz-security-token': 'token',
      'x-amz-storage-class': 'COLD',
    });
    assert.equal(signedHeadersIn({ headers }).join(), Object.keys(rest).toSorted().join());
    assert.match(authorization ?? '', /Credential=key\/20261120\/eu-central-1\/s3\/aws4_request/);
    assert.ok(!JSON.stringify(headers).includes(SECRET));
  });

  it('carries the newer checksum for stores that know it', async () => {
    const { headers } = await grantPut({ checksums: 'supported' });
    assert.equal(headers['x-amz-checksum-sha256'], Buffer.from(digestOf(BODY), 'hex').toString('base64'));
    assert.ok(signedHeadersIn({ headers }).includes('x-amz-checksum-sha256'));
  });

  it('carries no condition for a store that does not know them, and is refused for a key that is taken', async (t) => {
    const server = await startPlainServer({ conditions: false });
    const abilities = { conditionalPut: false, checksOnPut: true };
    const store = new S3Store(settingsOf({ endpoint: server.url }), { abilities });
    t.after(() => Promise.all([store.close(), server.stop()]));
    const granter = new S3Granter(store, at(NOON));
    const { headers } = await granter.grantPut('segments/1', BODY.length, digestOf(BODY));
    assert.ok(!signedHeadersIn({ headers }).includes('if-none-match'));
    await putText(store, 'segments/1', 'taken');
    const taken = granter.grantPut('segments/1', BODY.length, digestOf(BODY));
    await assert.rejects(taken, failure('refused', 'store.exists'));
  });

  it('goes where the store is: path style, host of the bucket, a port, a path, AWS itself', async () => {
    const urlOf = async (settings: Partial<S3Location>) => (await grantPut(settings)).url;
    const key = 'pre/fix/segments/1';
    assert.equal(await urlOf({ path_style: false }), `https://bucket.s3.example.org/${key}`);
    assert.equal(await urlOf({ endpoint: 'http://127.0.0.1:7480' }), `http://127.0.0.1:7480/bucket/${key}`);
    assert.equal(await urlOf({ endpoint: 'http://host/s3/' }), `http://host/s3/bucket/${key}`);
    assert.equal(await urlOf({ endpoint: 'http://[::1]:9000' }), `http://[::1]:9000/bucket/${key}`);
    const { endpoint, ...aws } = settingsOf({});
    assert.equal(endpoint, 'https://s3.example.org');
    const grant = await new S3Granter(new S3Store(aws), at(NOON)).grantGet('segments/1');
    assert.equal(grant.url, `https://bucket.s3.eu-central-1.amazonaws.com/${key}`);
  });

  it('signs the host with its port, as it is sent', async () => {
    assert.equal((await grantPut({ endpoint: 'http://127.0.0.1:7480' })).headers['host'], '127.0.0.1:7480');
    assert.equal((await grantPut({ path_style: false })).headers['host'], 'bucket.s3.example.org');
  });

  it('expires a little before the store stops to take it', async () => {
    assert.equal((await grantPut()).expires, NOON + 14 * 60_000);
    assert.equal(SIGNATURE_LIFETIME - SAFETY_MARGIN, 14 * 60_000);
  });
});

const at = (now: number): Clock => ({ ...systemClock, now: () => now });

function settingsOf(settings: Partial<S3Location>): S3Location {
  return {
    type: 's3',
    bucket: 'bucket',
    prefix: 'pre/fix',
    endpoint: 'https://s3.example.org',
    region: 'eu-central-1',
    access_key_id: 'key',
    secret_access_key: SECRET,
    ...settings,
  };
}

function open(settings: Partial<S3Location>): S3Store {
  return new S3Store(settingsOf(settings), { abilities: { conditionalPut: true, checksOnPut: true } });
}

function grantPut(settings: Partial<S3Location> = {}): Promise<Grant> {
  return new S3Granter(open(settings), at(NOON)).grantPut('segments/1', BODY.length, digestOf(BODY));
}

function grantGet(settings: Partial<S3Location> = {}): Promise<Grant> {
  return new S3Granter(open(settings), at(NOON)).grantGet('segments/1');
}

function signatureIn({ headers }: Pick<Grant, 'headers'>): string {
  return /Signature=([0-9a-f]{64})$/.exec(headers['authorization'] ?? '')?.[1] ?? 'none';
}

function signedHeadersIn({ headers }: Pick<Grant, 'headers'>): string[] {
  return /SignedHeaders=([^,]*)/.exec(headers['authorization'] ?? '')?.[1]?.split(';') ?? [];
}

/** Written after the specification alone, to judge the signer (AWS: "Signature Calculations for the Authorization Header"). */
function signatureBySpecification({ method, url, headers }: Grant, region: string): string {
  const names = signedHeadersIn({ headers });
  const canonical = [
    method,
    new URL(url).pathname,
    '',
    ...names.map((name) => `${name}:${headers[name]}`),
    '',
    names.join(';'),
    headers['x-amz-content-sha256'],
  ].join('\n');
  const date = headers['x-amz-date'] ?? '';
  const scope = `${date.slice(0, 8)}/${region}/s3/aws4_request`;
  const hashed = createHash('sha256').update(canonical).digest('hex');
  let key: Buffer = Buffer.from(`AWS4${SECRET}`);
  for (const part of scope.split('/')) key = createHmac('sha256', key).update(part).digest();
  return createHmac('sha256', key).update(['AWS4-HMAC-SHA256', date, scope, hashed].join('\n')).digest('hex');
}
