import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import { refresh } from '../../../catalog/index/refresh.ts';
import { backupOf } from '../../../catalog/index/tables/backup.ts';
import type { Manifest } from '../../../catalog/repository/manifest.ts';
import { Bucket, manifestOf } from './manifests.ts';

const VERSION_1 = readFileSync(new URL('../../fixtures/index/version-1.sql', import.meta.url), 'utf8');

test('an index of version 1 goes on: the next refresh reads the attributes of what it has', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'zkeep-index-'));
  try {
    const manifests = [0, 0, 1, 3].map((attributes, at) =>
      manifestOf({ number: at + 1, from: null, to: at + 1, attributes }),
    );
    const path = join(folder, 'index.db');
    makeVersion1(path, manifests);
    const index = new CatalogIndex(path);
    const bucket = new Bucket(manifests);
    const { added, attributes, problems } = await refresh(bucket, index);
    assert.deepEqual([added, attributes, problems], [0, 3, []]);
    const fresh = new CatalogIndex(':memory:');
    await refresh(bucket, fresh);
    assert.deepEqual([...index.dump()], [...fresh.dump()]);
    assert.deepEqual(
      index.backups().backups.map(({ drift }) => drift),
      [null, 2, 0, null],
    );
    index.close();
    fresh.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a backup that an older zkeep took in without the GUID of its dataset is there: it is no other one', () => {
  const folder = mkdtempSync(join(tmpdir(), 'zkeep-index-'));
  try {
    const path = join(folder, 'index.db');
    makeVersion1(path, [manifestOf({ number: 1, from: null, to: 1, own: 901 })]);
    const index = new CatalogIndex(path);
    const told = manifestOf({ number: 1, from: null, to: 1, own: 901 });
    assert.deepEqual(index.add(told), index.backups().backups[0]);
    assert.throws(() => index.add({ ...told, source: { ...told.source, host: 'beta' } }), {
      code: 'index.conflict',
    });
    assert.equal(index.count(), 1);
    index.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** The tables as version 1 left them, for full backups of one dataset. */
function makeVersion1(path: string, manifests: readonly Manifest[]): void {
  const db = new Database(path);
  db.exec(VERSION_1);
  const kept = manifests.map(backupOf);
  const [first] = kept;
  assert.ok(first);
  db.prepare('INSERT INTO dataset VALUES (1, ?, ?)').run(first.dataset, first.host);
  for (const [at, backup] of kept.entries()) {
    const id = at + 1;
    db.prepare('INSERT INTO lineage VALUES (?, ?, 1)').run(id, backup.backup);
    db.prepare(
      `INSERT INTO backup VALUES (:id, :backup, NULL, NULL, :to, 0, 0, :bytes, :stored, :committed, NULL, 1,
         :name, :created, :attributes, :segments, 0, :id, :stored, 1, NULL)`,
    ).run({ ...backup, id, flags: null, encrypted: null });
    db.prepare('INSERT INTO tally VALUES (1, ?, 1, 1, ?, ?, ?)').run(
      id,
      backup.stored,
      backup.created,
      backup.created,
    );
  }
  db.close();
}
