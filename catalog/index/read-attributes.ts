/** Reading the attribute manifests that the index lacks: dear, for nearly every backup has one of its own. */
import type { Attributes } from '../attributes/attributes.ts';
import { ZkeepError } from '../errors.ts';
import { attributesKey } from '../repository/names.ts';
import type { Digest } from '../words.ts';
import type { CatalogIndex } from './catalog-index.ts';
import { inBatches, inOrder } from './in-order.ts';
import { type ReadAttributes, settingsIn } from './tables/settings.ts';

export type { ReadAttributes } from './tables/settings.ts';

/** Where attribute manifests are read from: the repository. */
export interface AttributesSource {
  /** Reads one. Throws `missing`, `damaged` or `refused` when it cannot be used. */
  attributes(digest: Digest, signal?: AbortSignal): Promise<Attributes>;
}

/** An attribute manifest that could not be taken in. */
export interface AttributesProblem {
  readonly key: string;
  readonly error: ZkeepError;
}

export interface ReadAttributesOptions {
  /** Only those of backups of datasets called so. */
  readonly dataset?: string | undefined;
  /** Told of each part that was taken in: how many were read, and what is wrong with some. */
  readonly onRead?: (count: number, problems: readonly AttributesProblem[]) => void;
  readonly signal?: AbortSignal | undefined;
  /** Read at once. */
  readonly concurrency?: number | undefined;
}

/** Digests asked of the index at once, and contents taken in in one transaction. */
const PAGE = 1000;
const BATCH = 200;
/** Each may hold many MiB while it is read. */
const CONCURRENCY = 8;

/**
 * Reads every attribute manifest whose content the index lacks, each once. One
 * that cannot be used is told of, left out, and tried again by the next call.
 *
 * @throws {ZkeepError} `unavailable`, `denied` and the like when the store does not answer. What was taken
 *   in until then stays.
 */
export async function readAttributes(
  source: AttributesSource,
  index: CatalogIndex,
  { dataset, onRead, signal, concurrency = CONCURRENCY }: ReadAttributesOptions = {},
): Promise<void> {
  const lacking = unread(index, dataset);
  const found = inOrder(
    lacking,
    (digest) => readOne(source, digest, signal),
    Math.min(concurrency, CONCURRENCY),
  );
  for await (const batch of inBatches(found, BATCH)) {
    index.learn(batch.flatMap(({ read }) => read ?? []));
    onRead?.(batch.length, batch.flatMap(problemOf));
  }
}

/**
 * Reads the attribute manifest of one backup.
 *
 * @throws what reading it throws.
 * @example index.add(manifest, await readOneOf(repository, digest));
 */
export async function readOneOf(source: AttributesSource, digest: Digest): Promise<ReadAttributes> {
  return settingsIn(digest, await source.attributes(digest));
}

interface Reading {
  readonly digest: Digest;
  readonly read?: ReadAttributes;
  readonly error?: unknown;
}

function* unread(index: CatalogIndex, dataset: string | undefined): Generator<Digest> {
  let last: Digest | undefined;
  do {
    const page = index.unread(PAGE, last, dataset);
    yield* page;
    last = page.at(-1);
  } while (last !== undefined);
}

/** Never rejects, so that readings ahead of the one awaited may fail in peace. */
async function readOne(source: AttributesSource, digest: Digest, signal?: AbortSignal): Promise<Reading> {
  try {
    return { digest, read: settingsIn(digest, await source.attributes(digest, signal)) };
  } catch (error) {
    return { digest, error };
  }
}

/** What is wrong with the bytes, or that they are not there, is told; that the store does not answer ends the run. */
function problemOf({ digest, error }: Reading): AttributesProblem[] {
  if (error === undefined) return [];
  const isItsOwn = error instanceof ZkeepError && ['missing', 'damaged', 'refused'].includes(error.kind);
  if (!isItsOwn) throw error;
  return [{ key: attributesKey(digest), error }];
}
