/** Policies, pins, and what may go: what agents, operators and the service say of retention. */
import { type Static, Type } from 'typebox';
import { PolicySchema } from '../chain/retention/policy.ts';
import { PinSchema } from '../journal/entry.ts';
import {
  BackupIdSchema,
  BytesSchema,
  DigestSchema,
  GuidSchema,
  LineageIdSchema,
  Nullable,
  OneOf,
  TimeSchema,
} from '../schema.ts';

export const PoliciesAnswerSchema = Type.Object({ policies: Type.Array(PolicySchema) });

/** A pin with its snapshot's labels, where the snapshot is kept. */
export const PinRowSchema = Type.Object({
  ...PinSchema.properties,
  host: Nullable(Type.String()),
  dataset: Nullable(Type.String()),
  name: Nullable(Type.String()),
  /** When it was set, and with which token. */
  at: TimeSchema,
  by: Nullable(Type.String()),
});
export type PinRow = Static<typeof PinRowSchema>;
export const PinsAnswerSchema = Type.Object({ pins: Type.Array(PinRowSchema) });
export const PinRequestSchema = Type.Object({
  guid: GuidSchema,
  reason: Type.String({ minLength: 1, maxLength: 1000 }),
  until: Nullable(TimeSchema),
  legal: Type.Boolean(),
});
export type PinRequest = Static<typeof PinRequestSchema>;
export const UnpinRequestSchema = Type.Object({
  reason: Type.String({ minLength: 1, maxLength: 1000 }),
  /** Must be said to remove a legal hold. */
  legal: Type.Boolean(),
});

const scope = {
  dataset: Type.Optional(Type.String({ maxLength: 255 })),
  host: Type.Optional(Type.String({ maxLength: 255 })),
  lineage: Type.Optional(LineageIdSchema),
};

/** What becomes of a backup: see {@link PruneRowSchema}. */
export const FateSchema = OneOf('kept', 'needed', 'in-use', 'marked', 'mark', 'unmark', 'remove');
export type Fate = Static<typeof FateSchema>;

/** The last moment with a year of four digits, milliseconds since 1970. */
const LATEST = 253_402_300_799_999;

/** What to plan: of one dataset, host or lineage, or of all; with other policies than those that hold (a simulation). */
export const PruneRequestSchema = Type.Object({
  ...scope,
  /** Only rows of these fates; all when it is absent. Totals and digest are of all rows in any case. */
  fates: Type.Optional(Type.Array(FateSchema, { maxItems: 10 })),
  policies: Type.Optional(Type.Array(PolicySchema, { maxItems: 1000 })),
  /** As of this moment, milliseconds since 1970; default now. Only for a plan, never for an act. */
  now: Type.Optional(Type.Integer({ minimum: 0, maximum: LATEST })),
});
export type PruneRequest = Static<typeof PruneRequestSchema>;

/** What to do: what a plan of the same dataset, host or lineage showed, which its digest tells. */
export const PruneActSchema = Type.Object({ ...scope, digest: DigestSchema });
export type PruneAct = Static<typeof PruneActSchema>;

/** Why a snapshot is kept, in a word for scripts. */
export const KeptBecauseSchema = OneOf(
  'newest',
  'last',
  'within',
  'hourly',
  'daily',
  'weekly',
  'monthly',
  'yearly',
  'pinned',
  'legal',
  'no-policy',
  'unrestorable',
);
export type KeptBecause = Static<typeof KeptBecauseSchema>;

/** Most rows in one plan that is answered. */
export const MOST_PRUNE_ROWS = 20_000;

/** What becomes of one backup. */
export const PruneRowSchema = Type.Object({
  backup: BackupIdSchema,
  host: Type.String(),
  dataset: Type.String(),
  name: Type.String(),
  from: Nullable(GuidSchema),
  to: GuidSchema,
  created: Type.Integer(),
  stored: BytesSchema,
  /**
   * `kept`: its snapshot is wanted. `needed`: only because kept ones hang on it. `in-use`: a backup that is being
   * made, a restore or a verification needs it now. `marked`: to be removed when its grace is over. `mark`: will be
   * marked now. `unmark`: was marked, and is needed again. `remove`: its grace is over, it goes now.
   */
  fate: FateSchema,
  /** Why its snapshot is wanted, with the policy that says so; empty unless `kept`, or `unmark` for that reason. */
  because: Type.Array(Type.Object({ reason: KeptBecauseSchema, policy: Nullable(Type.String()) })),
  /** Of `needed`: how many kept snapshots hang on it, and one of them in words. */
  needed_by: Nullable(Type.Object({ count: Type.Integer(), example: Type.String() })),
  /** When its grace is over; `null`: not marked. */
  until: Nullable(TimeSchema),
});
export type PruneRow = Static<typeof PruneRowSchema>;

export const PrunePlanSchema = Type.Object({
  at: TimeSchema,
  /** Digest of what will be done, so that exactly what was shown can be asked for. */
  digest: DigestSchema,
  /** Counts and stored bytes by fate. */
  totals: Type.Record(Type.String(), Type.Object({ backups: Type.Integer(), stored: BytesSchema })),
  /** Dataset by dataset, host by host, the newest snapshot first. */
  rows: Type.Array(PruneRowSchema),
  /** How many more there are: an answer holds {@link MOST_PRUNE_ROWS} of them. */
  left_out: Type.Integer(),
});
export type PrunePlan = Static<typeof PrunePlanSchema>;

export const RemovedAnswerSchema = Type.Object({
  marked: Type.Integer(),
  unmarked: Type.Integer(),
  removed: Type.Integer(),
  /** Stored bytes of what was removed. */
  freed: BytesSchema,
});
export type RemovedAnswer = Static<typeof RemovedAnswerSchema>;
