import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { ZkeepError } from '../../../../catalog/errors.ts';
import { DirectoryStore } from '../../../../catalog/repository/store/directory-store.ts';
import { checkLocation, openStore, parseLocation } from '../../../../catalog/repository/store/location.ts';
import { S3Store } from '../../../../catalog/repository/store/s3-store.ts';
import { failure } from './conformance.ts';

describe('a location', () => {
  it('is a folder when it names none of the schemes', () => {
    for (const [text, path] of [
      ['/srv/zkeep', '/srv/zkeep'],
      ['/srv/with space/', '/srv/with space'],
      ['relative', resolve('relative')],
      ['./s3:odd', resolve('s3:odd')],
      ['file:///srv/a%20b', '/srv/a b'],
    ] as const)
      assert.deepEqual(parseLocation(text), { type: 'directory', path });
  });

  it('is a bucket, with or without a prefix, its slashes trimmed', () => {
    assert.deepEqual(parseLocation('s3://bucket'), { type: 's3', bucket: 'bucket', prefix: '' });
    assert.deepEqual(parseLocation('s3://My_Bucket.1/a/b/'), {
      type: 's3',
      bucket: 'My_Bucket.1',
      prefix: 'a/b',
    });
  });

  it('takes the settings of STORES.md', () => {
    const text =
      's3://bucket/p?endpoint=http://127.0.0.1:7480&region=eu&path_style=false&storage_class=COLD&checksums=supported&credentials_file=/etc/keys&profile=zkeep';
    assert.deepEqual(parseLocation(text), {
      type: 's3',
      bucket: 'bucket',
      prefix: 'p',
      endpoint: 'http://127.0.0.1:7480',
      region: 'eu',
      path_style: false,
      storage_class: 'COLD',
      checksums: 'supported',
      credentials_file: '/etc/keys',
      profile: 'zkeep',
    });
  });

  it('is refused when it is none, without telling it again', () => {
    for (const text of [
      '',
      'http://bucket/hunter2',
      'gs://bucket/hunter2',
      's3:bucket',
      's3://',
      's3:///hunter2',
      's3://ab',
      's3://key:hunter2@bucket',
      's3://bucket?secret_access_key=hunter2',
      's3://bucket?access_key_id=hunter2',
      's3://bucket?endpoint=http://key:hunter2@host',
      's3://bucket?endpoint=ftp://host/hunter2',
      's3://bucket?endpoint=http://host?hunter2',
      's3://bucket?endpoint=hunter2',
      's3://bucket/a//b',
      's3://bucket/%20',
      `s3://bucket/${'p'.repeat(600)}`,
      's3://bucket?path_style=hunter2',
      's3://bucket?checksums=hunter2',
      'file://otherhost/srv/hunter2',
    ])
      assert.throws(
        () => parseLocation(text),
        (thrown) => {
          failure('usage', 'store.bad-location')(thrown);
          assert.ok(thrown instanceof ZkeepError && !JSON.stringify(thrown).includes('hunter2'), text);
          return true;
        },
        text,
      );
  });

  it('is either read or refused in words, whatever the text', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.webUrl().map((url) => url.replace(/^\w+/, 's3')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          const location = parseLocation(text);
          assert.deepEqual(checkLocation(location), location);
        } catch (thrown) {
          assert.ok(thrown instanceof ZkeepError && thrown.kind === 'usage', String(thrown));
        }
      }),
    );
  });

  it('of a configuration must fit together', () => {
    const s3 = { type: 's3', bucket: 'bucket' } as const;
    for (const wrong of [
      { ...s3, access_key_id: 'key' },
      { ...s3, secret_access_key: 'secret' },
      { ...s3, access_key_id: 'key', secret_access_key: 'secret', credentials_file: '/f' },
      { ...s3, prefix: '../up' },
      { ...s3, bucket: 'a/b' },
      { type: 'directory', path: '' },
    ] as const)
      assert.throws(() => checkLocation(wrong), failure('usage', 'store.bad-location'));
  });
});

describe('opening a store', () => {
  it('gives the store of the location, and asks nothing of it yet', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'zkeep-location-'));
    t.after(() => rm(folder, { recursive: true }));
    const directory = await openStore({ type: 'directory', path: folder });
    assert.ok(directory instanceof DirectoryStore);
    assert.equal(directory.location, folder);
    const bucket = await openStore(parseLocation('s3://bucket/p?endpoint=http://127.0.0.1:1'));
    assert.ok(bucket instanceof S3Store);
    assert.equal(bucket.location, 's3://bucket/p');
    await bucket.close();
  });

  it('of a folder does not load the AWS SDK', async () => {
    const room = new URL('../../../../catalog/repository/store/location.ts', import.meta.url);
    const program = `import { registerHooks } from 'node:module';
      const loaded = [];
      registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
      const { openStore } = await import('${room}');
      await openStore({ type: 'directory', path: '/' });
      console.log(loaded.filter((url) => /@aws-sdk|@smithy/.test(url)).length, loaded.length > 5);`;
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--input-type=module',
      '--eval',
      program,
    ]);
    assert.equal(stdout, '0 true\n');
  });
});
