import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { ZkeepError } from '../../../../catalog/errors.ts';
import type { Manifest } from '../../../../catalog/repository/manifest.ts';
import { attributesKey, manifestKey, segmentKey } from '../../../../catalog/repository/names.ts';
import { createRepository, type Repository } from '../../../../catalog/repository/repository.ts';
import { WorkerPool } from '../../../../catalog/repository/segment/threads/pool.ts';
import { DirectoryStore } from '../../../../catalog/repository/store/directory-store.ts';
import { examineBackup } from '../../../../catalog/repository/verify/examine.ts';
import type { Verifiable } from '../../../../catalog/repository/verify/objects.ts';
import { damageOf, isDamage, type Problem } from '../../../../catalog/repository/verify/problem.ts';
import { type Digest, newUuid7, parseBackupId } from '../../../../catalog/words.ts';
import { someAttributes } from '../../../server/fixture/samples.ts';
import { keepStream } from '../kept.ts';

const folder = mkdtempSync(join(tmpdir(), 'zkeep-examine-'));
const pool = new WorkerPool(2);
after(async () => {
  await pool.close();
  rmSync(folder, { recursive: true });
});
let count = 0;

async function kept(recipients: string[] = []) {
  const place = join(folder, String(count++));
  mkdirSync(place);
  const repository = await createRepository(new DirectoryStore(place), { recipients });
  const { manifest } = await keepStream(repository, { toGuid: 5n, blocks: [randomBytes(131_072)] });
  return { place, repository, manifest, key: segmentKey(manifest.backup, 0, recipients.length > 0) };
}

const deep = { pool, identities: [] as string[], secondDecoder: 1, chance: 0 };

async function examine(source: Verifiable, { backup, to }: Manifest, isDeep = false) {
  const examined = await examineBackup(source, { backup, to: to.guid }, isDeep ? { deep } : {});
  return examined ?? assert.fail('it was wanted');
}
const inShort = ({ problems }: { readonly problems: readonly Problem[] }) =>
  problems.map(({ key, code, damage }) => ({ key, code, damage }));

test('a whole backup gets a proof, light or deep', async () => {
  const { repository, manifest } = await kept();
  const { backup } = manifest;
  const none = { bytes: 0, frames: 0, checksums: 0 };
  assert.deepEqual((await examine(repository, manifest)).proof, { backup, depth: 'light', ...none });
  const bytes = manifest.segments[0]?.stored;
  const found = await examine(repository, manifest, true);
  assert.deepEqual(found.proof, { backup, depth: 'deep', bytes, frames: 1, checksums: 0 });
  assert.deepEqual([found.problems, found.damage], [[], null]);
});

test('what is missing is damage that a light look finds, also a deep one, which then reads nothing', async () => {
  const { place, repository, manifest, key } = await kept();
  rmSync(join(place, key));
  for (const isDeep of [false, true]) {
    const { proof, damage } = await examine(repository, manifest, isDeep);
    assert.equal(proof, null);
    assert.deepEqual(damage, {
      backup: manifest.backup,
      depth: 'light',
      problems: [{ code: 'verify.gone', key, message: `${key} is gone` }],
      count: 1,
    });
  }
});

test('an object that a listing lacks, and the next one has, is there', async () => {
  const { repository, manifest } = await kept();
  let listed = 0;
  const source: Verifiable = {
    manifests: (signal) => repository.manifests(signal),
    manifest: async (to, backup) => await repository.manifest(to, backup),
    attributes: async (digest) => await repository.attributes(digest),
    segment: async (one, number) => await repository.segment(one, number),
    isKept: async () => true,
    storedSizes: async (one) => (listed++ === 0 ? new Map() : await repository.storedSizes(one)),
  };
  assert.deepEqual(inShort(await examine(source, manifest)), []);
});

/** The repository on a store that tells these checksums, one after the other. */
function telling(repository: Repository, ...told: (Digest | undefined)[]): Verifiable {
  const answers = told.map((sha256) => ({ key: '', size: 1, modified: 0, ...(sha256 ? { sha256 } : {}) }));
  return {
    manifests: (signal) => repository.manifests(signal),
    manifest: async (to, backup) => await repository.manifest(to, backup),
    attributes: async (digest) => await repository.attributes(digest),
    segment: async (one, number) => await repository.segment(one, number),
    isKept: async () => true,
    storedSizes: async (one) => await repository.storedSizes(one),
    store: { tellsChecksums: true, stat: async () => answers.shift() ?? assert.fail('asked too often') },
  };
}

test('where the store tells checksums they are compared, twice before one is called wrong', async () => {
  const { repository, manifest, key } = await kept();
  const right = manifest.segments[0]?.sha256;
  const wrong = 'a'.repeat(64) as Digest;
  assert.equal((await examine(telling(repository, right), manifest)).proof?.checksums, 1);
  assert.equal((await examine(telling(repository, wrong, right), manifest)).proof?.checksums, 1);
  assert.equal((await examine(telling(repository, undefined), manifest)).proof?.checksums, 0);
  const { problems, damage } = await examine(telling(repository, wrong, wrong), manifest);
  assert.deepEqual(inShort({ problems }), [{ key, code: 'verify.checksum', damage: true }]);
  assert.equal(damage?.depth, 'light');
});

test('a manifest that cannot be read is damage of its backup, with its own key', async () => {
  const { place, repository, manifest } = await kept();
  const key = manifestKey(manifest.to.guid, manifest.backup);
  const text = readFileSync(join(place, key), 'utf8');
  for (const [broken, code] of [
    ['{', 'json.malformed'],
    [text.replace('"offset":0', '"offset":4'), 'manifest.misfit'],
    [text.replaceAll(manifest.backup, newUuid7(1)), 'manifest.misplaced'],
  ] as const) {
    writeFileSync(join(place, key), broken);
    const examined = await examine(repository, manifest);
    assert.deepEqual(inShort(examined), [{ key, code, damage: true }]);
    assert.equal(examined.damage?.depth, 'light');
  }
  rmSync(join(place, key));
  assert.deepEqual(inShort(await examine(repository, manifest)), [
    { key, code: 'store.missing', damage: true },
  ]);
});

test('a manifest of a newer format is no damage, and no proof', async () => {
  const { place, repository, manifest } = await kept();
  const key = manifestKey(manifest.to.guid, manifest.backup);
  const text = readFileSync(join(place, key), 'utf8');
  writeFileSync(join(place, key), text.replace('"format":1', '"format":2'));
  const { proof, damage, problems } = await examine(repository, manifest);
  assert.deepEqual([proof, damage], [null, null]);
  assert.deepEqual(inShort({ problems }), [{ key, code: 'manifest.newer', damage: false }]);
});

test('attributes that are gone or spoilt are told, and the stream is proven all the same', async () => {
  const place = join(folder, String(count++));
  mkdirSync(place);
  const repository = await createRepository(new DirectoryStore(place), { recipients: [] });
  const attributes = await repository.putAttributes(someAttributes('made/stream'));
  const { manifest: bare } = await keepStream(repository, { toGuid: 5n, blocks: [] });
  const manifest: Manifest = { ...bare, backup: parseBackupId(newUuid7(2)), attributes };
  for (const [number, { sha256 }] of bare.segments.entries()) {
    const body = await repository.segment(bare, number);
    await repository.store.put(segmentKey(manifest.backup, number, false), body, { sha256 });
  }
  await repository.commit(manifest);
  const file = join(place, attributesKey(attributes));
  assert.deepEqual(inShort(await examine(repository, manifest, true)), []);
  writeFileSync(file, 'spoilt');
  const spoilt = await examine(repository, manifest, true);
  assert.deepEqual(inShort(spoilt), [{ key: null, code: 'attributes.zstd', damage: false }]);
  assert.deepEqual([spoilt.proof?.depth, spoilt.damage], ['deep', null]);
  rmSync(file);
  for (const isDeep of [false, true]) {
    const gone = await examine(repository, manifest, isDeep);
    assert.deepEqual(inShort(gone), [
      { key: attributesKey(attributes), code: 'verify.attributes', damage: false },
    ]);
    assert.ok(gone.proof);
  }
});

test('an encrypted backup that no identity opens is not called damaged', async () => {
  const identity = await generateIdentity();
  const { place, repository, manifest, key } = await kept([await identityToRecipient(identity)]);
  await assert.rejects(examine(repository, manifest, true), { kind: 'denied' });
  const opened = { ...deep, identities: [identity] };
  const name = { backup: manifest.backup, to: manifest.to.guid };
  assert.ok((await examineBackup(repository, name, { deep: opened }))?.proof);
  const bytes = readFileSync(join(place, key));
  bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1;
  writeFileSync(join(place, key), bytes);
  assert.equal((await examineBackup(repository, name, { deep: opened }))?.damage?.depth, 'deep');
});

test('one that is not wanted is left alone', async () => {
  const { repository, manifest } = await kept();
  const name = { backup: manifest.backup, to: manifest.to.guid };
  assert.equal(await examineBackup(repository, name, { wanted: () => false }), undefined);
});

test('only what is said of the bytes is damage', () => {
  const of = (kind: ZkeepError['kind'], code: string) => isDamage(new ZkeepError(kind, code, ''));
  assert.ok(of('damaged', 'segment.digest'));
  assert.ok(of('missing', 'store.missing'));
  for (const [kind, code] of [
    ['missing', 'store.no-bucket'],
    ['missing', 'repository.none'],
    ['unavailable', 'store.unavailable'],
    ['denied', 'store.denied'],
    ['refused', 'store.archived'],
    ['full', 'store.full'],
    ['damaged', 'segment.decoders'],
  ] as const) {
    assert.ok(!of(kind, code), code);
  }
  assert.ok(!isDamage(new Error('a defect')));
});

test('of many problems the first are named, and all are counted', async () => {
  const { manifest } = await kept();
  const problems = Array.from({ length: 30 }, (_, number): Problem => {
    return { backup: manifest.backup, key: `k${number}`, code: 'c', message: 'm', damage: number !== 0 };
  });
  const damage = damageOf(manifest.backup, 'deep', problems);
  assert.deepEqual([damage?.problems.length, damage?.count, damage?.problems[0]?.key], [20, 29, 'k1']);
});
