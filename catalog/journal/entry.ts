/**
 * The journal of a repository: what happened to it, and what was said about it,
 * besides the manifests. Objects `journal/<UUIDv7>.json` hold entries; nothing in
 * them is ever changed. JOURNAL.md is the page on them.
 */
import { type Static, type TSchema, Type } from 'typebox';
import { PolicyNameSchema, PolicySchema } from '../chain/retention/policy.ts';
import { BackupIdSchema, BytesSchema, GuidSchema, LineageIdSchema, Nullable, TimeSchema } from '../schema.ts';

const UUID7 = '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$';
export const EntryIdSchema = Type.String({ pattern: UUID7, description: 'UUIDv7: orders entries' });
const WordsSchema = Type.String({ maxLength: 4000 });
const NameSchema = Type.String({ maxLength: 255 });
const SecondsSchema = Type.Number({ minimum: 0 });
const CountSchema = Type.Integer({ minimum: 0 });

export const PinIdSchema = Type.String({ pattern: UUID7, description: 'id of a pin, UUIDv7' });
/** Keeps a snapshot, whatever the policies say. */
export const PinSchema = Type.Object({
  pin: PinIdSchema,
  guid: GuidSchema,
  reason: Type.String({ minLength: 1, maxLength: 1000 }),
  /** When it ends; `null`: when it is removed. */
  until: Nullable(TimeSchema),
  /** A legal hold: it has no end, and only `--legal-hold` removes it. */
  legal: Type.Boolean(),
});
export type Pin = Static<typeof PinSchema>;

/** `light`: every object is there, with its size and checksum. `deep`: every byte was read, decoded and walked. */
export const DepthSchema = Type.Union([Type.Literal('light'), Type.Literal('deep')]);
export type Depth = Static<typeof DepthSchema>;

/** That a backup is whole, as somebody found. */
export const ProofSchema = Type.Object({
  backup: BackupIdSchema,
  depth: DepthSchema,
  /** Stored bytes that were read. */
  bytes: BytesSchema,
  /** Frames that the second decoder decoded as well. */
  frames: CountSchema,
  /** Segments whose checksum the store itself told, and that agreed; of the others a light look compares the size. */
  checksums: Type.Optional(CountSchema),
});
export type Proof = Static<typeof ProofSchema>;

/** What is wrong with a backup, as somebody found. */
export const DamageSchema = Type.Object({
  backup: BackupIdSchema,
  depth: DepthSchema,
  /** The first problems, each with the object that has it; `null`: the backup as a whole. */
  problems: Type.Array(
    Type.Object({ code: NameSchema, key: Nullable(Type.String()), message: WordsSchema }),
    {
      minItems: 1,
      maxItems: 20,
    },
  ),
  /** All problems. */
  count: CountSchema,
});
export type Damage = Static<typeof DamageSchema>;

/** The evidence of a drill: a snapshot was restored onto a scratch place, compared and destroyed again. */
export const DrillSchema = Type.Object({
  host: NameSchema,
  target: NameSchema,
  lineage: LineageIdSchema,
  dataset: NameSchema,
  guid: GuidSchema,
  name: NameSchema,
  /** Creation of the snapshot, seconds since 1970. */
  created: Type.Integer(),
  passed: Type.Boolean(),
  /** What was wrong, in words. */
  problems: Type.Array(WordsSchema, { maxItems: 20 }),
  /** Backups received, and their raw and stored bytes. */
  steps: CountSchema,
  bytes: BytesSchema,
  stored: BytesSchema,
  /** From the plan to the end of receiving: the measured recovery time; then comparing. */
  restore_seconds: SecondsSchema,
  compare_seconds: SecondsSchema,
  /** Objects (files, folders, ...; of a volume its blocks) and properties that were compared. */
  objects: CountSchema,
  properties: CountSchema,
});
export type Drill = Static<typeof DrillSchema>;

/** Why a backup is marked for removal, or why not any more. */
export const MarkSchema = Type.Object({ backup: BackupIdSchema, reason: WordsSchema });
export type Mark = Static<typeof MarkSchema>;

/** A backup that was removed, as it was. */
export const RemovedSchema = Type.Object({
  backup: BackupIdSchema,
  from: Nullable(GuidSchema),
  to: GuidSchema,
  host: NameSchema,
  dataset: NameSchema,
  name: NameSchema,
  stored: BytesSchema,
});

/** Most backups that one entry names. */
export const MOST_IN_ENTRY = 1000;
const many = <T extends TSchema>(one: T) => Type.Array(one, { minItems: 1, maxItems: MOST_IN_ENTRY });
const kind = <K extends string, P extends Record<string, TSchema>>(name: K, properties: P) =>
  Type.Object({ kind: Type.Literal(name), ...properties });

/** What can be said in the journal. */
export const FactSchema = Type.Union([
  kind('policy.set', { policy: PolicySchema }),
  kind('policy.removed', { name: PolicyNameSchema }),
  kind('pin.set', { pin: PinSchema }),
  kind('pin.removed', { pin: PinIdSchema, reason: WordsSchema }),
  kind('backups.marked', { backups: many(MarkSchema) }),
  kind('backups.unmarked', { backups: many(MarkSchema) }),
  kind('backups.removed', { backups: many(RemovedSchema) }),
  kind('backup.abandoned', { backup: BackupIdSchema, host: NameSchema, dataset: NameSchema }),
  kind('proven', { proofs: many(ProofSchema) }),
  kind('damaged', { damage: DamageSchema }),
  kind('drilled', { drill: DrillSchema }),
  /** A job of the service came to its end. */
  kind('job.ended', {
    job: NameSchema,
    outcome: Type.Union([Type.Literal('done'), Type.Literal('failed'), Type.Literal('interrupted')]),
    seconds: SecondsSchema,
    words: WordsSchema,
  }),
  /** A run of an agent's job failed, or is well again after it had failed. */
  kind('run.failed', {
    host: NameSchema,
    job: NameSchema,
    datasets: Type.Array(NameSchema, { maxItems: 100 }),
    words: WordsSchema,
  }),
  kind('run.recovered', { host: NameSchema, job: NameSchema }),
  /** A dataset's newest restorable snapshot is older than its objective, or not any more. */
  kind('late', {
    host: NameSchema,
    dataset: NameSchema,
    newest: Nullable(Type.Integer()),
    objective: SecondsSchema,
  }),
  kind('late.over', { host: NameSchema, dataset: NameSchema }),
  /** An agent is silent for a quarter of an hour, or is heard of again; `seen`: when it was heard of last. */
  kind('agent.away', { agent: NameSchema, host: NameSchema, seen: TimeSchema }),
  kind('agent.away.over', { agent: NameSchema, host: NameSchema, seen: TimeSchema }),
  kind('token.added', { name: NameSchema, scope: NameSchema }),
  kind('token.removed', { name: NameSchema }),
  kind('enrolled', { name: NameSchema, host: NameSchema }),
]);
export type Fact = Static<typeof FactSchema>;
export type FactKind = Fact['kind'];
/** All kinds of facts. */
export const FACT_KINDS: readonly FactKind[] = FactSchema.anyOf.map(
  ({ properties }) => properties.kind.const,
);

/** What a fact is about: a dataset of a host, or (`null`) the host. */
export const PlaceSchema = Type.Object({ host: NameSchema, dataset: Nullable(NameSchema) });
export type Place = Static<typeof PlaceSchema>;

/** A fact with who said it and when. Of two about the same thing, that with the greater id holds. */
export const EntrySchema = Type.Object({
  id: EntryIdSchema,
  at: TimeSchema,
  /** The name of the token that asked for it; `null`: the service did it by itself. */
  by: Nullable(NameSchema),
  fact: FactSchema,
  /** What it was about when it was written, so that it is found by that for ever; absent: nothing of that kind. */
  about: Type.Optional(Type.Array(PlaceSchema, { maxItems: MOST_IN_ENTRY })),
});
export type Entry = Static<typeof EntrySchema>;

/** The format of its objects. */
export const JOURNAL_FORMAT = 1;
/** One object of the journal. */
export const JournalObjectSchema = Type.Object({
  format: Type.Literal(JOURNAL_FORMAT),
  /** The service that wrote it. */
  service: Type.String({ maxLength: 64 }),
  entries: Type.Array(EntrySchema, { minItems: 1, maxItems: 10_000 }),
});
export type JournalObject = Static<typeof JournalObjectSchema>;
