/** The files that people make by hand beside their streams, read for an import. */
import { open } from 'node:fs/promises';
import type { Attributes } from '../../catalog/attributes/attributes.ts';
import { attributesOfFiles, type HandMade } from '../../catalog/attributes/hand-made.ts';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import type { AttributesOf } from './import.ts';

/** Most bytes of such a file; `zfs get -rHp all` prints some 5 KiB a dataset or snapshot. */
const MAX_FILE = 64 * 1024 * 1024;

/** Which files, by path. */
export interface HandMadeFiles {
  /** `zpool get all POOL > FILE`. */
  readonly pool: string | undefined;
  /** `zfs get -rHp all POOL > FILE`. */
  readonly datasets: string | undefined;
}

/**
 * Reads the files, and gives what picks out of them the part of each stream's dataset:
 * by the name that the stream bears, else by the one that it is kept under.
 *
 * @throws {ZkeepError} `missing` or `denied` when one cannot be read, `usage` when it is too large;
 *   the function that it gives: `usage` when a file is no such file, or tells nothing of the dataset.
 */
export async function readHandMade({ pool, datasets }: HandMadeFiles): Promise<AttributesOf> {
  const files = {
    ...(pool === undefined ? {} : { pool: await readBounded(pool) }),
    ...(datasets === undefined ? {} : { datasets: await readBounded(datasets) }),
  };
  // The streams of one dataset follow each other.
  let last: { readonly sent: string; readonly attributes: Attributes } | undefined;
  return (sent, kept) => {
    if (last?.sent !== sent) last = { sent, attributes: attributesOfEither(sent, kept, files) };
    return last.attributes;
  };
}

function attributesOfEither(sent: string, kept: string, files: Omit<HandMade, 'dataset'>): Attributes {
  try {
    return attributesOfFiles({ dataset: sent, ...files });
  } catch (thrown) {
    if (kept === sent) throw thrown;
    try {
      return attributesOfFiles({ dataset: kept, ...files });
    } catch {
      // What is wrong with the stream's own name is what is told.
      throw thrown;
    }
  }
}

async function readBounded(file: string): Promise<Uint8Array> {
  try {
    const handle = await open(file, 'r');
    try {
      const { size } = await handle.stat();
      if (size > MAX_FILE) throw tooLarge(file, size);
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (cause instanceof ZkeepError) throw cause;
    throw unreadable(file, cause);
  }
}

function tooLarge(file: string, size: number): ZkeepError {
  return new ZkeepError('usage', 'import.attributes-large', `${file} has ${size} bytes`, {
    advice: 'it should be what "zpool get all POOL" or "zfs get -rHp all POOL" printed, and no more',
    facts: { file, size },
  });
}

function unreadable(file: string, cause: unknown): ZkeepError {
  const absent = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
  const message = `cannot read ${file}: ${messageOf(cause)}`;
  return new ZkeepError(absent ? 'missing' : 'denied', 'import.unreadable', message, {
    facts: { file },
    cause,
  });
}
