import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { inspect } from 'node:util';
import { systemClock } from '../../../../catalog/clock.ts';
import { Patience } from '../../../../catalog/patience.ts';
import { digestOf } from '../../../../catalog/repository/store/body.ts';
import type { S3Location } from '../../../../catalog/repository/store/location.ts';
import type { S3Options } from '../../../../catalog/repository/store/s3/connection.ts';
import { S3Granter } from '../../../../catalog/repository/store/s3-grants.ts';
import { S3Store } from '../../../../catalog/repository/store/s3-store.ts';
import { ManualClock } from '../../../server/fixture/manual-clock.ts';
import { failure, putText, textOf } from './conformance.ts';
import { faultConformance } from './fault-conformance.ts';
import { listing, type PlainOptions, type PlainServer, refusal, startPlainServer } from './plain-server.ts';

const KNOWS_ALL = { conditionalPut: true, checksOnPut: true };
const SECRET = 'a-secret-that-must-not-be-told';
const UNKNOWN: S3Options = {
  timeouts: { connect: 500, stall: 300, whole: 2000 },
  retries: { tries: 3, firstPause: 1, longestPause: 5, budget: 1000 },
};
const QUICK: S3Options = { ...UNKNOWN, abilities: KNOWS_ALL };

faultConformance(
  'a plain server',
  async () => {
    const server = await startPlainServer();
    return { port: server.port, location: locationOf(server), cleanup: () => server.stop() };
  },
  { abilities: KNOWS_ALL, stall: 300 },
);

describe('a request of the S3 store', () => {
  for (const scheme of ['http', 'https'])
    it(`carries the hash of its very body over ${scheme}, signed`, async (t) => {
      const { store, server } = await house(t, {}, scheme === 'https' ? { tls: TLS } : {});
      if (scheme === 'https') trustTestCertificate(t);
      await putText(store, 'key', 'text', true);
      const [put] = server.arrived;
      assert.equal(put?.headers['x-amz-content-sha256'], digestOf(Buffer.from('text')));
      assert.match(signedHeaders(put?.headers), /content-length;.*if-none-match;.*x-amz-content-sha256/);
      assert.equal(put?.headers['if-none-match'], '*');
      assert.equal(put?.headers['transfer-encoding'], undefined);
      assert.equal(await textOf(store, 'key'), 'text');
    });

  it('carries prefix and storage class, and the newer checksums only when told', async (t) => {
    const { store, server } = await house(t, { prefix: 'a/b', storage_class: 'COLD' });
    await putText(store, 'key', 'text');
    const [put] = server.arrived;
    assert.match(put?.path ?? '', /^\/bucket\/a\/b\/key(\?|$)/);
    assert.equal(put?.headers['x-amz-storage-class'], 'COLD');
    assert.equal(Object.keys(put?.headers ?? {}).filter((name) => name.includes('checksum')).length, 0);
    const newer = await house(t, { checksums: 'supported' });
    await putText(newer.store, 'key', 'text');
    const base64 = Buffer.from(digestOf(Buffer.from('text')), 'hex').toString('base64');
    assert.equal(newer.server.arrived[0]?.headers['x-amz-checksum-sha256'], base64);
    assert.equal(newer.server.arrived[0]?.headers['x-amz-checksum-crc32'], undefined);
  });

  it('goes to the host of the bucket without path style', async (t) => {
    const { store, server } = await house(t, { path_style: false, endpoint: 'http://localhost' });
    const { url } = await store.signing();
    assert.equal(url.href, 'http://bucket.localhost/');
    assert.equal(server.arrived.length, 0);
  });

  it('is not sent at all with a body that is not its digest', async (t) => {
    const { store, server } = await house(t);
    const put = store.put('key', Buffer.from('text'), { sha256: digestOf(Buffer.from('other')) });
    await assert.rejects(put, failure('damaged', 'store.mismatch'));
    assert.equal(server.arrived.length, 0);
  });

  it('is sent once for an answer that will not change, and up to the policy for one that may', async (t) => {
    const { store, server } = await house(t);
    server.answer(refusal(403, 'AccessDenied'));
    await assert.rejects(store.get('key', { maxBytes: 1 }), failure('denied', 'store.denied'));
    assert.equal(server.arrived.length, 1);
    server.answer(...Array(10).fill(refusal(503, 'SlowDown')));
    await assert.rejects(store.get('key', { maxBytes: 1 }), failure('unavailable', 'store.unavailable'));
    assert.equal(server.arrived.length, 1 + 3);
  });

  it('ends in a pause between two tries when its caller aborts, with the reason', async (t) => {
    const retries = { tries: 3, firstPause: 60_000, longestPause: 60_000, budget: 90_000 };
    const clock = { ...systemClock, random: () => 0.9 };
    const { store, server } = await house(t, {}, {}, { ...QUICK, retries, clock });
    server.answer(refusal(503, 'SlowDown'));
    const signal = AbortSignal.timeout(100);
    await assert.rejects(store.get('key', { maxBytes: 1, signal }), (thrown) => thrown === signal.reason);
    assert.equal(server.arrived.length, 1);
  });

  it('ends when the whole takes too long, although a byte comes now and then', async (t) => {
    const { store, server } = await house(
      t,
      {},
      {},
      { ...QUICK, timeouts: { connect: 500, stall: 300, whole: 500 } },
    );
    server.answer({ status: 200, headers: { 'content-length': '10' }, body: 'x'.repeat(10), drip: 100 });
    server.answer(refusal(403, 'AccessDenied'));
    await assert.rejects(store.get('key', { maxBytes: 10 }), failure('denied', 'store.denied'));
    assert.equal(server.arrived.length, 2);
  });
});

describe('an answer to the S3 store', () => {
  it('that says the clocks differ is told as that, every time', async (t) => {
    const { store, server } = await house(t);
    const skewed = {
      ...refusal(403, 'RequestTimeTooSkewed'),
      headers: { date: 'Fri, 01 Jan 2021 00:00:00 GMT' },
    };
    for (let turn = 0; turn < 2; turn++) {
      server.answer(skewed);
      await assert.rejects(store.get('key', { maxBytes: 1 }), failure('denied', 'store.clock'));
    }
    const dates = server.arrived.map(({ headers }) => String(headers['x-amz-date']).slice(0, 4));
    assert.ok(
      dates.every((year) => year === String(new Date().getUTCFullYear())),
      dates.join(),
    );
  });

  it('that is a larger object than allowed ends the connection, not the memory', async (t) => {
    const { store, server } = await house(t);
    server.objects.set('/bucket/big', Buffer.alloc(5_000_000));
    await assert.rejects(store.get('big', { maxBytes: 1000 }), failure('damaged', 'store.too-large'));
    server.answer({ status: 200, headers: { 'transfer-encoding': 'chunked' }, body: 'x'.repeat(2000) });
    await assert.rejects(store.get('big', { maxBytes: 1000 }), failure('damaged', 'store.too-large'));
    assert.equal(server.arrived.length, 2);
  });

  it('that is another range than asked for, or none, is not taken', async (t) => {
    const { store, server } = await house(t);
    const range = { start: 2, end: 4 };
    server.answer({ status: 200, body: 'abcdef' });
    await assert.rejects(store.get('k', { range, maxBytes: 9 }), failure('failed', 'store.unsupported'));
    server.answer({ status: 206, headers: { 'content-range': 'bytes 0-1/6' }, body: 'ab' });
    await assert.rejects(store.get('k', { range, maxBytes: 9 }), failure('damaged', 'store.short'));
    server.answer(
      ...Array(3).fill({ status: 206, headers: { 'content-range': 'bytes 2-3/6' }, body: 'abcd' }),
    );
    await assert.rejects(store.get('k', { range, maxBytes: 9 }), failure('unavailable', 'store.cut'));
  });

  it('that is no XML is judged by its status', async (t) => {
    const { store, server } = await house(t);
    server.answer(
      { status: 502, body: '<html>Bad Gateway' },
      { status: 503, body: '' },
      { status: 200, body: 'x' },
    );
    assert.equal(await textOf(store, 'key'), 'x');
    server.answer({ status: 407, body: 'ask the proxy' });
    await assert.rejects(store.get('key', { maxBytes: 1 }), failure('failed', 'store.rejected'));
  });

  it('to HEAD tells the SHA-256 that the store keeps, where it is said to keep any', async (t) => {
    const sha256 = digestOf(Buffer.from('text'));
    const base64 = Buffer.from(sha256, 'hex').toString('base64');
    const head = (checksum: string) => ({
      status: 200,
      headers: {
        'content-length': '4',
        'last-modified': new Date().toUTCString(),
        'x-amz-checksum-sha256': checksum,
      },
    });
    const { store, server } = await house(t, { checksums: 'supported' });
    assert.ok(store.tellsChecksums);
    server.answer(head(base64), head(`${base64}-3`), head('none'));
    assert.equal((await store.stat('key'))?.sha256, sha256);
    assert.equal(server.arrived[0]?.headers['x-amz-checksum-mode'], 'ENABLED');
    assert.equal((await store.stat('key'))?.sha256, undefined, 'that of parts is none of the bytes');
    assert.equal((await store.stat('key'))?.sha256, undefined);
    const plain = await house(t);
    assert.ok(!plain.store.tellsChecksums);
    await putText(plain.store, 'key', 'text');
    assert.equal((await plain.store.stat('key'))?.sha256, undefined);
    assert.equal(plain.server.arrived.at(-1)?.headers['x-amz-checksum-mode'], undefined);
  });

  it('to HEAD says whether the object is missing or the whole bucket', async (t) => {
    const { store, server } = await house(t);
    server.answer({ status: 404 }, { status: 404 });
    await assert.rejects(store.stat('key'), failure('missing', 'store.no-bucket'));
    server.answer({ status: 404 }, { status: 200 });
    assert.equal(await store.stat('key'), undefined);
    server.answer({ status: 404 });
    assert.equal(await store.stat('key'), undefined);
    assert.equal(server.arrived.length, 5, 'the bucket is looked for until it was seen');
  });
});

describe('a listing of the S3 store', () => {
  it('goes on from page to page and passes over what is not ours', async (t) => {
    const { store, server } = await house(t, { prefix: 'p' });
    const page = (keys: string[], more?: string) => ({
      status: 200,
      body: listing(
        keys.map((key) => [`/bucket/p/${key}`, Buffer.from(key)] as const),
        '/bucket',
        more,
      ),
    });
    server.answer(page(['a', 'a b', 'a/'], 'next'), page([], 'again'), page(['b', 'c//d', '~incoming/x']));
    assert.deepEqual(await keysOf(store), ['a', 'b']);
    assert.match(server.arrived[1]?.path ?? '', /continuation-token=next/);
    assert.match(server.arrived[1]?.path ?? '', /prefix=p%2F(&|$)/);
  });

  it('is refused when it is out of order, runs in a circle, breaks off or is none', async (t) => {
    const { store, server } = await house(t);
    const circle = { status: 200, body: listing([['/bucket/a', Buffer.from('')]], '/bucket', 'next') };
    const endless = { status: 200, body: circle.body.replace(/<Next.*Token>/, '') };
    const reversed = {
      status: 200,
      body: circle.body.replace('</List', '<Contents><Key>A</Key></Contents></List'),
    };
    for (const answers of [
      [circle, circle],
      [endless],
      [reversed],
      [{ status: 200, body: '<Something/>' }],
    ]) {
      server.answer(...answers);
      await assert.rejects(keysOf(store), failure('failed', 'store.bad-listing'));
    }
  });

  it('is asked for again when it cannot be read', async (t) => {
    const { store, server } = await house(t);
    server.answer({ status: 200, body: '<ListBucketResult><IsTru' });
    assert.deepEqual(await keysOf(store), []);
    assert.equal(server.arrived.length, 2);
  });
});

describe('a conditional write whose answer got lost', () => {
  it('is success when the key holds these very bytes, although they come back spoilt once', async (t) => {
    const { store, server } = await house(t);
    const refused = refusal(412, 'PreconditionFailed');
    server.objects.set('/bucket/key', Buffer.from('mine'));
    server.answer(refused, { status: 200, headers: { 'content-length': '4' }, body: 'mjne' });
    await putText(store, 'key', 'mine', true);
    server.objects.set('/bucket/key', Buffer.from('else'));
    await assert.rejects(putText(store, 'key', 'mine', true), failure('refused', 'store.exists'));
  });
});

describe('a store that a command waits for', () => {
  it('has the patience of the command instead of its own', async (t) => {
    const server = await startPlainServer();
    const clock = new ManualClock();
    const waits: string[] = [];
    const patience = new Patience({
      clock,
      limit: 600_000,
      onWait: ({ failure: { code } }) => waits.push(code),
    });
    const store = new S3Store(locationOf(server), { patience, abilities: KNOWS_ALL });
    t.after(async () => {
      await store.close();
      await server.stop();
    });
    server.objects.set('/bucket/key', Buffer.from('x'));
    server.answer(...Array.from({ length: 20 }, () => refusal(503, 'SlowDown')));
    assert.equal(await textOf(store, 'key'), 'x');
    assert.equal(waits.length, 20);
    const began = clock.now();
    await server.stop();
    await assert.rejects(textOf(store, 'key'), failure('unavailable', 'store.unavailable'));
    assert.equal(clock.now() - began, 600_000);
  });
});

describe('a store that knows less', () => {
  it('is found out by trying, once, before the first conditional write', async (t) => {
    const { store, server } = await house(t, {}, { conditions: false }, UNKNOWN);
    await putText(store, 'a', 'one', true);
    await assert.rejects(putText(store, 'a', 'two', true), failure('refused', 'store.exists'));
    assert.equal(await textOf(store, 'a'), 'one');
    assert.deepEqual(await store.abilities(), { conditionalPut: false, checksOnPut: true });
    assert.deepEqual([...server.objects.keys()], ['/bucket/a']);
    const probes = server.arrived.filter(({ method, path }) => method === 'PUT' && path.includes('/probe/'));
    assert.equal(probes.length, 3);
  });

  it('is tried once for all who ask at the same time, and again after a failure', async (t) => {
    const { store, server } = await house(t, {}, {}, UNKNOWN);
    server.answer(refusal(403, 'AccessDenied'));
    await assert.rejects(store.abilities(), failure('denied', 'store.denied'));
    server.arrived.length = 0;
    await Promise.all(['a', 'b', 'c'].map((key) => putText(store, key, key, true)));
    assert.equal(server.arrived.filter(({ path }) => path.includes('/probe/')).length, 6);
  });

  it('may say that it does not know conditions', async (t) => {
    const { store, server } = await house(t, {}, {}, UNKNOWN);
    server.answer({ status: 200 }, { status: 200, body: 'zkeep asks what this store can do\n' });
    server.answer(refusal(501, 'NotImplemented'));
    assert.deepEqual(await store.probe(), { conditionalPut: false, checksOnPut: true });
  });

  it('may not let its probe be removed', async (t) => {
    const { store, server } = await house(t);
    const denied = refusal(403, 'AccessDenied');
    server.answer({ status: 200 }, { status: 200, body: 'zkeep asks what this store can do\n' });
    server.answer(refusal(412, 'PreconditionFailed'), refusal(400, 'BadDigest'), denied, denied);
    assert.deepEqual(await store.probe(), KNOWS_ALL);
  });

  it('is not fit to keep backups when it gives other bytes back', async (t) => {
    const { store, server } = await house(t);
    server.answer({ status: 200 }, { status: 200, body: 'something else' });
    await assert.rejects(store.probe(), failure('damaged', 'store.read-back'));
  });
});

describe('the keys of an S3 store', () => {
  it('come from a file, which is read again later', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'zkeep-keys-'));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, 'credentials');
    await writeFile(
      file,
      `[other]\naws_access_key_id = wrong\n[zkeep]\naws_access_key_id = AKID\naws_secret_access_key=${SECRET}\naws_session_token = TOKEN\n`,
    );
    const { store, server } = await house(t, { credentials_file: file, profile: 'zkeep' });
    await putText(store, 'key', 'text');
    assert.match(String(server.arrived[0]?.headers.authorization), /Credential=AKID\//);
    assert.equal(server.arrived[0]?.headers['x-amz-security-token'], 'TOKEN');
    const { credentials } = await store.signing();
    assert.ok(credentials.expiration && credentials.expiration.getTime() > Date.now());
  });

  it('come from the environment when nothing else is said', async (t) => {
    setEnvironment(t, {
      AWS_ACCESS_KEY_ID: 'ENVKEY',
      AWS_SECRET_ACCESS_KEY: SECRET,
      AWS_SESSION_TOKEN: 'TOKEN',
    });
    const server = await startPlainServer();
    const store = new S3Store({ type: 's3', bucket: 'bucket', endpoint: server.url }, QUICK);
    t.after(() => Promise.all([store.close(), server.stop()]));
    await putText(store, 'key', 'text');
    assert.match(String(server.arrived[0]?.headers.authorization), /Credential=ENVKEY\//);
    assert.equal(server.arrived[0]?.headers['x-amz-security-token'], 'TOKEN');
  });

  it('are missed in words when there are none, and so is the region', async (t) => {
    setEnvironment(t, {});
    const nobody = new S3Store({ type: 's3', bucket: 'bucket', endpoint: 'http://127.0.0.1:9' }, QUICK);
    await assert.rejects(nobody.get('key', { maxBytes: 1 }), failure('denied', 'store.no-credentials'));
    await assert.rejects(new S3Granter(nobody).grantGet('key'), failure('denied', 'store.no-credentials'));
    const nowhere = new S3Store({ type: 's3', bucket: 'bucket' }, QUICK);
    await assert.rejects(nowhere.get('key', { maxBytes: 1 }), failure('usage', 'store.no-region'));
    await assert.rejects(new S3Granter(nowhere).grantGet('key'), failure('usage', 'store.no-region'));
  });

  it('are missed in words in a file', async (t) => {
    const file = join(tmpdir(), 'zkeep-there-is-no-such-file');
    const { store } = await house(t, { credentials_file: file });
    await assert.rejects(putText(store, 'key', 'text'), failure('usage', 'store.no-credentials'));
  });

  it('are told in no error and no location', async (t) => {
    const { store, server } = await house(t, { secret_access_key: SECRET, session_token: `${SECRET}-token` });
    assert.equal(store.location, 's3://bucket/');
    server.answer(refusal(403, 'SignatureDoesNotMatch'));
    const thrown: unknown = await store.get('key', { maxBytes: 1 }).catch((error: unknown) => error);
    assert.ok(!inspect(thrown, { depth: 20, showHidden: true }).includes(SECRET));
    await server.stop();
    const broken: unknown = await store.get('key', { maxBytes: 1 }).catch((error: unknown) => error);
    failure('unavailable', 'store.unavailable')(broken);
    assert.ok(!inspect(broken, { depth: 20, showHidden: true }).includes(SECRET));
  });
});

const fixture = (name: string) =>
  readFileSync(new URL(`../../../fixtures/tls/${name}`, import.meta.url), 'utf8');
const TLS = { key: fixture('key.pem'), cert: fixture('certificate.pem') };

function trustTestCertificate(t: TestContext): void {
  const before = getCACertificates('default');
  setDefaultCACertificates([...before, TLS.cert]);
  t.after(() => setDefaultCACertificates(before));
}

interface House {
  readonly store: S3Store;
  readonly server: PlainServer;
}

async function house(
  t: TestContext,
  settings: Partial<S3Location> = {},
  serving: PlainOptions = {},
  options: S3Options = QUICK,
): Promise<House> {
  const server = await startPlainServer(serving);
  const { access_key_id, secret_access_key, ...place } = locationOf(server);
  const keys = settings.credentials_file ? {} : { access_key_id, secret_access_key };
  const store = new S3Store({ ...place, ...keys, ...settings }, options);
  t.after(async () => {
    await store.close();
    await server.stop();
  });
  return { store, server };
}

function locationOf(server: PlainServer) {
  return {
    type: 's3',
    bucket: 'bucket',
    endpoint: server.url,
    access_key_id: 'key',
    secret_access_key: SECRET,
  } as const;
}

/** The environment of the AWS tools is this and nothing else, no file and no role, while the test runs. */
function setEnvironment(t: TestContext, variables: Record<string, string>): void {
  const before = { ...process.env };
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name];
  const none = join(tmpdir(), 'zkeep-there-is-no-such-file');
  Object.assign(process.env, variables, {
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_SHARED_CREDENTIALS_FILE: none,
    AWS_CONFIG_FILE: none,
  });
  t.after(() => {
    process.env = before;
  });
}

/** The part of the authorization that names the headers which the signature covers. */
function signedHeaders(headers: IncomingHttpHeaders | undefined): string {
  return /SignedHeaders=([^,]*)/.exec(headers?.authorization ?? '')?.[1] ?? '';
}

async function keysOf(store: S3Store): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
}
