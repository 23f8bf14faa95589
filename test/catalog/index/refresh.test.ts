import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import fc from 'fast-check';
import { ZkeepError } from '../../../catalog/errors.ts';
import { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import { type RefreshProgress, rebuild, refresh } from '../../../catalog/index/refresh.ts';
import { type ReadAttributes, settingsIn } from '../../../catalog/index/tables/settings.ts';
import type { Manifest } from '../../../catalog/repository/manifest.ts';
import { manifestKey } from '../../../catalog/repository/names.ts';
import { entry, removed } from './journal/entries.ts';
import { attributesOf, Bucket, backupId, drafts, guid, manifestOf } from './manifests.ts';

let index: CatalogIndex;

beforeEach(() => {
  index = new CatalogIndex(':memory:');
});

afterEach(() => index.close());

const chain = (length: number) =>
  Array.from({ length }, (_, at) => manifestOf({ number: at + 1, from: at === 0 ? null : at, to: at + 1 }));
const damaged = new ZkeepError('damaged', 'json.malformed', 'it is not JSON');

test('a damaged manifest is reported, and the others are taken in', async () => {
  const manifests = chain(4);
  const bucket = new Bucket(manifests);
  const [, second] = manifests;
  assert.ok(second);
  bucket.spoil(second, damaged);
  const report = await rebuild(bucket, index);
  assert.deepEqual(report.problems, [{ key: manifestKey(second.to.guid, second.backup), error: damaged }]);
  assert.deepEqual([report.listed, report.read, report.added], [4, 4, 3]);
  assert.equal(index.known([guid(3)])[0]?.restorable, false);
  bucket.put(second);
  assert.deepEqual((await refresh(bucket, index)).problems, [], 'it is tried again');
  assert.equal(index.known([guid(3)])[0]?.restorable, true);
});

test('what a listing lacks is looked for before it is dropped, unless the journal says that it was removed', async () => {
  const manifests = chain(5);
  const bucket = new Bucket(manifests);
  await rebuild(bucket, index);
  const [, second, third, fourth, fifth] = manifests;
  assert.ok(second && third && fourth && fifth);
  const read: string[] = [];
  bucket.onRead = (key) => read.push(key);
  bucket.drop(second);
  bucket.spoil(fourth, damaged);
  index.apply([entry(1, removed(5))]);
  // As a store does whose listings are late, or end early.
  const late = new Set([third, fourth, fifth].map(({ to, backup }) => manifestKey(to.guid, backup)));
  const source = {
    manifest: bucket.manifest.bind(bucket),
    attributes: bucket.attributes.bind(bucket),
    async *manifests() {
      for await (const name of bucket.manifests()) if (!late.has(name.key)) yield name;
    },
  };
  const report = await refresh(source, index);
  assert.deepEqual([report.removed, report.problems], [2, []]);
  assert.deepEqual(
    [1, 2, 3, 4, 5].filter((number) => index.backup(backupId(number))),
    [1, 3, 4],
  );
  assert.equal(read.filter((key) => key.startsWith('backups/')).length, 3);
});

test('manifests of a newer format, in the wrong place, or with an id that is taken are reported', async () => {
  const [first, second, third] = chain(3);
  assert.ok(first && second && third);
  const bucket = new Bucket([first]);
  bucket.spoil(second, new ZkeepError('refused', 'manifest.newer', 'it has format 2'));
  bucket.objects.set(manifestKey(guid(9), third.backup), third);
  bucket.objects.set(manifestKey(guid(8), first.backup), manifestOf({ number: 1, from: null, to: 8 }));
  const { problems, added } = await rebuild(bucket, index);
  assert.deepEqual(problems.map(({ error }) => error.code).sort(), [
    'index.conflict',
    'index.misplaced',
    'manifest.newer',
  ]);
  assert.ok(problems.some(({ key }) => key === manifestKey(guid(8), first.backup)));
  assert.equal(added, 1);
});

test('a store that does not answer ends it; what was taken in stays, and the next run goes on', async () => {
  const bucket = new Bucket(chain(1200));
  const away = new ZkeepError('unavailable', 'store.away', 'the store does not answer');
  bucket.onRead = (key) => {
    if (key.includes(backupId(900))) throw away;
  };
  await assert.rejects(refresh(bucket, index), away);
  const had = [...index.dump()].filter((line) => line.startsWith('{"table":"backup"')).length;
  assert.ok(had >= 500 && had < 900, `${had} were taken in`);
  bucket.onRead = () => undefined;
  const report = await refresh(bucket, index);
  assert.deepEqual([report.listed, report.read, report.added], [1200, 1200 - had, 1200 - had]);
});

test('it ends when it is told to', async () => {
  const stop = new AbortController();
  const bucket = new Bucket(chain(1200));
  const onProgress = ({ added }: RefreshProgress) => {
    if (added > 0) stop.abort(new Error('enough'));
  };
  await assert.rejects(refresh(bucket, index, { onProgress, signal: stop.signal }), /enough/);
  assert.equal(index.backups({ limit: 1000 }).backups.length, 500);
  assert.equal((await refresh(bucket, index)).added, 700, 'and can be begun again');
});

test('two at once do not run on one index', async () => {
  const bucket = new Bucket(chain(3));
  const first = refresh(bucket, index);
  await assert.rejects(refresh(bucket, index), { kind: 'busy', code: 'index.refreshing' });
  await assert.rejects(rebuild(bucket, index), { kind: 'busy', code: 'index.refreshing' });
  assert.equal((await first).added, 3);
});

test('reads no more manifests at once than it may, and says how far it is', async () => {
  const bucket = new Bucket(chain(60));
  const seen: RefreshProgress[] = [];
  await refresh(bucket, index, { concurrency: 4, onProgress: (progress) => seen.push(progress) });
  assert.equal(bucket.mostAtOnce, 4);
  assert.deepEqual(seen.at(-1), { listed: 60, read: 60, added: 60, removed: 0, attributes: 0, problems: 0 });
});

test('what is gone from the bucket goes from the index, and what is there is not read again', async () => {
  const manifests = chain(5);
  const bucket = new Bucket(manifests);
  await refresh(bucket, index);
  const [, second] = manifests;
  assert.ok(second);
  bucket.drop(second);
  bucket.put(manifestOf({ number: 9, from: 5, to: 6 }));
  const report = await refresh(bucket, index);
  assert.deepEqual([report.removed, report.read, report.added], [1, 1, 1]);
  assert.equal(index.backup(second.backup), undefined);
});

test('a manifest that was moved to the snapshot it belongs to replaces what was there', async () => {
  const wrong = manifestOf({ number: 1, from: null, to: 1 });
  const right = manifestOf({ number: 1, from: null, to: 8 });
  const bucket = new Bucket([wrong]);
  await refresh(bucket, index);
  bucket.drop(wrong);
  bucket.put(right);
  const { removed, added, problems } = await refresh(bucket, index);
  assert.deepEqual([removed, added, problems], [1, 1, []]);
  assert.equal(index.backup(right.backup)?.to, guid(8));
});

test('a backup that is committed while it runs stays, though the listing was before it', async () => {
  const bucket = new Bucket(chain(3));
  await refresh(bucket, index);
  bucket.put(manifestOf({ number: 4, from: 3, to: 4 }));
  bucket.onRead = () => {
    const late = manifestOf({ number: 5, from: 3, to: 5 });
    bucket.put(late);
    index.add(late);
  };
  const listing = bucket.manifests.bind(bucket);
  bucket.manifests = async function* () {
    yield* listing();
    index.add(manifestOf({ number: 6, from: 3, to: 6 }));
  };
  const report = await refresh(bucket, index);
  assert.deepEqual([report.removed, report.added], [0, 1]);
  assert.deepEqual(
    [4, 5, 6].map((number) => index.backup(backupId(number))?.to),
    [guid(4), guid(5), guid(6)],
  );
});

test('a manifest that vanishes between listing and reading is no problem', async () => {
  const manifests = chain(2);
  const bucket = new Bucket(manifests);
  bucket.onRead = () => manifests[1] && bucket.drop(manifests[1]);
  const report = await refresh(bucket, index, { concurrency: 1 });
  assert.deepEqual([report.added, report.problems], [1, []]);
});

test('rebuilt from the bucket, the index is equal to the one that grew with it', async () => {
  await fc.assert(
    fc.asyncProperty(drafts, fc.infiniteStream(fc.boolean()), async (all, choice) => {
      const bucket = new Bucket();
      const grown = new CatalogIndex(':memory:');
      for (const manifest of all.map(manifestOf)) {
        bucket.put(manifest);
        grown.add(manifest, readOf(manifest));
        if (!choice.next().value) continue;
        bucket.drop(manifest);
        grown.remove(manifest.backup);
      }
      const rebuilt = new CatalogIndex(':memory:');
      rebuilt.add(manifestOf({ number: 99, from: null, to: 99 }));
      await rebuild(bucket, rebuilt, { concurrency: 3 });
      assert.deepEqual([...rebuilt.dump()], [...grown.dump()]);
      rebuilt.clear();
      rebuilt.add(manifestOf({ number: 99, from: 1, to: 2 }));
      await refresh(bucket, rebuilt);
      assert.deepEqual([...rebuilt.dump()], [...grown.dump()], 'a refresh comes to the same');
      grown.close();
      rebuilt.close();
    }),
    { numRuns: 60 },
  );
});

/** What the service has read of a backup's attributes when it is added. */
function readOf({ attributes }: Manifest): ReadAttributes | undefined {
  if (attributes === null) return undefined;
  return settingsIn(attributes, attributesOf(Number.parseInt(attributes, 16)));
}
