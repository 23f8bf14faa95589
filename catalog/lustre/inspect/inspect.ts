/** What a stored MGT, MDT or OST says about itself, read from its streams without a pool. */
import { splitPackage } from '../../stream/package.ts';
import type { Begin } from '../../stream/state.ts';
import type { Guid } from '../../words.ts';
import { fileSize, SA_TYPES, systemAttributes } from './file-size.ts';
import { type LastReceived, parseLastReceived } from './last-rcvd.ts';
import { type LastUsed, lastUsed } from './object-ids.ts';
import { contentsOf } from './objects.ts';
import { notLustre, readOnce } from './refusals.ts';
import { type TargetFile, TargetReader } from './target-reader.ts';
import { readZap } from './zap/zap.ts';

/** One stream, in the order of the chain. */
export interface TargetStream {
  /** Its bytes from the start, each time anew, unless `once`. */
  open(): AsyncIterable<Uint8Array>;
  /** They come only once: a pipe. */
  readonly once?: boolean;
}

export interface InspectOptions {
  /** Read every stream to its end, which proves it, instead of only as far as needed. */
  readonly whole?: boolean;
  /** Most memory for what is kept, bytes. */
  readonly most?: number;
}

/** What a target says about itself at one snapshot. */
export interface TargetReport {
  readonly snapshot: { readonly name: string; readonly guid: Guid; readonly created: number };
  readonly kind: 'MGT' | 'MDT' | 'OST';
  /** Names of the configuration logs in `CONFIGS`, sorted; `null` when there is no such directory. */
  readonly configurations: readonly string[] | null;
  /** What `last_rcvd` says; `null` when there is none, as on an MGT. */
  readonly last_received: LastReceived | null;
  /** The last object that the MDT used on each OST; `null` when it is no MDT. */
  readonly last_used: readonly LastUsed[] | null;
}

/**
 * Reads the streams of a chain, the full one first.
 *
 * @throws {ZkeepError} `damaged` for streams that are cut or spoilt, `refused` for what is no Lustre target,
 *   is encrypted, or too large.
 * @example (await inspectTarget([{ open: () => createReadStream('mdt.zfs') }], { whole: true })).last_used
 */
export async function inspectTarget(
  streams: readonly TargetStream[],
  options: InspectOptions = {},
): Promise<TargetReport> {
  let reader = await readAll(streams, options, new Set());
  if (reader.missed.size > 0) {
    if (streams.some(({ once }) => once)) throw readOnce();
    reader = await readAll(streams, options, reader.missed);
  }
  const { begin, names } = reader;
  if (!begin || !(names.includes('CONFIGS') || names.includes('last_rcvd'))) throw notLustre(begin);
  return reportOf(reader, begin, options.most ?? MOST_KEPT);
}

/** Most memory for what is kept of a target, bytes. */
const MOST_KEPT = 64 * 1024 * 1024;

async function readAll(
  streams: readonly TargetStream[],
  { most = MOST_KEPT, whole = false }: InspectOptions,
  known: ReadonlySet<number>,
): Promise<TargetReader> {
  const reader = new TargetReader({ most, known });
  for (const stream of streams) {
    for await (const { bytes, packaged } of splitPackage(stream.open())) {
      reader.next();
      if (await isReadToItsEnd(reader, bytes, whole)) reader.end();
      else if (!packaged) break; // of a package, the next stream may follow
    }
  }
  return reader;
}

async function isReadToItsEnd(
  reader: TargetReader,
  bytes: AsyncIterable<Uint8Array>,
  whole: boolean,
): Promise<boolean> {
  for await (const piece of bytes) {
    reader.write(piece);
    if (!whole && reader.complete) return false;
  }
  return true;
}

function reportOf(reader: TargetReader, begin: Begin, most: number): TargetReport {
  const ids = fileIn(reader, 'lov_objid', most);
  const received = fileIn(reader, 'last_rcvd', most);
  // Before its first mount, a target has none, or an empty one.
  const last_received = received?.length ? parseLastReceived(received) : null;
  const configurations = reader.fileOf('CONFIGS');
  return {
    snapshot: { name: begin.toName, guid: begin.toGuid, created: begin.created },
    kind: last_received?.kind ?? (ids ? 'MDT' : 'MGT'),
    configurations: configurations
      ? [...reader.directory(configurations, 'CONFIGS').keys()].toSorted()
      : null,
    last_received,
    last_used: ids && lastUsed(ids, fileIn(reader, 'lov_objseq', most)),
  };
}

/** A file of the root directory, as long as its attributes say; what was never written at its end is left out. */
function fileIn(reader: TargetReader, name: TargetFile, most: number): Uint8Array | null {
  const object = reader.fileOf(name);
  if (!object) return null;
  const [registry = [], layouts = []] = [SA_TYPES.registry, SA_TYPES.layouts].map((type) => {
    const table = reader.objects.ofType(type);
    return table ? readZap(table, reader.little, 'the table of attributes') : [];
  });
  const size = fileSize(object, systemAttributes(registry, layouts), reader.little);
  return contentsOf(object, name, most).subarray(0, size);
}
