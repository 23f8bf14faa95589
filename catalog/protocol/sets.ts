/**
 * Sets that several hosts take together: the snapshots of a Lustre file system
 * under one barrier. PROTOCOL.md says how one comes about.
 */
import { type Static, Type } from 'typebox';
import { Nullable, SetIdSchema, TimeSchema } from '../schema.ts';
import { WriterSchema } from './protocol.ts';

/** A set whose opener was silent for so long (milliseconds) while it gathers has failed. */
export const GATHERING_LEASE = 10_000;
/** Most services in one set. */
export const MAX_TARGETS = 1000;

const FsnameSchema = Type.String({ pattern: '^[A-Za-z0-9_-]{1,8}$' });
/** A service by its registered name: `MGS`, `lustrefs-MDT0001`. */
const ServiceSchema = Type.String({ pattern: '^(MGS|[A-Za-z0-9_-]{1,8}-MDT[0-9a-f]{4})$' });
const ServicesSchema = Type.Array(ServiceSchema, { minItems: 1, maxItems: MAX_TARGETS });
const ReasonSchema = Type.String({ maxLength: 1000 });

/**
 * `gathering`: waits until every expected service has a participant. `frozen`:
 * all take their snapshots now. `complete` and `failed` are for good.
 */
export const SetPhaseSchema = Type.Union([
  Type.Literal('gathering'),
  Type.Literal('frozen'),
  Type.Literal('complete'),
  Type.Literal('failed'),
]);
export type SetPhase = Static<typeof SetPhaseSchema>;

/** What the agent on the host of the MGS opens a set with. */
export const OpenSetRequestSchema = Type.Object({
  fsname: FsnameSchema,
  writer: WriterSchema,
  /** All services of the set. */
  expected: ServicesSchema,
  /** Those of the opener's own. */
  targets: Type.Array(ServiceSchema, { maxItems: MAX_TARGETS }),
  /** Names the snapshots on all hosts: milliseconds since 1970. */
  moment: Type.Integer({ minimum: 0, maximum: 8_640_000_000_000 }),
  /** Longest life of the barrier, seconds; `null`: there is none. */
  barrier: Nullable(Type.Integer({ minimum: 1, maximum: 3600 })),
});
export type OpenSetRequest = Static<typeof OpenSetRequestSchema>;

export const ParticipantSchema = Type.Object({
  writer: WriterSchema,
  targets: Type.Array(ServiceSchema, { maxItems: MAX_TARGETS }),
  /** Its snapshots are there. */
  taken: Type.Boolean(),
});
export type Participant = Static<typeof ParticipantSchema>;

export const SnapshotSetSchema = Type.Object({
  set: SetIdSchema,
  fsname: FsnameSchema,
  phase: SetPhaseSchema,
  opened: TimeSchema,
  moment: Type.Integer(),
  barrier: Nullable(Type.Integer()),
  expected: Type.Array(ServiceSchema),
  /** Expected, and nobody has joined for it. */
  lacking: Type.Array(ServiceSchema),
  /** The opener is the first. */
  participants: Type.Array(ParticipantSchema),
  /** Why it failed. */
  reason: Nullable(Type.String()),
});
export type SnapshotSet = Static<typeof SnapshotSetSchema>;
export const SetsAnswerSchema = Type.Object({ sets: Type.Array(SnapshotSetSchema) });
export const SetsQuerySchema = Type.Object({ fsname: Type.Optional(FsnameSchema) });

/** What happens to a set. */
export const SetEventSchema = Type.Union([
  /** A host takes part, with these services. */
  Type.Object({ event: Type.Literal('join'), writer: WriterSchema, targets: ServicesSchema }),
  /** The opener lives, and waits for others. */
  Type.Object({ event: Type.Literal('waiting') }),
  /** The barrier stands: take the snapshots. Of the opener only. */
  Type.Object({ event: Type.Literal('frozen') }),
  /** A participant's snapshots are there. */
  Type.Object({ event: Type.Literal('taken'), writer: WriterSchema }),
  /** The barrier stood to the end: the snapshots count. Of the opener only. */
  Type.Object({ event: Type.Literal('complete') }),
  /** They do not. */
  Type.Object({ event: Type.Literal('failed'), reason: ReasonSchema }),
]);
export type SetEvent = Static<typeof SetEventSchema>;
