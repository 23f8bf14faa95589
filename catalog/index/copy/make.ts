/** Storing a copy of the index in the bucket, in bounded memory. */
import { createHash, hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import type { Clock } from '../../clock.ts';
import { indexCopyKey, indexPieceKey } from '../../repository/names.ts';
import type { ObjectStore } from '../../repository/store/store.ts';
import { laterUuid7, parseDigest } from '../../words.ts';
import type { CatalogIndex } from '../catalog-index.ts';
import { INDEX_VERSION } from '../tables/migrations.ts';
import { COPY_FORMAT, type IndexCopy, PIECE } from './description.ts';

export interface CopyOptions {
  /** The id of the repository. */
  readonly repository: string;
  /** A file to copy to first, which is removed again; beside the index, for it takes as much room. */
  readonly file: string;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  /** Told after each piece: bytes stored. */
  readonly onPiece?: (stored: number) => void;
  /** Bytes of a piece. */
  readonly piece?: number;
  /** The newest copy that there is: this one is newer, also when a clock was ahead. */
  readonly after?: string | undefined;
}

/** A copy that was stored. */
export interface MadeCopy {
  readonly id: string;
  /** Bytes of the index, and of its copy as it lies in the bucket. */
  readonly size: number;
  readonly stored: number;
}

/**
 * Copies the index as it is now, compresses it, and stores it piece by piece, its description last. Cut
 * off in between, it leaves pieces that are no copy, and the file; both are removed by a later run.
 *
 * @throws {ZkeepError} `full` when the disk or the store has no room, and what the store throws.
 */
export async function makeCopy(
  index: CatalogIndex,
  store: Pick<ObjectStore, 'put'>,
  options: CopyOptions,
): Promise<MadeCopy> {
  const { repository, file, clock, signal, after } = options;
  const began = clock.now();
  const content = index.contentMark();
  await removeFile(file);
  try {
    await index.copyTo(file, signal);
    const id = laterUuid7(after, clock.now());
    const whole = createHash('sha256');
    const { size } = await stat(file);
    const pieces = await storePieces(store, id, { ...options, whole });
    const copy: IndexCopy = {
      format: COPY_FORMAT,
      repository,
      created: new Date(clock.now()).toISOString(),
      version: INDEX_VERSION,
      content,
      seconds: Math.max(0, clock.now() - began) / 1000,
      size,
      sha256: parseDigest(whole.digest('hex')),
      pieces,
    };
    await put(store, indexCopyKey(id), Buffer.from(`${JSON.stringify(copy)}\n`), signal);
    return { id, size, stored: pieces.reduce((sum, piece) => sum + piece.size, 0) };
  } finally {
    await removeFile(file);
  }
}

async function storePieces(
  store: Pick<ObjectStore, 'put'>,
  id: string,
  {
    file,
    whole,
    signal,
    onPiece,
    piece = PIECE,
  }: CopyOptions & { readonly whole: ReturnType<typeof createHash> },
): Promise<IndexCopy['pieces']> {
  const pieces: IndexCopy['pieces'] = [];
  let stored = 0;
  const send = async (body: Buffer) => {
    await put(store, indexPieceKey(id, pieces.length), body, signal);
    pieces.push({ size: body.length, sha256: parseDigest(hash('sha256', body)) });
    stored += body.length;
    onPiece?.(stored);
  };
  await pipeline(
    createReadStream(file, { highWaterMark: 1024 * 1024 }),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        whole.update(chunk);
        yield chunk;
      }
    },
    createZstdCompress({ params: { [constants.ZSTD_c_checksumFlag]: 1 } }),
    async (chunks: AsyncIterable<Buffer>) => {
      for await (const body of inPieces(chunks, piece)) await send(body);
    },
    signal ? { signal } : {},
  );
  return pieces;
}

/** The bytes in pieces of one size, the last one smaller. */
async function* inPieces(chunks: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (let chunk of chunks) {
    while (length + chunk.length >= size) {
      const end = size - length;
      yield Buffer.concat([...parts, chunk.subarray(0, end)]);
      chunk = chunk.subarray(end);
      [parts, length] = [[], 0];
    }
    if (chunk.length === 0) continue;
    parts.push(chunk);
    length += chunk.length;
  }
  if (length > 0) yield Buffer.concat(parts);
}

async function put(
  store: Pick<ObjectStore, 'put'>,
  key: string,
  body: Buffer,
  signal: AbortSignal | undefined,
): Promise<void> {
  const sha256 = parseDigest(hash('sha256', body));
  await store.put(key, body, { sha256, ifAbsent: true, ...(signal ? { signal } : {}) });
}

/** SQLite may have left files beside it. */
async function removeFile(file: string): Promise<void> {
  for (const suffix of ['', '-wal', '-shm', '-journal']) await rm(`${file}${suffix}`, { force: true });
}
