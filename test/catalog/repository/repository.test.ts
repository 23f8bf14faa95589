import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson, createRepository, openRepository } from '../../../catalog/repository/repository.ts';
import { DirectoryStore } from '../../../catalog/repository/store/directory-store.ts';
import { parseGuid } from '../../../catalog/words.ts';
import { madeManifest } from './kept.ts';

const folder = mkdtempSync(join(tmpdir(), 'zkeep-repository-'));
after(() => rmSync(folder, { recursive: true }));
let count = 0;
const emptyStore = () => {
  const place = join(folder, String(count++));
  mkdirSync(place);
  return new DirectoryStore(place);
};

test('a place without a repository says so', async () => {
  await assert.rejects(openRepository(emptyStore()), { kind: 'missing', code: 'repository.none' });
});

test('a repository is created once', async () => {
  const store = emptyStore();
  const { marker } = await createRepository(store, { recipients: [] });
  await assert.rejects(createRepository(store, { recipients: [] }), { code: 'store.exists' });
  assert.deepEqual((await openRepository(store)).marker, marker);
});

test('a newer format is refused by name', async () => {
  const store = emptyStore();
  await createRepository(store, { recipients: [] });
  const path = join(folder, String(count - 1), 'zkeep.json');
  writeFileSync(path, readFileSync(path, 'utf8').replace('"format":1', '"format":2'));
  await assert.rejects(openRepository(store), { kind: 'refused', code: 'repository.newer' });
});

test('a damaged marker is not taken for a missing one', async () => {
  const store = emptyStore();
  await createRepository(store, { recipients: [] });
  writeFileSync(join(folder, String(count - 1), 'zkeep.json'), '{"id":');
  await assert.rejects(openRepository(store), { kind: 'damaged', code: 'json.malformed' });
});

test('a repository is not created for a malformed recipient', async () => {
  const store = emptyStore();
  await assert.rejects(createRepository(store, { recipients: ['age1no'] }), { kind: 'usage' });
  await assert.rejects(openRepository(store), { code: 'repository.none' });
});

test('a manifest is committed once, and read back as it was', async () => {
  const repository = await createRepository(emptyStore(), { recipients: [] });
  const manifest = madeManifest();
  await repository.commit(manifest);
  await repository.commit(manifest);
  const other = { ...manifest, send_flags: ['-L'] };
  await assert.rejects(repository.commit(other), { kind: 'refused', code: 'store.exists' });
  assert.deepEqual(await repository.manifest(manifest.to.guid, manifest.backup), manifest);
  const names = [];
  for await (const name of repository.manifests()) names.push(name.backup);
  assert.deepEqual(names, [manifest.backup]);
});

test('a manifest under another name is refused', async () => {
  const store = emptyStore();
  const repository = await createRepository(store, { recipients: [] });
  const manifest = madeManifest();
  await repository.commit(manifest);
  const at = (guid: string) => join(folder, String(count - 1), 'backups', guid, `${manifest.backup}.json`);
  const other = parseGuid('00000000000000aa');
  cpSync(join(at(manifest.to.guid), '..'), join(at(other), '..'), { recursive: true });
  await assert.rejects(repository.manifest(other, manifest.backup), { code: 'manifest.misplaced' });
});

test('attributes are stored once per content, and checked when read', async () => {
  const repository = await createRepository(emptyStore(), { recipients: [] });
  const output = {
    command: ['zfs', 'get', 'all'],
    exit: 0,
    output: 'tab\tnew\nline "quotes"',
    encoding: 'utf8' as const,
  };
  const attributes = { format: 1 as const, dataset: 'tank/a b', outputs: [output], parsed: null };
  const digest = await repository.putAttributes(attributes);
  assert.equal(
    await repository.putAttributes({ outputs: [output], dataset: 'tank/a b', parsed: null, format: 1 }),
    digest,
  );
  assert.deepEqual(await repository.attributes(digest), attributes);
  const path = join(folder, String(count - 1), 'attributes', `${digest}.json.zst`);
  writeFileSync(path, readFileSync(path).subarray(0, -3));
  await assert.rejects(repository.attributes(digest), { kind: 'damaged' });
});

test('the page on leaving names the commands that restore', async () => {
  const store = emptyStore();
  await createRepository(store, { recipients: [] });
  const page = readFileSync(join(folder, String(count - 1), 'README.txt'), 'utf8');
  assert.match(page, /cat segments\/<backup>\/\*\.zst \| zstd -d \| zfs receive/);
});

test('canonical JSON depends on the content alone', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
      const turned = Object.fromEntries(Object.entries(object).reverse());
      assert.equal(canonicalJson(turned), canonicalJson(object));
      assert.deepEqual(JSON.parse(canonicalJson(object)), JSON.parse(JSON.stringify(object)));
    }),
  );
});
