/** Agents that run: how they get their tokens, what they report, and the state of all datasets. */
import { type Static, Type } from 'typebox';
import { BytesSchema, GuidSchema, LineageIdSchema, Nullable, OneOf, TimeSchema } from '../schema.ts';
import { ScopeSchema } from './protocol.ts';

const NameSchema = Type.String({ maxLength: 255 });

/** A one-time code: four groups of four letters and digits, without those that look alike; 80 bits. */
export const EnrolmentCodeSchema = Type.String({
  pattern: '^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$',
});
export const EnrolRequestSchema = Type.Object({ code: EnrolmentCodeSchema, host: NameSchema });
export type EnrolRequest = Static<typeof EnrolRequestSchema>;
export const EnrolAnswerSchema = Type.Object({ token: Type.String(), name: NameSchema, scope: ScopeSchema });
export type EnrolAnswer = Static<typeof EnrolAnswerSchema>;

/** How the last run of an agent's job went. */
export const RunSchema = Type.Object({
  started: TimeSchema,
  ended: TimeSchema,
  outcome: OneOf('done', 'partly', 'failed', 'interrupted'),
  words: Type.String({ maxLength: 2000 }),
  /** Stored bytes. */
  stored: BytesSchema,
  /** The datasets that could not be stored, the first hundred; absent: nothing could be begun, or all are stored. */
  failed: Type.Optional(Type.Array(NameSchema, { maxItems: 100 })),
});
export type Run = Static<typeof RunSchema>;

/** A job of an agent, as it reports it. */
export const AgentJobSchema = Type.Object({
  name: Type.String({ maxLength: 64 }),
  /** The datasets that it covers now; the first ten thousand. */
  datasets: Type.Array(NameSchema, { maxItems: 10_000 }),
  schedule: Type.String({ maxLength: 200 }),
  next: Nullable(TimeSchema),
  running: Type.Boolean(),
  last: Nullable(RunSchema),
  /** Its last run that came to an end, whole or not, failed in whole or in part. */
  failing: Type.Boolean(),
});
export type AgentJob = Static<typeof AgentJobSchema>;

/** What an agent that runs says of itself: at its start, after each run and every few minutes. */
export const CheckInSchema = Type.Object({
  host: NameSchema,
  version: Type.String({ maxLength: 64 }),
  /** Its clock, milliseconds since 1970: the service says when it is wrong. */
  clock: Type.Integer({ minimum: 0 }),
  jobs: Type.Array(AgentJobSchema, { maxItems: 1000 }),
});
export type CheckIn = Static<typeof CheckInSchema>;
export const CheckInAnswerSchema = Type.Object({
  /** The service's clock, milliseconds since 1970. */
  clock: Type.Integer(),
});
export type CheckInAnswer = Static<typeof CheckInAnswerSchema>;
/** So far may clocks differ, milliseconds. */
export const CLOCK_TOLERANCE = 60_000;
/** An agent that was silent for so long (milliseconds) is said to be away. */
export const AGENT_AWAY = 15 * 60_000;

export const AgentRowSchema = Type.Object({
  /** The name of its token. */
  agent: NameSchema,
  ...CheckInSchema.properties,
  seen: TimeSchema,
  away: Type.Boolean(),
  /** Milliseconds by which its clock was ahead of the service's when it was seen; less than 0: behind. */
  ahead: Type.Integer(),
});
export type AgentRow = Static<typeof AgentRowSchema>;
export const AgentsAnswerSchema = Type.Object({ agents: Type.Array(AgentRowSchema) });

/** `late`: the newest restorable point is older than the objective. `broken`: damage, or nothing can be restored. */
export const StateSchema = OneOf('well', 'late', 'broken');

/** One dataset at a glance. Moments of snapshots are seconds since 1970. */
export const DatasetStatusSchema = Type.Object({
  host: NameSchema,
  dataset: NameSchema,
  /** That of its newest snapshot; `null`: nothing is kept of it. */
  lineage: Nullable(LineageIdSchema),
  state: StateSchema,
  /** Why it is not well, in words. */
  reasons: Type.Array(Type.String()),
  /** The newest restorable snapshot; `null`: there is none. */
  newest: Nullable(Type.Object({ guid: GuidSchema, name: NameSchema, created: Type.Integer() })),
  /** Seconds, and the objective's. */
  age: Nullable(Type.Number()),
  objective: Nullable(Type.Number()),
  snapshots: Type.Integer(),
  stored: BytesSchema,
  /** The chain of the newest: its backups and their stored bytes. */
  chain: Nullable(Type.Object({ steps: Type.Integer(), stored: BytesSchema })),
  /** The oldest light and deep look at its backups, whatever was found; `null`: not all were looked at. */
  proven: Type.Object({ light: Nullable(TimeSchema), deep: Nullable(TimeSchema) }),
  /** Its damaged backups, and its snapshots that nothing leads to. */
  damaged: Type.Integer(),
  lost: Type.Integer(),
  drill: Nullable(
    Type.Object({ at: TimeSchema, passed: Type.Boolean(), seconds: Type.Number(), bytes: BytesSchema }),
  ),
  /** Seconds that a restore of the newest is expected to take, by the rates that drills measured; `null`: none was. */
  recovery: Nullable(Type.Number()),
  /** The agent and job that cover it, and their next run. */
  covered: Nullable(
    Type.Object({
      agent: NameSchema,
      job: NameSchema,
      next: Nullable(TimeSchema),
      last: Nullable(RunSchema),
    }),
  ),
});
export type DatasetStatus = Static<typeof DatasetStatusSchema>;
export const StatusQuerySchema = Type.Object({
  dataset: Type.Optional(NameSchema),
  host: Type.Optional(NameSchema),
});
export type StatusQuery = Static<typeof StatusQuerySchema>;
export const StatusAnswerSchema = Type.Object({
  at: TimeSchema,
  /**
   * The worst of the datasets; and `late`, though all of them are well, when an agent is away or a job of it fails,
   * and, unless a dataset or host was asked for, when a job of the service failed.
   */
  state: StateSchema,
  /** What is wrong with agents, jobs and receivers of notices, in words. */
  problems: Type.Array(Type.String()),
  datasets: Type.Array(DatasetStatusSchema),
});
export type StatusAnswer = Static<typeof StatusAnswerSchema>;
