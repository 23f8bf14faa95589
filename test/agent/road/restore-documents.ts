/** The documents of `zkeep restore --json` as COMMANDS.md promises them. */
import { type TSchema, Type } from 'typebox';
import { ErrorAnswerSchema, RestorePlanSchema } from '../../../catalog/protocol/protocol.ts';
import { BackupIdSchema, BytesSchema, GuidSchema, Nullable, SetIdSchema } from '../../../catalog/schema.ts';

const exact = { additionalProperties: false };
const head = { zkeep: Type.Literal(1), command: Type.String() };
const error = Type.Optional(Type.Object(ErrorAnswerSchema.properties, exact));
const ToldSchema = Nullable(Type.Object({ value: Type.String(), source: Type.String() }, exact));

/** A property that is not as it was. */
export const DifferenceSchema = Type.Object(
  {
    name: Type.String(),
    property: Type.String(),
    stored: ToldSchema,
    found: ToldSchema,
    matters: Type.Boolean(),
    why: Type.String({ minLength: 1 }),
  },
  exact,
);
/** A property that is left out. */
export const SkippedSchema = Type.Object(
  { name: Type.String(), property: Type.String(), reason: Type.String(), matters: Type.Boolean() },
  exact,
);
/** The pool that is made. */
export const PoolSchema = Type.Object(
  { name: Type.String(), command: Type.Array(Type.String()), differences: Type.Array(Type.Unknown()) },
  exact,
);
/** A step of a runbook. */
export const RunbookStepSchema = Type.Object(
  {
    title: Type.String(),
    commands: Type.Array(Type.String()),
    expect: Type.String(),
    warn: Type.Optional(Type.String()),
  },
  exact,
);
const FindingSchema = Type.Object(
  {
    code: Type.String(),
    level: Type.String(),
    message: Type.String(),
    advice: Type.String(),
    facts: Type.Record(Type.String(), Type.Unknown()),
  },
  exact,
);

const planned = { plan: RestorePlanSchema, target: Type.String() };
const runbook = Type.Array(RunbookStepSchema);
/** The interrupted receive that a restore goes on with. */
const resumes = Nullable(
  Type.Object({ backup: BackupIdSchema, object: Type.String(), offset: Type.String() }, exact),
);
const again = Nullable(Type.String());
const previewed = { ...planned, skipped: Type.Array(SkippedSchema), runbook, resumes, again };
const resumed = Nullable(Type.Object({ kept: BytesSchema, sent_again: BytesSchema }, exact));
const restored = {
  ...planned,
  received: Type.Array(
    Type.Object(
      {
        ...{ backup: BackupIdSchema, guid: GuidSchema, bytes: BytesSchema, seconds: Type.Number() },
        ...{ resumed, fetched_again: BytesSchema },
      },
      exact,
    ),
  ),
  guid: GuidSchema,
  proof: Type.Object(
    {
      guid_matches: Type.Literal(true),
      attributes: Type.Boolean(),
      differences: Type.Array(DifferenceSchema),
    },
    exact,
  ),
  runbook,
};
const around = { ...head, pool: Nullable(PoolSchema), findings: Type.Array(FindingSchema) };
const commands = Type.Array(Type.Array(Type.String()));
const each = (fields: Record<string, TSchema>) => Type.Array(Type.Object(fields, exact));

/** Of one dataset and of a set, as a dry run and as done. */
export const RESTORE_DOCUMENTS = [
  Type.Object({ ...around, ...previewed, commands }, exact),
  Type.Object({ ...around, ...restored, error }, exact),
  Type.Object({ ...around, set: SetIdSchema, commands, restores: each(previewed) }, exact),
  Type.Object({ ...around, set: SetIdSchema, restores: each(restored), error }, exact),
];
