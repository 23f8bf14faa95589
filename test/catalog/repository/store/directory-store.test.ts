import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { systemClock } from '../../../../catalog/clock.ts';
import { ZkeepError } from '../../../../catalog/errors.ts';
import { digestOf } from '../../../../catalog/repository/store/body.ts';
import { explainFileError } from '../../../../catalog/repository/store/directory/errors.ts';
import { DirectoryStore } from '../../../../catalog/repository/store/directory-store.ts';
import { parseDigest } from '../../../../catalog/words.ts';
import { failure, putText, storeConformance, textOf } from './conformance.ts';

storeConformance(
  'the directory store',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'zkeep-store-'));
    return { store: new DirectoryStore(folder), cleanup: () => rm(folder, { recursive: true }) };
  },
  { abilities: { conditionalPut: true, checksOnPut: true }, grants: false },
);

const MIB = 1024 * 1024;
const DAY = 24 * 60 * 60 * 1000;

describe('the directory store', () => {
  it('keeps an object as a plain file under its key, and nothing else', async (t) => {
    const { store, folder } = await emptyStore(t);
    await putText(store, 'a/b.json', 'text');
    assert.equal(await readFile(join(folder, 'a/b.json'), 'utf8'), 'text');
    assert.deepEqual(await tree(folder), ['a/b.json']);
  });

  it('leaves no file when a body is refused, cut or aborted', async (t) => {
    const { store, folder } = await emptyStore(t);
    const sha256 = digestOf(Buffer.from('abcdef'));
    await assert.rejects(store.put('k', Buffer.from('x'), { sha256 }), failure('damaged', 'store.mismatch'));
    const cut = new Error('the client went away');
    await assert.rejects(store.putStream('k', failing(['abc'], cut), { size: 6, sha256 }), cut);
    const signal = AbortSignal.timeout(20);
    await assert.rejects(
      store.putStream('k', hanging(['abc']), { size: 6, sha256, signal }),
      (thrown) => thrown === signal.reason,
    );
    assert.deepEqual(await tree(folder), []);
  });

  it('says that the folder itself is missing, as when a disk is not mounted', async (t) => {
    const { store, folder } = await emptyStore(t);
    await rm(folder, { recursive: true });
    const gone = failure('missing', 'store.no-folder');
    await assert.rejects(putText(store, 'a/b', 'x'), gone);
    await assert.rejects(store.get('a/b', { maxBytes: 1 }), gone);
    await assert.rejects(store.stat('a/b'), gone);
    await assert.rejects(store.delete('a/b'), gone);
    await assert.rejects(store.list('')[Symbol.asyncIterator]().next(), gone);
    await assert.rejects(stat(folder), 'and did not make it');
    await mkdir(folder);
  });

  it('refuses a key that is the folder of another, and the other way round', async (t) => {
    const { store } = await emptyStore(t);
    await putText(store, 'a/b', 'x');
    await putText(store, 'c', 'x');
    await assert.rejects(putText(store, 'a', 'y'), failure('refused', 'store.key-clash'));
    await assert.rejects(putText(store, 'a', 'y', true), failure('refused', 'store.exists'));
    await assert.rejects(putText(store, 'c/d', 'y'), failure('refused', 'store.key-clash'));
    await assert.rejects(store.get('a', { maxBytes: 9 }), failure('missing', 'store.missing'));
    await assert.rejects(store.get('c/d', { maxBytes: 9 }), failure('missing', 'store.missing'));
    assert.equal(await store.stat('a'), undefined);
    assert.equal(await store.stat('c/d'), undefined);
    await store.delete('a');
    assert.equal(await textOf(store, 'a/b'), 'x');
  });

  it('does not list what others left there, nor temporary files', async (t) => {
    const { store, folder } = await emptyStore(t);
    await putText(store, 'a/b', 'x');
    await mkdir(join(folder, 'lost+found'));
    await writeFile(join(folder, 'lost+found/#12'), '');
    await writeFile(join(folder, 'a/with space'), '');
    await writeFile(join(folder, '~incoming/half'), 'half');
    await symlink('/etc/hostname', join(folder, 'a/link'));
    const keys: string[] = [];
    for await (const { key } of store.list('')) keys.push(key);
    assert.deepEqual(keys, ['a/b']);
  });

  it('removes temporary files older than a day, and no younger ones', async (t) => {
    const { store, folder } = await emptyStore(t);
    await mkdir(join(folder, '~incoming'));
    await writeFile(join(folder, '~incoming/old'), '');
    await writeFile(join(folder, '~incoming/young'), '');
    const old = new Date(Date.now() - DAY - 60_000);
    await utimes(join(folder, '~incoming/old'), old, old);
    await putText(store, 'a', '');
    assert.deepEqual(await readdir(join(folder, '~incoming')), ['young']);
  });

  it('looks for leftovers again when it runs for days', async (t) => {
    const { folder } = await emptyStore(t);
    let now = Date.now();
    const store = new DirectoryStore(folder, { ...systemClock, now: () => now });
    await putText(store, 'a', '');
    await writeFile(join(folder, '~incoming/left'), '');
    now += DAY / 2;
    await putText(store, 'b', '');
    assert.deepEqual(await readdir(join(folder, '~incoming')), ['left']);
    now += DAY;
    await putText(store, 'c', '');
    assert.deepEqual(await readdir(join(folder, '~incoming')), []);
  });

  it('takes away the folders that a delete leaves empty, while others write into them', async (t) => {
    const { store, folder } = await emptyStore(t);
    await putText(store, 'a/b/c', '');
    await store.delete('a/b/c');
    assert.deepEqual(await readdir(folder), ['~incoming']);
    const turns = Array.from({ length: 40 }, async (_, at) => {
      await putText(store, `x/y/${at}`, '', at % 2 === 0);
      await store.delete(`x/y/${at}`);
    });
    await Promise.all(turns);
    assert.deepEqual(await readdir(folder), ['~incoming']);
  });
});

describe('a put of a stream', () => {
  it('stores pieces of any size, holding one at a time', async (t) => {
    const { store } = await emptyStore(t);
    const pieces = [0, 1, 65_536, 3, 1_000_000, 0].map((size) => randomBytes(size));
    const whole = Buffer.concat(pieces);
    await store.putStream('s', slowly(pieces), {
      size: whole.length,
      sha256: digestOf(whole),
      ifAbsent: true,
    });
    assert.ok((await store.get('s', { maxBytes: whole.length })).equals(whole));
  });

  it('is through with a piece before it asks for the next, whatever their sizes', async (t) => {
    const { store } = await emptyStore(t);
    const lengths = fc.array(fc.constantFrom(0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB + 7), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(lengths, async (sizes) => {
        const pieces = sizes.map((size) => randomBytes(size));
        const whole = Buffer.concat(pieces);
        await store.putStream('s', throughOneBuffer(pieces), { size: whole.length, sha256: digestOf(whole) });
        assert.ok((await store.get('s', { maxBytes: whole.length })).equals(whole));
      }),
      { numRuns: 20 },
    );
  });

  it('takes what is larger than the memory it uses', async (t) => {
    const { store, folder } = await emptyStore(t);
    const piece = Buffer.alloc(1024 * 1024, 7);
    const sum = createHash('sha256');
    for (let at = 0; at < 256; at++) sum.update(piece);
    const size = 256 * piece.length;
    const before = process.memoryUsage().rss;
    await store.putStream('s', many(256, piece), { size, sha256: parseDigest(sum.digest('hex')) });
    assert.ok(process.memoryUsage().rss - before < 64 * 1024 * 1024);
    assert.equal((await stat(join(folder, 's'))).size, size);
  });

  it('refuses one byte more and one fewer, reading no further than it must', async (t) => {
    const { store, folder } = await emptyStore(t);
    const sha256 = digestOf(Buffer.from('abcdef'));
    const refused = failure('damaged', 'store.mismatch');
    await assert.rejects(store.putStream('s', slowly([Buffer.from('abcde')]), { size: 6, sha256 }), refused);
    let taken = 0;
    const endless = async function* () {
      for (; ; taken++) yield Buffer.from('abcdef');
    };
    await assert.rejects(store.putStream('s', endless(), { size: 6, sha256 }), refused);
    assert.ok(taken <= 1, `took ${taken} more`);
    assert.deepEqual(await tree(folder), []);
  });

  it('gives one of two streams the key', async (t) => {
    const { store } = await emptyStore(t);
    const bodies = ['first', 'other'].map((text) => Buffer.from(text));
    const ends = await Promise.allSettled(
      bodies.map((body) =>
        store.putStream('s', slowly([body]), { size: 5, sha256: digestOf(body), ifAbsent: true }),
      ),
    );
    const winner = bodies.filter((_, at) => ends[at]?.status === 'fulfilled');
    assert.deepEqual(winner.map(String), [await textOf(store, 's')]);
  });
});

describe('errors of the file system', () => {
  it('are told by what one can do about them', () => {
    for (const [errno, kind] of [
      ['ENOSPC', 'full'],
      ['EDQUOT', 'full'],
      ['EACCES', 'denied'],
      ['EPERM', 'denied'],
      ['EROFS', 'denied'],
      ['ENOENT', 'missing'],
      ['ESTALE', 'unavailable'],
      ['EIO', 'failed'],
    ] as const) {
      const thrown = Object.assign(new Error(`${errno}: words`), { code: errno, syscall: 'write' });
      const told = explainFileError(thrown, 'write x');
      assert.ok(told instanceof ZkeepError);
      assert.equal(told.kind, kind, errno);
      assert.equal(told.cause, thrown);
      assert.match(told.message, /could not write x: .*words/);
    }
    const other = new TypeError('a mistake in a program');
    assert.equal(explainFileError(other, 'write x'), other);
  });

  it('come through from the kernel when there is no right to write', async (t) => {
    const { store, folder } = await emptyStore(t);
    await putText(store, 'a/b', 'x');
    await chmod(folder, 0o755);
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65534);
    else await chmod(join(folder, '~incoming'), 0o500);
    try {
      await assert.rejects(putText(store, 'a/c', 'x'), failure('denied', 'store.denied'));
    } finally {
      if (isRoot) process.seteuid?.(0);
      else await chmod(join(folder, '~incoming'), 0o700);
    }
    await putText(store, 'a/c', 'x');
  });

  it('come through from the kernel when there is no room, and leave nothing', async (t) => {
    const { folder } = await emptyStore(t);
    const program = `const body = Buffer.alloc(1_000_000);
      await store.put('large', body, { sha256: digestOf(body) }).catch((thrown) => console.log(thrown.kind));`;
    // A limit on the size of files is the one lack of room that needs no rights to bring about.
    const { stdout } = await promisify(execFile)('sh', [
      '-c',
      'trap "" XFSZ; ulimit -f 64; exec "$0" "$@"',
      process.execPath,
      ...programArguments(folder, program),
    ]);
    assert.equal(stdout, 'full\n');
    assert.deepEqual(await tree(folder), []);
  });
});

describe('a writer that is killed', () => {
  it('leaves no object, and its leftover is removed in time', async (t) => {
    const { folder } = await emptyStore(t);
    const program = `const endless = async function* () { yield Buffer.from('half'); console.log('half'); await new Promise((end) => setTimeout(end, 60_000)); };
      await store.putStream('whole', endless(), { size: 8, sha256: digestOf(Buffer.from('half')) });`;
    const child = spawn(process.execPath, programArguments(folder, program), {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const [leftover] = await tree(folder);
    assert.match(leftover ?? '', /^~incoming\//);
    const later = new DirectoryStore(folder, { ...systemClock, now: () => Date.now() + 2 * DAY });
    assert.equal(await later.stat('whole'), undefined);
    await putText(later, 'whole', 'whole', true);
    assert.deepEqual(await tree(folder), ['whole']);
  });
});

/** Arguments of node for a program that has `store`, on the folder, and `digestOf`. */
function programArguments(folder: string, program: string): string[] {
  const room = new URL('../../../../catalog/repository/store/', import.meta.url);
  const text = `import { DirectoryStore } from '${room}directory-store.ts';
    import { digestOf } from '${room}body.ts';
    const store = new DirectoryStore(${JSON.stringify(folder)});
    ${program}`;
  return ['--input-type=module', '--eval', text];
}

async function emptyStore(t: TestContext): Promise<{ store: DirectoryStore; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'zkeep-store-'));
  t.after(() => rm(folder, { recursive: true }));
  return { store: new DirectoryStore(folder), folder };
}

/** Every file below the folder. */
async function tree(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

async function* slowly(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) {
    await new Promise(setImmediate);
    yield piece;
  }
}

/** As a source that uses its memory again for each piece. */
async function* throughOneBuffer(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  const buffer = Buffer.alloc(Math.max(0, ...pieces.map(({ length }) => length)));
  for (const piece of pieces) yield buffer.subarray(0, piece.copy(buffer));
}

async function* many(times: number, piece: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < times; at++) yield piece;
}

async function* failing(texts: readonly string[], error: Error): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text);
  throw error;
}

async function* hanging(texts: readonly string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text);
  await new Promise(() => {});
}
