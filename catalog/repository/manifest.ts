/**
 * The manifest of a backup, format 1: the object whose writing makes a stream a
 * backup. See FORMAT.md for the page on it.
 */
import { type Static, Type } from 'typebox';
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
import { EntryPointSchema, ReaderStateSchema, StreamSummarySchema } from '../stream/state.ts';

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
  /** `zfs version`, first line; `null` for an import. */
  zfs: Nullable(Type.String({ maxLength: 200 })),
});
export type Source = Static<typeof SourceSchema>;

/** A snapshot as a backup names it. */
export const SnapshotLabelSchema = Type.Object({
  guid: GuidSchema,
  /** The part after `@`; for a base that is only a bookmark, the part after `#`. */
  name: Nullable(Type.String({ maxLength: 255 })),
});

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
  /** The flags given to `zfs send` besides the base, e.g. `["-L","-c"]`; `null` for an import. */
  send_flags: Nullable(Type.Array(Type.String({ maxLength: 40 }), { maxItems: 20 })),
  compression: Type.Object({
    method: Type.Literal('zstd'),
    level: Type.Integer({ minimum: 1, maximum: 19 }),
    /** Raw bytes in a frame, the last one of a segment excepted. */
    frame: BytesSchema,
  }),
  /** `null`: the segments are plain zstd. */
  encryption: Nullable(
    Type.Object({
      method: Type.Literal('age-v1'),
      recipients: Type.Array(Type.String({ maxLength: 200 }), { minItems: 1, maxItems: 100 }),
    }),
  ),
  /** Digest of the attribute manifest; `null` for an import that brought none. */
  attributes: Nullable(DigestSchema),
  segments: Type.Array(SegmentSchema, { minItems: 1 }),
});
export type Manifest = Static<typeof ManifestSchema>;

/** Checks a manifest read from the bucket, and that its segments lie end to end. */
export const parseManifestJson = checker(ManifestSchema, 'the manifest');
