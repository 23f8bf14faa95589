import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import Database from 'better-sqlite3';
import { ZkeepError } from '../../../catalog/errors.ts';
import { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import { guid, manifestOf } from './manifests.ts';

const house = (file: string) => JSON.stringify(new URL(file, import.meta.url));
/** Chains of three backups, added one by one. */
const ADD_FOREVER = `
  const { CatalogIndex } = await import(${house('../../../catalog/index/catalog-index.ts')});
  const { manifestOf } = await import(${house('manifests.ts')});
  const index = new CatalogIndex(process.argv[1]);
  for (let number = 1; number < 900; number++) {
    index.add(manifestOf({ number, from: number % 3 === 1 ? null : number - 1, to: number }));
    if (number === 30) process.stdout.write('going');
  }`;

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zkeep-index-'));
  path = join(folder, 'index.db');
});

afterEach(() => rmSync(folder, { recursive: true }));

test('without its folder the index says so', () => {
  assert.throws(() => new CatalogIndex(join(folder, 'none', 'index.db')), {
    kind: 'missing',
    code: 'index.no-folder',
  });
});

test('a file that is not SQLite is refused as damaged, with what to do', () => {
  writeFileSync(
    path,
    'somebody else wrote this, and it is longer than a header of SQLite would be'.repeat(20),
  );
  assert.throws(
    () => new CatalogIndex(path),
    (error) =>
      error instanceof ZkeepError && error.kind === 'damaged' && /built again/.test(error.advice ?? ''),
  );
});

test('the database of another program is refused and stays as it was', () => {
  const other = new Database(path);
  other.exec('CREATE TABLE theirs (a)');
  other.close();
  const before = readFileSync(path);
  assert.throws(() => new CatalogIndex(path), { kind: 'refused', code: 'index.foreign' });
  assert.deepEqual(readFileSync(path), before);
});

test('the index of a newer zkeep is refused and stays as it was', () => {
  new CatalogIndex(path).close();
  const newer = new Database(path);
  newer.pragma('user_version = 1000');
  newer.close();
  const before = readFileSync(path);
  assert.throws(() => new CatalogIndex(path), {
    kind: 'refused',
    code: 'index.newer',
    facts: { path, version: 1000, known: 4 },
  });
  assert.deepEqual(readFileSync(path), before);
});

test('a file whose pages were overwritten is reported as damaged when it is read', () => {
  const index = new CatalogIndex(path);
  for (let number = 1; number <= 200; number++) index.add(manifestOf({ number, from: null, to: number }));
  index.close();
  const bytes = readFileSync(path);
  bytes.fill(0x5a, bytes.length >> 1); // behind the pages that are read when it is opened
  writeFileSync(path, bytes);
  const damaged = new CatalogIndex(path);
  assert.throws(() => damaged.backups(), { kind: 'damaged', code: 'index.sqlite' });
  damaged.close();
});

test('what was added is there when it is opened again, and seen by who has it open', () => {
  const index = new CatalogIndex(path);
  index.add(manifestOf({ number: 1, from: null, to: 1 }));
  const beside = new CatalogIndex(path);
  index.add(manifestOf({ number: 2, from: 1, to: 2 }));
  assert.equal(beside.known([guid(2)])[0]?.restorable, true);
  index.close();
  beside.close();
  const again = new CatalogIndex(path);
  assert.equal(again.backups().backups.length, 2);
  again.close();
});

test('when the process is killed while it adds, the index is whole: each backup with all that is derived, or not at all', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', ADD_FOREVER, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  const index = new CatalogIndex(path);
  const had = index.backups({ limit: 1000 }).backups;
  assert.ok(had.length > 0);
  const same = new CatalogIndex(':memory:');
  same.addAll(
    had.map(({ lineage: _, ...backup }) => ({
      ...backup,
      source: null,
      base_name: backup.from && `s${Number(`0x${backup.from}`)}`,
    })),
  );
  assert.deepEqual([...index.dump()], [...same.dump()]);
  index.close();
  same.close();
});

test('an emptied index is as a new one', () => {
  const index = new CatalogIndex(path);
  index.add(manifestOf({ number: 1, from: null, to: 1 }));
  index.clear();
  assert.deepEqual([...index.dump()], []);
  index.add(manifestOf({ number: 2, from: null, to: 2 }));
  assert.equal(index.backups().backups.length, 1);
  index.close();
});
