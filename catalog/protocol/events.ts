/** The journal as it is read, the jobs of the service, and the evidence that agents and operators bring. */
import { type Static, Type } from 'typebox';
import { DamageSchema, DepthSchema, DrillSchema, EntrySchema, ProofSchema } from '../journal/entry.ts';
import {
  BackupIdSchema,
  BytesSchema,
  GuidSchema,
  LineageIdSchema,
  Nullable,
  OneOf,
  TimeSchema,
} from '../schema.ts';
import { page } from './pages.ts';

export const EventsQuerySchema = Type.Object({
  /** Only facts of these kinds, separated by commas; a kind's beginning will do: `backups,policy.set`. */
  kinds: Type.Optional(Type.String({ maxLength: 400, pattern: '^[a-z.]+(,[a-z.]+)*$' })),
  /** Only what is about this dataset, or host. */
  dataset: Type.Optional(Type.String({ maxLength: 255 })),
  host: Type.Optional(Type.String({ maxLength: 255 })),
  since: Type.Optional(TimeSchema),
  ...page,
});
export type EventsQuery = Static<typeof EventsQuerySchema>;
/** The newest first. */
export const EventsAnswerSchema = Type.Object({
  events: Type.Array(EntrySchema),
  next: Nullable(Type.String()),
});
export type EventsAnswer = Static<typeof EventsAnswerSchema>;

export const JobNameSchema = OneOf('verify', 'prune', 'sweep', 'copy', 'watch');
/**
 * The service's jobs: `verify` proves backups, `prune` marks and removes, `sweep` removes what belongs to no backup,
 * `copy` stores the index in the bucket, `watch` sees what is late.
 */
export type JobName = Static<typeof JobNameSchema>;
export const JobStateSchema = Type.Object({
  job: JobNameSchema,
  running: Type.Boolean(),
  /** Another service holds the lease: it runs there. */
  elsewhere: Nullable(Type.String()),
  since: Nullable(TimeSchema),
  /** How far it is, in words. */
  progress: Nullable(Type.String()),
  last: Nullable(
    Type.Object({ at: TimeSchema, outcome: Type.String(), seconds: Type.Number(), words: Type.String() }),
  ),
  /** When it is due next; `null`: only when it is asked for. */
  next: Nullable(TimeSchema),
});
export type JobState = Static<typeof JobStateSchema>;
export const JobsAnswerSchema = Type.Object({ jobs: Type.Array(JobStateSchema) });

/** Which backups were proven when, and what is damaged. */
export const ProofRowSchema = Type.Object({
  backup: BackupIdSchema,
  /** When it was last found whole, by depth; `null`: never. */
  light: Nullable(TimeSchema),
  deep: Nullable(TimeSchema),
});
export type ProofRow = Static<typeof ProofRowSchema>;
export const ProofsQuerySchema = Type.Object({
  depth: DepthSchema,
  /** Only those not proven so since then. */
  before: Type.Optional(TimeSchema),
  dataset: Type.Optional(Type.String({ maxLength: 255 })),
  host: Type.Optional(Type.String({ maxLength: 255 })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
});
export type ProofsQuery = Static<typeof ProofsQuerySchema>;
/** The oldest proof first. */
export const ProofsAnswerSchema = Type.Object({ proofs: Type.Array(ProofRowSchema) });

/** A snapshot as damage touches it. */
const TouchedSchema = Type.Object({
  guid: GuidSchema,
  host: Type.String(),
  dataset: Type.String(),
  name: Type.String(),
  created: Type.Integer(),
});
export const DamageRowSchema = Type.Object({
  ...DamageSchema.properties,
  found: TimeSchema,
  by: Nullable(Type.String()),
  host: Type.String(),
  dataset: Type.String(),
  name: Type.String(),
  stored: BytesSchema,
  /** Snapshots that no whole chain leads to because of it; those of its lineage that one still leads to are counted. */
  lost: Type.Array(TouchedSchema, { maxItems: 1000 }),
  lost_count: Type.Integer(),
  restorable_count: Type.Integer(),
  /** A later backup stands in for it: every snapshot is restorable again. */
  repaired: Type.Boolean(),
});
export type DamageRow = Static<typeof DamageRowSchema>;
/** Of this dataset, or host. */
export const DamageQuerySchema = Type.Object({
  dataset: Type.Optional(Type.String({ maxLength: 255 })),
  host: Type.Optional(Type.String({ maxLength: 255 })),
});
export type DamageQuery = Static<typeof DamageQuerySchema>;
/** At most 1,000. */
export const DamageAnswerSchema = Type.Object({ damage: Type.Array(DamageRowSchema) });
export type DamageAnswer = Static<typeof DamageAnswerSchema>;

/** What a verification elsewhere found: by an operator's machine that has the key. */
export const FindingsRequestSchema = Type.Object({
  proofs: Type.Array(ProofSchema, { maxItems: 1000 }),
  damage: Type.Array(DamageSchema, { maxItems: 1000 }),
});
export type FindingsRequest = Static<typeof FindingsRequestSchema>;
/** How many were taken in; those of backups that are not there any more are not. */
export const FindingsAnswerSchema = Type.Object({ proofs: Type.Integer(), damage: Type.Integer() });
export type FindingsAnswer = Static<typeof FindingsAnswerSchema>;

export const DrillRequestSchema = DrillSchema;
export const DrillRowSchema = Type.Object({
  ...DrillSchema.properties,
  at: TimeSchema,
  by: Nullable(Type.String()),
});
export type DrillRow = Static<typeof DrillRowSchema>;
export const DrillsQuerySchema = Type.Object({
  dataset: Type.Optional(Type.String({ maxLength: 255 })),
  host: Type.Optional(Type.String({ maxLength: 255 })),
  lineage: Type.Optional(LineageIdSchema),
  ...page,
});
export type DrillsQuery = Static<typeof DrillsQuerySchema>;
export const DrillsAnswerSchema = Type.Object({
  drills: Type.Array(DrillRowSchema),
  next: Nullable(Type.String()),
});
export type DrillsAnswer = Static<typeof DrillsAnswerSchema>;
