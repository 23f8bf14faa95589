import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { ZkeepError } from '../../../../catalog/errors.ts';
import { CatalogIndex } from '../../../../catalog/index/catalog-index.ts';
import type { IndexCopy } from '../../../../catalog/index/copy/description.ts';
import { type CopyOptions, makeCopy } from '../../../../catalog/index/copy/make.ts';
import { dropOldCopies, storedCopies } from '../../../../catalog/index/copy/stored.ts';
import { takeCopy } from '../../../../catalog/index/copy/take.ts';
import { DirectoryStore } from '../../../../catalog/repository/store/directory-store.ts';
import { newUuid7, parseDigest } from '../../../../catalog/words.ts';
import { ManualClock } from '../../../server/fixture/manual-clock.ts';
import { damaged, entry, policy, proven } from '../journal/entries.ts';
import { backupId, manifestOf } from '../manifests.ts';

let folder: string;
let store: DirectoryStore;
let index: CatalogIndex;
let clock: ManualClock;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zkeep-copy-'));
  mkdirSync(join(folder, 'bucket'));
  store = new DirectoryStore(join(folder, 'bucket'));
  index = new CatalogIndex(join(folder, 'index.db'));
  clock = new ManualClock();
  for (let number = 1; number <= 200; number++) {
    index.add(manifestOf({ number, from: number === 1 ? null : number - 1, to: number }));
  }
  index.apply([
    entry(1, { kind: 'policy.set', policy: policy('a') }),
    entry(2, damaged(7)),
    entry(3, proven(9)),
  ]);
});

afterEach(() => {
  index.close();
  rmSync(folder, { recursive: true });
});

const make = (more: Partial<CopyOptions> = {}) =>
  makeCopy(index, store, { repository: 'ours', file: join(folder, 'copy.db'), clock, piece: 4096, ...more });
const taken = () => join(folder, 'taken.db');

async function take(repository = 'ours'): Promise<{ copy: IndexCopy | undefined; unfit: ZkeepError[] }> {
  const unfit: ZkeepError[] = [];
  const copy = await takeCopy(store, {
    repository,
    file: taken(),
    onUnfit: (_key, error) => unfit.push(error),
  });
  assert.equal(existsSync(taken()), copy !== undefined, 'a file is there when a copy was fit');
  assert.deepEqual(
    readdirSync(folder).filter((name) => /part|copy\.db/.test(name)),
    [],
    'nothing else is left',
  );
  return { copy, unfit };
}

/** Writes another content over an object. */
async function spoil(key: string, change: (body: Buffer) => Buffer): Promise<void> {
  const body = change(await store.get(key, { maxBytes: 1e9 }));
  await store.delete(key);
  await store.put(key, body, { sha256: parseDigest(hash('sha256', body)) });
}

describe('a copy of the index', () => {
  it('is stored in pieces, and taken as it was, with the journal', async () => {
    const { id, stored } = await make();
    const [copy] = await storedCopies(store);
    assert.ok(copy?.isWhole && copy.id === id);
    assert.equal(copy.keys.length, 1 + Math.ceil(stored / 4096));
    const found = await take();
    assert.deepEqual(found.unfit, []);
    assert.equal(found.copy?.pieces.length, copy.keys.length - 1);
    const again = new CatalogIndex(taken());
    assert.deepEqual([...again.dump()], [...index.dump()]);
    assert.equal(again.contentMark(), found.copy?.content);
    again.add(manifestOf({ number: 201, from: 200, to: 201 }));
    again.close();
  });

  it('is made while the index is used: what is added meanwhile is in it, or comes by refresh', async () => {
    const making = make();
    for (let number = 300; number < 320; number++) {
      index.add(manifestOf({ number, from: null, to: number }));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await making;
    await take();
    const again = new CatalogIndex(taken());
    assert.ok(again.count() >= 200 && again.count() <= 220);
    assert.equal(again.known([manifestOf({ number: 6, from: null, to: 6 }).to.guid])[0]?.restorable, true);
    again.close();
  });

  it('that was not ended is none, whatever was stored last', async () => {
    for (let count = 0; ; count++) {
      let calls = 0;
      const failing = {
        put: async (...args: Parameters<typeof store.put>) => {
          if (calls++ === count) throw new Error('killed');
          await store.put(...args);
        },
      };
      const file = join(folder, 'copy.db');
      const outcome = await makeCopy(index, failing, { repository: 'ours', file, clock, piece: 4096 }).then(
        () => 'made',
        (error: Error) => error.message,
      );
      const { copy } = await take();
      assert.equal(copy !== undefined, outcome === 'made');
      if (outcome === 'made') break;
      clock.pass(10);
    }
    clock.pass(2 * 86_400_000);
    await dropOldCopies(store, { keep: 3, now: clock.now() });
    assert.equal((await storedCopies(store)).length, 1, 'what was not ended is removed');
  });

  it('ends when it is told to, and leaves no file', async () => {
    const signal = AbortSignal.abort(new Error('the service stops'));
    await assert.rejects(make({ signal }), /the service stops/);
    assert.deepEqual((await take()).copy, undefined);
  });

  it('of another repository, or of a newer zkeep, is not taken', async () => {
    const { id } = await make();
    const other = await take('theirs');
    assert.deepEqual([other.copy, other.unfit[0]?.code], [undefined, 'index.copy-unfit']);
    await spoil(`index/${id}.json`, (body) =>
      Buffer.from(JSON.stringify({ ...JSON.parse(body.toString()), version: 1000 })),
    );
    const newer = await take();
    assert.deepEqual([newer.copy, newer.unfit[0]?.code], [undefined, 'index.copy-unfit']);
  });

  const spoilt: [words: string, key: (id: string) => string, change: (body: Buffer) => Buffer][] = [
    ['a flipped bit in a piece', (id) => `index/${id}/00000001.part`, flip],
    ['a piece that is cut', (id) => `index/${id}/00000000.part`, (body) => body.subarray(0, 100)],
    ['a description that is no JSON', (id) => `index/${id}.json`, () => Buffer.from('{')],
    ['a description of a newer format', (id) => `index/${id}.json`, (body) => changed(body, { format: 2 })],
    ['another checksum', (id) => `index/${id}.json`, (body) => changed(body, { sha256: '0'.repeat(64) })],
    ['a greater size', (id) => `index/${id}.json`, (body) => changed(body, { size: 1e9 })],
    ['a smaller size', (id) => `index/${id}.json`, (body) => changed(body, { size: 100 })],
  ];
  for (const [words, key, change] of spoilt) {
    it(`with ${words} is told of, and the one before is taken`, async () => {
      await make();
      index.add(manifestOf({ number: 500, from: null, to: 500 }));
      clock.pass(1000);
      const { id } = await make();
      await spoil(key(id), change);
      const { copy, unfit } = await take();
      assert.equal(unfit.length, 1);
      assert.equal(unfit[0]?.kind, 'damaged');
      assert.ok(copy);
      const before = new CatalogIndex(taken());
      assert.deepEqual([before.count(), before.backup(backupId(500))], [200, undefined]);
      before.close();
    });
  }

  it('whose checksums are right but that is no zstd is told of', async () => {
    const { id } = await make();
    const body = Buffer.from('this is no zstd');
    await spoil(`index/${id}/00000000.part`, () => body);
    const pieces = [{ size: body.length, sha256: hash('sha256', body) }];
    await spoil(`index/${id}.json`, (text) => changed(text, { pieces }));
    const { copy, unfit } = await take();
    assert.deepEqual([copy, unfit[0]?.code], [undefined, 'index.copy-damaged']);
  });

  it('is missing when a piece is, and when the store does not answer that is said', async () => {
    const { id } = await make();
    await store.delete(`index/${id}/00000000.part`);
    assert.deepEqual(
      (await take()).unfit.map(({ kind }) => kind),
      ['missing'],
    );
    const away = {
      list: (prefix: string) => store.list(prefix),
      get: async () => {
        throw new Error('no route to host');
      },
    };
    await assert.rejects(
      takeCopy(away, { repository: 'ours', file: taken(), onUnfit: () => assert.fail() }),
      /no route/,
    );
  });

  it('is kept with the newest ones only; the description goes first', async () => {
    for (let count = 0; count < 5; count++) {
      await make();
      clock.pass(1000);
    }
    const deleted: string[] = [];
    const watched = {
      list: (prefix: string) => store.list(prefix),
      delete: async (key: string) => {
        deleted.push(key);
        await store.delete(key);
      },
    };
    const newest = (await storedCopies(store)).slice(0, 2).map(({ id }) => id);
    assert.equal(await dropOldCopies(watched, { keep: 2, now: clock.now() }), 3);
    assert.deepEqual(
      (await storedCopies(store)).map(({ id }) => id),
      newest,
    );
    assert.match(deleted[0] ?? '', /\.json$/);
  });

  it('does not meet what others put under its prefix', async () => {
    const body = Buffer.from('a note');
    const sha256 = parseDigest(hash('sha256', body));
    for (const key of ['index/README', `index/${newUuid7(1)}.db.zst`]) await store.put(key, body, { sha256 });
    assert.deepEqual(await storedCopies(store), []);
    await dropOldCopies(store, { keep: 1, now: clock.now() });
    assert.ok(await store.stat('index/README'));
  });
});

function flip(body: Buffer): Buffer {
  const copy = Buffer.from(body);
  copy[10] = (copy[10] ?? 0) ^ 1;
  return copy;
}

function changed(body: Buffer, more: Record<string, unknown>): Buffer {
  return Buffer.from(JSON.stringify({ ...JSON.parse(body.toString()), ...more }));
}
