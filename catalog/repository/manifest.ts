/**
 * The manifest of a backup, format 1: the object whose writing makes a stream a
 * backup. See FORMAT.md for the page on it.
 */
import { type Static, Type } from 'typebox';
import { ZkeepError } from '../errors.ts';
import {
  BackupIdSchema,
  BytesSchema,
  checker,
  DigestSchema,
  GuidSchema,
  Nullable,
  SetIdSchema,
  TimeSchema,
} from '../schema.ts';
import { chainFlagsOf } from '../stream/features.ts';
import { EntryPointSchema, ReaderStateSchema, StreamSummarySchema } from '../stream/state.ts';
import type { SourceId } from '../words.ts';

/** One stored piece of the raw stream. */
export const SegmentSchema = Type.Object({
  /** Position of its first raw byte in the stream. */
  offset: BytesSchema,
  /** Raw bytes. */
  size: BytesSchema,
  /** Bytes of the stored object. */
  stored: BytesSchema,
  /** SHA-256 of the stored object. */
  sha256: DigestSchema,
  /** The reader's state at its first byte. */
  state: ReaderStateSchema,
  /** The first record in it from which reading can begin; `null` when none starts here. */
  entry: Nullable(EntryPointSchema),
});
export type Segment = Static<typeof SegmentSchema>;

/** Where a stream came from, as its sender named things then. */
export const SourceSchema = Type.Object({
  /** Host name of the agent. */
  host: Type.String({ maxLength: 255 }),
  /** `pool/dataset` at that time. */
  dataset: Type.String({ maxLength: 255 }),
  pool_guid: Nullable(GuidSchema),
  /** The `guid` of the dataset itself; absent or `null`: an older zkeep did not ask, or it is an import. */
  dataset_guid: Type.Optional(Nullable(GuidSchema)),
  /** `zfs version`, first line; `null` for an import. */
  zfs: Nullable(Type.String({ maxLength: 200 })),
});
export type Source = Static<typeof SourceSchema>;

/**
 * What tells a dataset of a host from all others there, under any name; `null`: the source does not say it.
 * Other hosts may have one of the same GUIDs: a copy of a disk bears those of the pool on it.
 *
 * @example
 * sourceId({ host: 'mds1', dataset, zfs, pool_guid: '00000000000000aa', dataset_guid: '00000000000000bb' })
 * // '00000000000000aa/00000000000000bb/mds1'
 */
export function sourceId({ host, pool_guid: pool, dataset_guid: dataset = null }: Source): SourceId | null {
  return pool === null || dataset === null ? null : (`${pool}/${dataset}/${host}` as SourceId);
}

/** A snapshot as a backup names it. */
export const SnapshotLabelSchema = Type.Object({
  guid: GuidSchema,
  /** The part after `@`; for a base that is only a bookmark, the part after `#`. */
  name: Nullable(Type.String({ maxLength: 255 })),
});

/** How the segments were compressed. */
export const CompressionSchema = Type.Object({
  method: Type.Literal('zstd'),
  level: Type.Integer({ minimum: 1, maximum: 19 }),
  /** Raw bytes in a frame, the last one of a segment excepted. */
  frame: BytesSchema,
});

/** The flags given to `zfs send` besides the base, e.g. `["-L","-c"]`; `null` for an import. */
export const SendFlagsSchema = Nullable(Type.Array(Type.String({ maxLength: 40 }), { maxItems: 20 }));

export const ManifestSchema = Type.Object({
  format: Type.Literal(1),
  backup: BackupIdSchema,
  /** When the backup was opened. */
  created: TimeSchema,
  /** When the manifest was written. */
  committed: TimeSchema,
  set: Nullable(SetIdSchema),
  source: SourceSchema,
  /** The base; `null` for a full stream. */
  from: Nullable(SnapshotLabelSchema),
  to: SnapshotLabelSchema,
  stream: StreamSummarySchema,
  send_flags: SendFlagsSchema,
  compression: CompressionSchema,
  /** `null`: the segments are plain zstd. */
  encryption: Nullable(
    Type.Object({
      method: Type.Literal('age-v1'),
      recipients: Type.Array(Type.String({ maxLength: 4096 }), { minItems: 1, maxItems: 100 }),
    }),
  ),
  /** Digest of the attribute manifest; `null` for an import that brought none. */
  attributes: Nullable(DigestSchema),
  segments: Type.Array(SegmentSchema, { minItems: 1 }),
});
export type Manifest = Static<typeof ManifestSchema>;

const checkManifest = checker(ManifestSchema, 'the manifest');

/**
 * Checks a manifest from outside: its shape, and that its parts fit together.
 *
 * @throws {ZkeepError} `damaged` saying what does not fit; `refused` when its format is newer.
 */
export function parseManifest(value: unknown): Manifest {
  refuseNewer(value);
  const manifest = checkManifest(value);
  const { begin } = manifest.stream;
  if (begin.toGuid !== manifest.to.guid) throw misfit('to', 'is not the snapshot of its BEGIN record');
  if (begin.fromGuid !== (manifest.from?.guid ?? null))
    throw misfit('from', 'is not the base of its BEGIN record');
  const end = endOfSegments(manifest.segments);
  if (end !== manifest.stream.bytes)
    throw misfit('segments', `hold ${end} of ${manifest.stream.bytes} bytes`);
  return manifest;
}

/**
 * A manifest from its parts, checked as one that is read back.
 *
 * @throws {ZkeepError} as {@link parseManifest}.
 */
export function buildManifest(parts: Omit<Manifest, 'format'>): Manifest {
  return parseManifest({ format: 1, ...parts });
}

/** What must not change within the chain of a backup, as its BEGIN record says. */
export function flagsOf(manifest: Manifest): { raw: boolean; large_blocks: boolean } {
  return chainFlagsOf(manifest.stream.begin);
}

/**
 * Where segments that lie end to end, each with the reader's state at its first byte, end.
 *
 * @throws {ZkeepError} `damaged` naming the first that does not follow the one before.
 */
export function endOfSegments(segments: readonly Segment[]): number {
  let end = 0;
  for (const [number, segment] of segments.entries()) {
    if (segment.offset !== end || segment.state.at !== end || segment.size === 0) {
      throw misfit(`segment ${number}`, `begins at ${segment.offset}, not at ${end}, or is empty`);
    }
    end += segment.size;
  }
  return end;
}

function refuseNewer(value: unknown): void {
  const format = typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined;
  if (typeof format !== 'number' || format <= 1) return;
  throw new ZkeepError('refused', 'manifest.newer', `the manifest has format ${format}`, {
    advice: 'this zkeep reads format 1: use a newer one',
    facts: { format },
  });
}

function misfit(part: string, what: string): ZkeepError {
  return new ZkeepError('damaged', 'manifest.misfit', `the manifest does not fit together: ${part} ${what}`, {
    facts: { part },
  });
}
