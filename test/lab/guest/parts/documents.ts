/** The documents of `--json` as agent/COMMANDS.md promises them, checked at every use. */
import { type Static, type TSchema, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import {
  BackupSummarySchema,
  DatasetSchema,
  RestorePlanSchema,
} from '../../../../catalog/protocol/protocol.ts';
import { ManifestSchema } from '../../../../catalog/repository/manifest.ts';
import {
  BackupIdSchema,
  BytesSchema,
  GuidSchema,
  Nullable,
  SetIdSchema,
} from '../../../../catalog/schema.ts';

const ErrorSchema = Type.Object({
  kind: Type.String(),
  code: Type.String({ pattern: '^[a-z0-9-]+\\.[a-z0-9-]+$' }),
  message: Type.String({ minLength: 1 }),
  advice: Nullable(Type.String()),
  facts: Type.Record(Type.String(), Type.Unknown()),
});
export type ErrorWords = Static<typeof ErrorSchema>;

const documentOf = <T extends Record<string, TSchema>>(command: string, fields: T) =>
  Type.Object({ zkeep: Type.Literal(1), command: Type.Literal(command), ...fields });

export const FailureDocument = Type.Object({
  zkeep: Type.Literal(1),
  command: Type.String(),
  error: ErrorSchema,
});

const outcome = {
  dataset: Type.String(),
  backup: Nullable(BackupIdSchema),
  from: Nullable(GuidSchema),
  to: Nullable(GuidSchema),
  snapshot: Nullable(Type.String()),
  bytes: Nullable(BytesSchema),
  stored: Nullable(BytesSchema),
  seconds: Nullable(Type.Number()),
  kind: Nullable(Type.Union([Type.Literal('full'), Type.Literal('incremental')])),
  outcome: Type.Union([Type.Literal('stored'), Type.Literal('already'), Type.Literal('failed')]),
  error: Nullable(ErrorSchema),
};

export const BackupDocument = documentOf('backup', {
  set: Nullable(SetIdSchema),
  backups: Type.Array(
    Type.Object({
      ...outcome,
      reason: Nullable(Type.String()),
      resumed: Nullable(
        Type.Object({
          how: Type.Union([Type.Literal('resumed'), Type.Literal('again'), Type.Literal('committed')]),
          reason: Type.String(),
          kept: BytesSchema,
          sent_again: BytesSchema,
        }),
      ),
    }),
  ),
});
export const ImportDocument = documentOf('import', { backups: Type.Array(Type.Object(outcome)) });
const Told = Nullable(Type.Object({ value: Type.String(), source: Type.String() }));
const restored = {
  plan: RestorePlanSchema,
  target: Type.String(),
  received: Type.Array(
    Type.Object({ backup: BackupIdSchema, guid: GuidSchema, bytes: BytesSchema, seconds: Type.Number() }),
  ),
  guid: GuidSchema,
  proof: Type.Object({
    guid_matches: Type.Boolean(),
    attributes: Type.Boolean(),
    differences: Type.Array(
      Type.Object({
        name: Type.String(),
        property: Type.String(),
        stored: Told,
        found: Told,
        matters: Type.Boolean(),
        why: Type.String({ minLength: 1 }),
      }),
    ),
  }),
};
const around = {
  pool: Nullable(
    Type.Object({
      name: Type.String(),
      command: Type.Array(Type.String()),
      differences: Type.Array(
        Type.Object({ what: Type.String(), why: Type.String(), matters: Type.Boolean() }),
      ),
    }),
  ),
  findings: Type.Array(
    Type.Object({ code: Type.String(), level: Type.String(), message: Type.String(), advice: Type.String() }),
  ),
};
/** Of any command that looks before it does something. */
export const FindingsDocument = Type.Object({ findings: around.findings });
export const RestoreDocument = documentOf('restore', { ...restored, ...around });
export const SetRestoreDocument = documentOf('restore', {
  set: SetIdSchema,
  restores: Type.Array(Type.Object(restored)),
  ...around,
});
const skipped = Type.Array(
  Type.Object({
    name: Type.String(),
    property: Type.String(),
    reason: Type.String(),
    matters: Type.Boolean(),
  }),
);
export const RestorePreview = documentOf('restore', {
  plan: RestorePlanSchema,
  target: Type.String(),
  skipped,
  /** Each an array of words. */
  commands: Type.Array(Type.Array(Type.String())),
  ...around,
});
export const MigrateDocument = documentOf('migrate', {
  final: Type.Boolean(),
  migrated: Type.Array(
    Type.Object({ snapshot: Type.String(), guid: GuidSchema, kind: Type.String(), bytes: BytesSchema }),
  ),
  proof: Type.Object({
    guid_matches: Type.Boolean(),
    written: Nullable(BytesSchema),
    differences: restored.proof.properties.differences,
  }),
  runbook: Type.Array(Type.Object({ title: Type.String(), commands: Type.Array(Type.String()) })),
});
export const MigratePreview = documentOf('migrate', {
  steps: Type.Array(Type.Object({ kind: Type.String(), snapshot: Type.String() })),
  commands: Type.Array(Type.Array(Type.String())),
  skipped: Type.Array(Type.Unknown()),
  findings: around.findings,
});
export const InspectDocument = documentOf('lustre inspect', {
  target: Type.Object({
    kind: Type.String(),
    last_used: Nullable(Type.Array(Type.Object({ index: Type.Integer(), id: Type.String() }))),
  }),
});
export const TargetsDocument = documentOf('lustre targets', {
  targets: Type.Array(
    Type.Object({
      dataset: Type.String(),
      kind: Type.String(),
      name: Type.String(),
      state: Nullable(Type.String()),
      multihost: Nullable(Type.String()),
      problems: Type.Array(Type.String()),
    }),
  ),
  problems: Type.Array(Type.String()),
});
export const ListDocument = documentOf('list', { datasets: Type.Array(DatasetSchema) });
export const SnapshotsDocument = documentOf('list', {
  dataset: Type.String(),
  snapshots: Type.Array(BackupSummarySchema),
});
export const ShowDocument = documentOf('show', {
  backup: BackupSummarySchema,
  manifest: ManifestSchema,
  attributes: Type.Unknown(),
});
export const VerifyDocument = documentOf('verify', {
  backups: Type.Integer(),
  segments: Type.Integer(),
  bytes: BytesSchema,
  problems: Type.Array(
    Type.Object({ backup: Nullable(Type.String()), code: Type.String(), message: Type.String() }),
  ),
});

/**
 * The document in what a command printed.
 *
 * @throws {Error} when it is no JSON, or not of the promised shape.
 */
export function readDocument<T extends TSchema>(schema: T, printed: string): Static<T> {
  const value: unknown = JSON.parse(printed);
  const compiled = Compile(schema);
  if (compiled.Check(value)) return value as Static<T>;
  const errors = compiled.Errors(value).map(({ instancePath, message }) => `${instancePath} ${message}`);
  throw new Error(`not the document of agent/COMMANDS.md: ${errors.join('; ')} in ${printed.slice(0, 2000)}`);
}
