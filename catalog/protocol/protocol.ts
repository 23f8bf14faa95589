/**
 * What agents and the service say to each other: one schema for each request
 * and answer, from which validation, types and the OpenAPI page are made.
 * PROTOCOL.md says what each call promises.
 */
import { type Static, Type } from 'typebox';
import { BackupEdgeSchema, ChainFlagsSchema, SnapshotNodeSchema } from '../chain/graph.ts';
import {
  CompressionSchema,
  SegmentSchema,
  SendFlagsSchema,
  SnapshotLabelSchema,
  SourceSchema,
} from '../repository/manifest.ts';
import {
  BackupIdSchema,
  BytesSchema,
  DigestSchema,
  GuidSchema,
  LineageIdSchema,
  Nullable,
  SetIdSchema,
  TimeSchema,
} from '../schema.ts';
import { BeginSchema, ReaderStateSchema, ResumePointSchema, StreamSummarySchema } from '../stream/state.ts';

/** Where the service listens when nothing else is said. */
export const DEFAULT_PORT = 8470;
/** An open backup whose agent was silent for so long (milliseconds) may be taken over. */
export const LEASE_MILLISECONDS = 90_000;
/** Most grants in one request. */
export const MAX_GRANTS = 64;
/** The header in which a writer names its session: what {@link OpenBackupSchema} or {@link ResumeOfferSchema} gave it. */
export const SESSION_HEADER = 'zkeep-session';
/** Most GUIDs in one request. */
export const MAX_GUIDS = 20_000;

export const ScopeSchema = Type.Union([
  /** Lists and shows. */
  Type.Literal('reader'),
  /** Reader; stores backups and reads segments back. */
  Type.Literal('agent'),
  /** Agent; ends other agents' open backups. */
  Type.Literal('operator'),
]);
export type Scope = Static<typeof ScopeSchema>;

export const HealthSchema = Type.Object({
  status: Type.Union([Type.Literal('ok'), Type.Literal('failing')]),
  version: Type.String(),
  repository: Type.String(),
  /** What fails, in words. */
  problems: Type.Array(Type.String()),
});
export type Health = Static<typeof HealthSchema>;

/** What an agent must know before it packs a stream. */
export const RepositoryInfoSchema = Type.Object({
  id: Type.String(),
  format: Type.Literal(1),
  location: Type.String(),
  /** age recipients that every segment is encrypted to; empty: no encryption. */
  recipients: Type.Array(Type.String()),
});
export type RepositoryInfo = Static<typeof RepositoryInfoSchema>;

export const KnownRequestSchema = Type.Object({
  guids: Type.Array(GuidSchema, { maxItems: MAX_GUIDS }),
  /** Of which dataset of which host they are: its policies decide when its chain must end. */
  of: Type.Optional(
    Type.Object({ host: Type.String({ maxLength: 255 }), dataset: Type.String({ maxLength: 255 }) }),
  ),
});
export const KnownSnapshotSchema = Type.Object({
  guid: GuidSchema,
  /** A chain of backups leads from nothing to it. */
  restorable: Type.Boolean(),
  /** Flags of the cheapest such chain; `null` when there is none. */
  flags: Nullable(ChainFlagsSchema),
  /** Why no backup should hang on it any more, in words: its chain is too long or too dear; `null`: one may. */
  renew: Type.Optional(Nullable(Type.String())),
});
export type KnownSnapshot = Static<typeof KnownSnapshotSchema>;
export const KnownAnswerSchema = Type.Object({ known: Type.Array(KnownSnapshotSchema) });

/** The process that writes a backup: lets the same host see that its own former run is dead. */
export const WriterSchema = Type.Object({
  host: Type.String({ maxLength: 255 }),
  process: Type.Integer({ minimum: 1 }),
});
export type Writer = Static<typeof WriterSchema>;

export const OpenRequestSchema = Type.Object({
  source: SourceSchema,
  writer: WriterSchema,
  set: Nullable(SetIdSchema),
  from: Nullable(SnapshotLabelSchema),
  to: SnapshotLabelSchema,
  begin: BeginSchema,
  send_flags: SendFlagsSchema,
  compression: CompressionSchema,
  /** The open backup that this one replaces because its writer is known to be dead. */
  takeover: Nullable(BackupIdSchema),
});
export type OpenRequest = Static<typeof OpenRequestSchema>;

/** An open backup as everybody may see it. */
export const OpenBackupRowSchema = Type.Object({
  backup: BackupIdSchema,
  opened: TimeSchema,
  /** When its writer was last heard of. */
  heard: TimeSchema,
  source: SourceSchema,
  /** Who writes it, or wrote it last. */
  writer: WriterSchema,
  /** The base; `null`: a full stream. */
  from: Nullable(GuidSchema),
  to: GuidSchema,
  set: Nullable(SetIdSchema),
  /** Segments for which grants were given. */
  segments: Type.Integer({ minimum: 0 }),
  /** Raw bytes in these. */
  bytes: BytesSchema,
});
export type OpenBackupRow = Static<typeof OpenBackupRowSchema>;

/** The right to write an open backup: only its holder knows it, and the next one to be given ends it. */
export const SessionSchema = Type.String({
  pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$',
  description: 'UUID',
});

/** An open backup as the one who opened it sees it. */
export const OpenBackupSchema = Type.Object({
  ...OpenBackupRowSchema.properties,
  /** New whenever it is given to a writer: who held the one before cannot write any more. */
  session: SessionSchema,
});
export type OpenBackup = Static<typeof OpenBackupSchema>;

/** What every call of a writer about its backup names. */
export type Writing = Pick<OpenBackup, 'backup' | 'session'>;

/** A segment for which a grant is asked, numbered from 0. */
export const PartSchema = Type.Object({
  number: Type.Integer({ minimum: 0 }),
  segment: SegmentSchema,
  /** The reader's state behind its last byte. */
  after: ReaderStateSchema,
  /** The last point in the stream up to there; it may lie in an earlier part. */
  point: Nullable(ResumePointSchema),
});
export type Part = Static<typeof PartSchema>;

export const GrantSchema = Type.Object({
  method: Type.Union([Type.Literal('PUT'), Type.Literal('GET')]),
  url: Type.String(),
  headers: Type.Record(Type.String(), Type.String()),
  /** Milliseconds since 1970. */
  expires: Type.Integer(),
});
export const WriteGrantsRequestSchema = Type.Object({
  parts: Type.Array(PartSchema, { minItems: 1, maxItems: MAX_GRANTS }),
});
export const ReadGrantsRequestSchema = Type.Object({
  segments: Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1, maxItems: MAX_GRANTS }),
});
export const ReadGrantsAnswerSchema = Type.Object({ grants: Type.Array(GrantSchema) });

/** Instead of a grant: the segment is in the store, with the same raw bytes. */
export const StoredPartSchema = Type.Object({ stored: Type.Literal(true) });
export type StoredPart = Static<typeof StoredPartSchema>;
export const WriteGrantsAnswerSchema = Type.Object({
  grants: Type.Array(Type.Union([GrantSchema, StoredPartSchema])),
});

export const ResumeRequestSchema = Type.Object({
  /** Who goes on with it. */
  writer: WriterSchema,
  /** The writer of the same host that was seen dead, so that its lease need not be waited for. */
  takeover: Nullable(WriterSchema),
});
export type ResumeRequest = Static<typeof ResumeRequestSchema>;

/** An open backup that another writer left, from where it goes on. */
export const ResumeOfferSchema = Type.Object({
  backup: BackupIdSchema,
  session: SessionSchema,
  opened: TimeSchema,
  /** As it was opened. */
  request: OpenRequestSchema,
  /** Segments that are durable, from the first one on without a gap. */
  segments: Type.Integer({ minimum: 0 }),
  /** Raw bytes in these: where the next one begins. */
  bytes: BytesSchema,
  /** Bytes of them in the store. */
  stored: BytesSchema,
  /** The reader's state behind the last of them; `null`: there is none. */
  after: Nullable(ReaderStateSchema),
  /** The last point in them from which `zfs send -t` goes on; `null`: there is none. */
  point: Nullable(ResumePointSchema),
  /** Digest of the attribute manifest that was stored for it. */
  attributes: Nullable(DigestSchema),
});
export type ResumeOffer = Static<typeof ResumeOfferSchema>;

export const CommitRequestSchema = Type.Object({
  stream: StreamSummarySchema,
  attributes: Nullable(DigestSchema),
  /** Number of segments, so that a lost part cannot pass unseen. */
  segments: Type.Integer({ minimum: 1 }),
});
export type CommitRequest = Static<typeof CommitRequestSchema>;

/**
 * In how many settings a backup differs from the one before it of the same dataset, by
 * the creation of their snapshots; `null`: its settings or those before it are not known.
 */
export const DriftSchema = Nullable(Type.Integer({ minimum: 0 }));

/** A committed backup without its list of segments. */
export const BackupSummarySchema = Type.Object({
  ...BackupEdgeSchema.properties,
  lineage: LineageIdSchema,
  set: Nullable(SetIdSchema),
  host: Type.String(),
  dataset: Type.String(),
  /** Name of the snapshot, the part after `@`. */
  name: Type.String(),
  /** Creation of the snapshot, seconds since 1970. */
  created: Type.Integer(),
  attributes: Nullable(DigestSchema),
  segments: Type.Integer({ minimum: 1 }),
  encrypted: Type.Boolean(),
  drift: DriftSchema,
});
export type BackupSummary = Static<typeof BackupSummarySchema>;

/** A dataset by its name and host, with what is kept of it. */
export const DatasetSchema = Type.Object({
  host: Type.String(),
  dataset: Type.String(),
  /** Lineages that its snapshots belong to, the newest first. */
  lineages: Type.Array(LineageIdSchema),
  snapshots: Type.Integer(),
  stored: BytesSchema,
  /** Creation of the oldest and newest snapshot, seconds since 1970. */
  oldest: Type.Integer(),
  newest: Type.Integer(),
});
export type Dataset = Static<typeof DatasetSchema>;

export const LineageSchema = Type.Object({
  lineage: LineageIdSchema,
  datasets: Type.Array(Type.Object({ host: Type.String(), dataset: Type.String() })),
  snapshots: Type.Integer(),
  backups: Type.Integer(),
  stored: BytesSchema,
  oldest: Type.Integer(),
  newest: Type.Integer(),
});
export type Lineage = Static<typeof LineageSchema>;

/** Which snapshot is wanted. Without `at`, `name` and `guids`: the newest. */
export const WantedSchema = Type.Object({
  dataset: Type.Optional(Type.String({ maxLength: 255 })),
  /** Needed only when several hosts have a dataset of this name. */
  host: Type.Optional(Type.String({ maxLength: 255 })),
  /** The newest snapshot created at or before this moment, seconds since 1970. */
  at: Type.Optional(Type.Integer()),
  /** Snapshot name, the part after `@`. */
  name: Type.Optional(Type.String({ maxLength: 255 })),
  /** Any of these (a decimal and a hex reading of one text). */
  guids: Type.Optional(Type.Array(GuidSchema, { minItems: 1, maxItems: 2 })),
});
export type Wanted = Static<typeof WantedSchema>;

export const PlanRequestSchema = Type.Object({
  wanted: WantedSchema,
  /** Snapshots that the target has, the newest first; empty for a fresh target. */
  have: Type.Array(GuidSchema, { maxItems: MAX_GUIDS }),
  /** The target may be rolled back to one of `have` that is not its newest. */
  rollback: Type.Boolean(),
});
export type PlanRequest = Static<typeof PlanRequestSchema>;

/** What must be received, in order, to stand at the wanted snapshot. */
export const RestorePlanSchema = Type.Object({
  wanted: SnapshotNodeSchema,
  /** The snapshot that the target must stand at before; `null`: nothing there yet. */
  base: Nullable(GuidSchema),
  /** The target has snapshots newer than `base` that must go first (only when `rollback` was allowed). */
  rollback: Type.Boolean(),
  /** Empty when the target stands there already. */
  steps: Type.Array(BackupSummarySchema),
  /** Sums over the steps. */
  bytes: BytesSchema,
  stored: BytesSchema,
});
export type RestorePlan = Static<typeof RestorePlanSchema>;

export const ErrorAnswerSchema = Type.Object({
  kind: Type.String(),
  code: Type.String(),
  message: Type.String(),
  advice: Nullable(Type.String()),
  facts: Type.Record(Type.String(), Type.Unknown()),
});
