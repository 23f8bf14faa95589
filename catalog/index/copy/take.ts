/** Taking the index from its newest copy in the bucket, instead of making it from all manifests. */
import { createHash, hash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import { messageOf, ZkeepError } from '../../errors.ts';
import { indexCopyKey, indexPieceKey } from '../../repository/names.ts';
import type { ObjectStore } from '../../repository/store/store.ts';
import { INDEX_VERSION } from '../tables/migrations.ts';
import type { IndexCopy } from './description.ts';
import { readDescription, storedCopies } from './stored.ts';

export interface TakeOptions {
  /** The id of the repository. */
  readonly repository: string;
  /** Where the index is to be; there must be none. */
  readonly file: string;
  /** Told of a copy that is not taken, and why. */
  readonly onUnfit: (key: string, error: ZkeepError) => void;
  readonly signal?: AbortSignal;
}

/** Copies that are tried, the newest first: what is wrong with several is not the copy. */
const TRIES = 3;

/**
 * Takes the newest copy that is whole, of this repository, and of tables that this zkeep knows.
 *
 * @returns the copy, or `undefined` when none fits: there is no file then.
 * @throws {ZkeepError} `unavailable`, `denied` and the like when the store does not answer; `full` when the disk is.
 */
export async function takeCopy(
  store: Pick<ObjectStore, 'list' | 'get'>,
  options: TakeOptions,
): Promise<IndexCopy | undefined> {
  const { onUnfit, signal } = options;
  const copies = await storedCopies(store, signal);
  for (const { id } of copies.filter(({ isWhole }) => isWhole).slice(0, TRIES)) {
    try {
      return await takeOne(store, id, options);
    } catch (thrown) {
      // Gone meanwhile, or not what it says: the next one, or none, will do.
      const isItsOwn =
        thrown instanceof ZkeepError && ['missing', 'damaged', 'refused'].includes(thrown.kind);
      if (!isItsOwn) throw thrown;
      onUnfit(indexCopyKey(id), thrown);
    }
  }
  return undefined;
}

async function takeOne(
  store: Pick<ObjectStore, 'get'>,
  id: string,
  { repository, file, signal }: TakeOptions,
): Promise<IndexCopy> {
  const copy = await readDescription(store, id, signal);
  const key = indexCopyKey(id);
  if (copy.repository !== repository) throw unfit(key, 'is of another repository');
  if (copy.version > INDEX_VERSION) throw unfit(key, 'was made by a newer zkeep');
  const part = `${file}.part`;
  try {
    await unpack(store, id, copy, part, signal);
    const handle = await open(part, 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(part, file);
    return copy;
  } finally {
    await rm(part, { force: true });
  }
}

async function unpack(
  store: Pick<ObjectStore, 'get'>,
  id: string,
  copy: IndexCopy,
  part: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const whole = createHash('sha256');
  const key = indexCopyKey(id);
  let size = 0;
  await pipeline(
    piecesOf(store, id, copy, signal),
    createZstdDecompress(),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        size += chunk.length;
        if (size > copy.size) throw damaged(key, 'is longer than it says');
        whole.update(chunk);
        yield chunk;
      }
    },
    createWriteStream(part, { mode: 0o600 }),
    signal ? { signal } : {},
  ).catch((thrown: unknown) => {
    throw explain(thrown, key);
  });
  if (size !== copy.size || whole.digest('hex') !== copy.sha256)
    throw damaged(key, 'is not the index it says');
}

async function* piecesOf(
  store: Pick<ObjectStore, 'get'>,
  id: string,
  { pieces }: IndexCopy,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  for (const [number, { size, sha256 }] of pieces.entries()) {
    const key = indexPieceKey(id, number);
    const body = await store.get(key, { maxBytes: size, ...(signal ? { signal } : {}) });
    if (body.length !== size || hash('sha256', body) !== sha256)
      throw damaged(key, 'is not as it was stored');
    yield body;
  }
}

/** zstd's own errors are damage, those of the disk are what they are. */
function explain(thrown: unknown, key: string): unknown {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  if (code.startsWith('ZSTD_') || code === 'Z_BUF_ERROR')
    return damaged(key, `is damaged: ${messageOf(thrown)}`);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new ZkeepError('full', 'index.full', 'there is no room for the index', {
      advice: 'make room in the data folder; nothing that is stored is lost',
      cause: thrown,
    });
  }
  return thrown;
}

function unfit(key: string, reason: string): ZkeepError {
  return new ZkeepError('refused', 'index.copy-unfit', `the copy of the index ${key} ${reason}`, {
    advice: 'the index is made from the manifests instead',
    facts: { key },
  });
}

function damaged(key: string, reason: string): ZkeepError {
  return new ZkeepError('damaged', 'index.copy-damaged', `the copy of the index ${key} ${reason}`, {
    advice: 'another copy, or the manifests, will do: nothing that is stored is lost',
    facts: { key },
  });
}
