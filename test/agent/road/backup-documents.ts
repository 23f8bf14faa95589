/** The documents of `zkeep backup --json` as COMMANDS.md promises them. */
import { type Static, type TSchema, Type } from 'typebox';
import { ErrorAnswerSchema } from '../../../catalog/protocol/protocol.ts';
import { BackupIdSchema, BytesSchema, GuidSchema, Nullable, SetIdSchema } from '../../../catalog/schema.ts';

const exact = { additionalProperties: false };
const head = { zkeep: Type.Literal(1), command: Type.Literal('backup') };
const ErrorSchema = Type.Object(ErrorAnswerSchema.properties, exact);
const CommandsSchema = Type.Array(Type.Array(Type.String()));
const literals = (...words: string[]) => Type.Union(words.map((word) => Type.Literal(word)));

/** One dataset's backup. */
export const BackupRowSchema = Type.Object(
  {
    dataset: Type.String(),
    outcome: literals('stored', 'already', 'failed'),
    kind: Nullable(literals('full', 'incremental')),
    reason: Type.String({ minLength: 1 }),
    set: Nullable(SetIdSchema),
    backup: Nullable(BackupIdSchema),
    from: Nullable(GuidSchema),
    to: Nullable(GuidSchema),
    snapshot: Nullable(Type.String()),
    bytes: BytesSchema,
    stored: BytesSchema,
    seconds: Type.Number({ minimum: 0 }),
    resumed: Nullable(
      Type.Object(
        {
          how: literals('resumed', 'again', 'committed'),
          reason: Type.String({ minLength: 1 }),
          kept: BytesSchema,
          sent_again: BytesSchema,
        },
        exact,
      ),
    ),
    error: Nullable(ErrorSchema),
  },
  exact,
);

const GivenUpSchema = Type.Object(
  {
    backup: BackupIdSchema,
    dataset: Type.String(),
    snapshot: Nullable(Type.String()),
    reason: Type.String({ minLength: 1 }),
  },
  exact,
);

const AbandonedSchema = Type.Object(
  {
    backup: BackupIdSchema,
    dataset: Nullable(Type.String()),
    snapshot: Nullable(Type.String()),
    bytes: BytesSchema,
    commands: CommandsSchema,
  },
  exact,
);

const ResultsSchema = Type.Object(
  {
    ...head,
    set: Nullable(SetIdSchema),
    backups: Type.Array(BackupRowSchema),
    left_out: Type.Array(Type.String()),
    given_up: Type.Array(GivenUpSchema),
    error: Type.Optional(ErrorSchema),
  },
  exact,
);

const PlanSchema = Type.Object(
  {
    ...head,
    interrupted: Type.Array(
      Type.Object(
        {
          backup: BackupIdSchema,
          dataset: Type.String(),
          snapshot: Nullable(Type.String()),
          decision: literals('resume', 'again', 'give-up'),
          reason: Type.String({ minLength: 1 }),
          bytes: BytesSchema,
          commands: CommandsSchema,
        },
        exact,
      ),
    ),
    owed: Type.Array(
      Type.Object({ dataset: Type.String(), snapshot: Type.String(), set: Nullable(SetIdSchema) }, exact),
    ),
    temporary: Type.Array(
      Type.Object(
        { dataset: Type.String(), snapshots: Type.Array(Type.String()), commands: CommandsSchema },
        exact,
      ),
    ),
    plan: Type.Array(
      Type.Object(
        {
          dataset: Type.String(),
          kind: literals('full', 'incremental', 'already'),
          reason: Type.String({ minLength: 1 }),
          from: Nullable(GuidSchema),
          snapshot: Type.String(),
          commands: CommandsSchema,
          stays: Type.Array(Type.Object({ snapshot: Type.String(), reason: Type.String() }, exact)),
        },
        exact,
      ),
    ),
    commands: CommandsSchema,
    left_out: Type.Array(Type.String()),
  },
  exact,
);

export const BACKUP_DOCUMENTS: readonly TSchema[] = [
  ResultsSchema,
  PlanSchema,
  Type.Object({ ...head, abandoned: Type.Array(AbandonedSchema) }, exact),
  Type.Object({ ...head, abandon: Type.Array(AbandonedSchema) }, exact),
];

/** Any of them: the tests look into the part that they are about. */
export type BackupDocument = Static<typeof ResultsSchema> &
  Pick<Static<typeof PlanSchema>, 'interrupted' | 'owed' | 'temporary' | 'plan' | 'commands'> & {
    readonly abandoned: readonly Static<typeof AbandonedSchema>[];
    readonly abandon: readonly Static<typeof AbandonedSchema>[];
    readonly error: Static<typeof ErrorSchema>;
  };
