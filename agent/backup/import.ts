/** Streams that are already files, into the repository: packages are split, each stream becomes one backup. */
import { hostname } from 'node:os';
import type { Attributes } from '../../catalog/attributes/attributes.ts';
import { systemClock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import { type Substream, splitPackage } from '../../catalog/stream/package.ts';
import type { Begin } from '../../catalog/stream/state.ts';
import { parseDataset } from '../zfs/names.ts';
import { failedResult, type StoredResult } from './results.ts';
import { type UploadOptions, uploadStream } from './upload/upload.ts';

/** Under which names the streams are kept. */
export interface ImportNames {
  /** The name of the first stream's dataset; those below it keep their place below. */
  readonly dataset: string;
  /** The host that they are kept under. */
  readonly host: string | undefined;
}

/** Where the streams go, and what is kept beside them. */
export type ImportOptions = Omit<UploadOptions, 'attributes' | 'source' | 'again'> & {
  readonly attributesOf?: AttributesOf;
};

/** Gives the attributes that are kept beside a stream, by what its dataset is called there and here. */
export type AttributesOf = (sent: string, kept: string) => Attributes | undefined;

/**
 * Stores every stream that the source holds. A stream that is refused does not
 * keep the others of its package from being stored; one that is damaged does.
 *
 * @throws {ZkeepError} `damaged` when there is not even a first stream.
 */
export async function importStreams(
  source: AsyncIterable<Uint8Array>,
  names: ImportNames,
  options: ImportOptions,
): Promise<StoredResult[]> {
  const results: StoredResult[] = [];
  const streams = splitPackage(source);
  try {
    let root: string | undefined;
    for await (const stream of streams) {
      root ??= datasetIn(stream.begin);
      const result = await importOne(stream, streams, root, names, options);
      results.push(result);
      options.signal.throwIfAborted();
      const { failure } = result;
      if (failure !== undefined && !(stream.packaged && isItsOwn(failure))) return results;
    }
    return results;
  } catch (thrown) {
    if (results.length === 0 || options.signal.aborted) throw thrown;
    return [...results, failedResult({ dataset: names.dataset, kind: null, snapshot: null }, thrown)];
  } finally {
    // What is left of the source is not read.
    void streams.return().catch(() => undefined);
  }
}

/**
 * The name under which a stream's dataset is kept.
 *
 * @param root the first stream's dataset, which `name` stands for.
 * @throws {ZkeepError} `refused` when the stream is of a dataset elsewhere.
 * @example keptName('tank/a/b', 'tank/a', 'old/a') // 'old/a/b'
 */
export function keptName(dataset: string, root: string, name: string): string {
  if (dataset === root) return name;
  if (dataset.startsWith(`${root}/`)) return parseDataset(name + dataset.slice(root.length));
  throw new ZkeepError(
    'refused',
    'import.elsewhere',
    `a stream is of ${dataset}, which is not below ${root}`,
    {
      advice: 'import it by itself, under a name of its own',
      facts: { dataset, root },
    },
  );
}

async function importOne(
  stream: Substream,
  streams: AsyncIterator<Substream>,
  root: string,
  names: ImportNames,
  options: ImportOptions,
): Promise<StoredResult> {
  const { begin } = stream;
  const started = systemClock.now();
  const snapshot = snapshotIn(begin);
  const kind = begin.fromGuid === null ? 'full' : 'incremental';
  let dataset = names.dataset;
  try {
    dataset = keptName(datasetIn(begin), root, names.dataset);
    const upload = {
      source: { host: names.host ?? hostname(), dataset, pool_guid: null, zfs: null },
      set: null,
      from: begin.fromGuid === null ? null : { guid: begin.fromGuid, name: null },
      to: { guid: begin.toGuid, name: snapshot },
      send_flags: null,
    };
    const attributes = options.attributesOf?.(datasetIn(begin), dataset);
    const { summary } = await uploadStream(bytesOf(stream, streams), upload, {
      ...options,
      source: 'file',
      again: 'the same zkeep import',
      ...(attributes ? { attributes: Promise.resolve(attributes) } : {}),
    });
    const { backup, from, to, bytes, stored } = summary;
    const seconds = (systemClock.now() - started) / 1000;
    return {
      dataset,
      outcome: 'stored',
      kind,
      backup,
      from,
      to,
      snapshot,
      bytes,
      stored,
      seconds,
      failure: undefined,
    };
  } catch (thrown) {
    const facts = { dataset, kind, snapshot, from: begin.fromGuid, to: begin.toGuid } as const;
    if (thrown instanceof ZkeepError && thrown.code === 'backup.already') {
      return {
        ...failedResult(facts, undefined),
        outcome: 'already',
        backup: String(thrown.facts['backup']),
      };
    }
    return failedResult(facts, thrown);
  }
}

/** A stream that came alone must also be alone: what follows it is found before it is stored. */
async function* bytesOf(stream: Substream, streams: AsyncIterator<Substream>): AsyncGenerator<Uint8Array> {
  yield* stream.bytes;
  if (!stream.packaged) await streams.next();
}

/** Refused by the service, for a reason that concerns no other stream. */
function isItsOwn(failure: unknown): boolean {
  return failure instanceof ZkeepError && ['refused', 'busy'].includes(failure.kind);
}

/** `pool/dataset` as the sender named it. */
function datasetIn({ toName }: Begin): string {
  const at = toName.indexOf('@');
  return at < 0 ? toName : toName.slice(0, at);
}

function snapshotIn({ toName }: Begin): string | null {
  const at = toName.indexOf('@');
  return at < 0 ? null : toName.slice(at + 1, at + 256);
}
