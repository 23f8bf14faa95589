import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Setting } from '../../../catalog/attributes/difference.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import { readAttributes } from '../../../catalog/index/read-attributes.ts';
import { rebuild, refresh } from '../../../catalog/index/refresh.ts';
import { settingsIn } from '../../../catalog/index/tables/settings.ts';
import { attributesKey } from '../../../catalog/repository/names.ts';
import { attributesOf, Bucket, backupId, digestOf, manifestOf } from './manifests.ts';

let index: CatalogIndex;

beforeEach(() => {
  index = new CatalogIndex(':memory:');
});

afterEach(() => index.close());

describe('attribute manifests', () => {
  const three = () =>
    [0, 0, 1].map((attributes, at) =>
      manifestOf({ number: at + 1, from: at === 0 ? null : at, to: at + 1, attributes }),
    );
  const damaged = new ZkeepError('damaged', 'attributes.zstd', 'it is not zstd');
  const drifts = () => index.backups().backups.map(({ drift }) => drift);

  test('are read once for each digest, and not again', async () => {
    const bucket = new Bucket(three());
    const { attributes } = await rebuild(bucket, index, { concurrency: 3 });
    assert.deepEqual([attributes, bucket.attributesRead], [2, [digestOf(0), digestOf(1)]]);
    assert.deepEqual(drifts(), [2, 0, null]);
    assert.equal((await refresh(bucket, index)).attributes, 0);
    assert.equal(bucket.attributesRead.length, 2);
  });

  test('that cannot be used are told, keep nothing from going on, and are tried again', async () => {
    const bucket = new Bucket(three());
    bucket.spoiltAttributes.set(digestOf(0), damaged);
    const { added, problems } = await rebuild(bucket, index);
    assert.deepEqual([added, problems], [3, [{ key: attributesKey(digestOf(0)), error: damaged }]]);
    assert.deepEqual(drifts(), [null, null, null]);
    assert.throws(() => index.settings({ dataset: 'tank/fs', name: 's1' }), {
      kind: 'missing',
      code: 'settings.unknown',
    });
    const gone = new ZkeepError('missing', 'store.none', 'it is gone');
    bucket.spoiltAttributes.set(digestOf(0), gone);
    assert.deepEqual((await refresh(bucket, index)).problems, [
      { key: attributesKey(digestOf(0)), error: gone },
    ]);
    bucket.spoiltAttributes.clear();
    const again = await refresh(bucket, index);
    assert.deepEqual([again.attributes, again.problems], [1, []]);
    assert.deepEqual(drifts(), [2, 0, null]);
  });

  test('of which nothing could be made are not read again, and count as unknown', async () => {
    const bucket = new Bucket([
      manifestOf({ number: 1, from: null, to: 1, attributes: 0 }),
      manifestOf({ number: 2, from: 1, to: 2, attributes: 3 }),
      manifestOf({ number: 3, from: 2, to: 3, attributes: 6 }),
    ]);
    await rebuild(bucket, index);
    await refresh(bucket, index);
    assert.equal(bucket.attributesRead.length, 3);
    assert.deepEqual(drifts(), [0, null, null]);
    assert.equal(index.settings({ dataset: 'tank/fs', at: 1_700_000_000 + 120 }).backup.backup, backupId(1));
  });

  test('are left alone by who asks for that, and read for one dataset when they are needed', async () => {
    const bucket = new Bucket([
      ...three(),
      manifestOf({ number: 9, from: null, to: 9, dataset: 'tank/other', attributes: 5 }),
    ]);
    await rebuild(bucket, index, { attributes: false });
    assert.deepEqual(bucket.attributesRead, []);
    await readAttributes(bucket, index, { dataset: 'tank/other' });
    assert.deepEqual(bucket.attributesRead, [digestOf(5)]);
    await readAttributes(bucket, index);
    assert.equal(bucket.attributesRead.length, 3);
  });

  test('behind a store that does not answer end it; what was learnt stays', async () => {
    const all = Array.from({ length: 500 }, (_, at) =>
      manifestOf({ number: at + 1, from: at === 0 ? null : at, to: at + 1, attributes: at }),
    );
    const bucket = new Bucket(all);
    const away = new ZkeepError('unavailable', 'store.away', 'the store does not answer');
    bucket.onRead = (key) => {
      if (key === attributesKey(digestOf(450))) throw away;
    };
    await assert.rejects(refresh(bucket, index), away);
    const left = index.unread(1000).length;
    assert.ok(left > 0 && left <= 300, `${left} are left`);
    bucket.onRead = () => undefined;
    assert.equal((await refresh(bucket, index)).attributes, left);
    assert.ok(bucket.mostAtOnce <= 16);
  });

  test('of hand-made files may tell of several snapshots: each backup has its own', () => {
    const told = (name: string, value: string) => ({
      name: `tank/fs@${name}`,
      kind: 'snapshot' as const,
      properties: { 'org:note': { value, source: 'local' as const } },
    });
    const { parsed, ...rest } = attributesOf(0);
    assert.ok(parsed);
    const objects = [...parsed.objects, told('s1', 'one'), told('s2', 'two')];
    const both = settingsIn(digestOf(0), { ...rest, parsed: { ...parsed, objects } });
    for (const to of [1, 2]) {
      index.add(manifestOf({ number: to, from: to === 1 ? null : 1, to, attributes: 0 }), both);
    }
    for (const [name, value] of [
      ['s1', 'one'],
      ['s2', 'two'],
    ]) {
      const { settings } = index.settings({ dataset: 'tank/fs', name: name ?? '' });
      const own = settings.filter(({ scope }) => scope === 'snapshot');
      assert.deepEqual(
        own.map((one) => [one.name, one.value]),
        [[`tank/fs@${name}`, value]],
      );
    }
  });

  test("of two backups that differ in nothing but their snapshots' names are kept once", () => {
    for (const to of [1, 2]) {
      const { parsed, ...rest } = attributesOf(0);
      assert.ok(parsed);
      const own = { 'org:note': { value: 'mine', source: 'local' as const } };
      const snapshot = { name: `tank/fs@s${to}`, kind: 'snapshot' as const, properties: own };
      const objects = [...parsed.objects, snapshot];
      const said = settingsIn(digestOf(to), { ...rest, parsed: { ...parsed, objects } });
      index.add(manifestOf({ number: to, from: to === 1 ? null : 1, to, attributes: to }), said);
    }
    const kept = [...index.dump()].filter((line) => line.includes('"kept settings"'));
    assert.deepEqual([kept.length, drifts()], [1, [0, null]]);
    const note = index.settings({ dataset: 'tank/fs', name: 's2' }).settings.find(isNote);
    assert.equal(note?.name, 'tank/fs@s2');
    index.remove([backupId(1), backupId(2)]);
    assert.deepEqual([...index.dump()], [], 'and forgotten with the last of them');
  });

  const isNote = ({ property }: Setting) => property === 'org:note';
});
