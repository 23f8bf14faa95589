/** The documents of `--json` as COMMANDS.md promises them: the tests' own reading of it. */
import assert from 'node:assert/strict';
import { type Static, type TSchema, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import {
  type Attributes,
  AttributesSchema,
  ParsedAttributesSchema,
} from '../../../catalog/attributes/attributes.ts';
import { DamageRowSchema } from '../../../catalog/protocol/events.ts';
import { ChangeSchema, HistoryPointSchema, SettingSchema } from '../../../catalog/protocol/history.ts';
import {
  BackupSummarySchema,
  DatasetSchema,
  ErrorAnswerSchema,
  RestorePlanSchema,
} from '../../../catalog/protocol/protocol.ts';
import { ManifestSchema } from '../../../catalog/repository/manifest.ts';
import { BackupIdSchema, BytesSchema, GuidSchema, Nullable } from '../../../catalog/schema.ts';

import { BACKUP_DOCUMENTS } from './backup-documents.ts';
import {
  DifferenceSchema,
  type PoolSchema,
  RESTORE_DOCUMENTS,
  RunbookStepSchema,
  type SkippedSchema,
} from './restore-documents.ts';

const exact = { additionalProperties: false };
const head = { zkeep: Type.Literal(1), command: Type.String() };
const ErrorSchema = Type.Object(ErrorAnswerSchema.properties, exact);

const StoredSchema = Type.Object(
  {
    dataset: Type.String(),
    outcome: Type.Union(['stored', 'already', 'failed'].map((outcome) => Type.Literal(outcome))),
    kind: Nullable(Type.Union([Type.Literal('full'), Type.Literal('incremental')])),
    backup: Nullable(BackupIdSchema),
    from: Nullable(GuidSchema),
    to: Nullable(GuidSchema),
    snapshot: Nullable(Type.String()),
    bytes: BytesSchema,
    stored: BytesSchema,
    seconds: Type.Number({ minimum: 0 }),
    error: Nullable(ErrorSchema),
  },
  exact,
);
const ProblemSchema = Type.Object(
  {
    backup: Nullable(BackupIdSchema),
    key: Nullable(Type.String()),
    code: Type.String(),
    message: Type.String(),
    damage: Type.Boolean(),
  },
  exact,
);

const DamageSchema = Type.Object(DamageRowSchema.properties, exact);
const damaged = { damage: Type.Array(DamageSchema) };

/** One of two that are compared; without a backup, the dataset as it is. */
const EndSchema = Type.Object({ dataset: Type.String(), backup: Nullable(BackupSummarySchema) }, exact);

const MigrationKind = Type.Union(['full', 'incremental', 'rest'].map((kind) => Type.Literal(kind)));
const migration = {
  ...head,
  source: Type.String(),
  target: Type.String(),
  final: Type.Boolean(),
  behind: Type.Integer({ minimum: 0 }),
};
const ProofSchema = Type.Object(
  {
    guid_matches: Type.Literal(true),
    written: Nullable(BytesSchema),
    differences: Type.Array(DifferenceSchema),
  },
  exact,
);

const LeftoverSchema = Type.Object(
  {
    kind: Type.Union(
      ['open-backup', 'partial-receive', 'snapshot', 'hold', 'bookmark'].map((kind) => Type.Literal(kind)),
    ),
    dataset: Type.String(),
    name: Type.String(),
    what: Type.String(),
    bytes: Nullable(BytesSchema),
    since: Nullable(Type.String()),
    running: Type.Boolean(),
    continues: Nullable(Type.Array(Type.String())),
    clear: Type.Array(Type.Array(Type.String())),
  },
  exact,
);
const UnaskedSchema = Type.Object({ who: Type.String(), code: Type.String(), message: Type.String() }, exact);

/** Where the receiver stands. */
const point = { object: Type.String(), offset: Type.String() };

const DOCUMENTS: Readonly<Record<string, readonly TSchema[]>> = {
  import: [
    Type.Object({ ...head, backups: Type.Array(StoredSchema), error: Type.Optional(ErrorSchema) }, exact),
  ],
  export: [
    Type.Object(
      {
        ...head,
        backup: BackupIdSchema,
        from: Nullable(GuidSchema),
        to: GuidSchema,
        bytes: BytesSchema,
        output: Type.String(),
        resumes: Type.Optional(Type.Object({ ...point, kept: BytesSchema }, exact)),
      },
      exact,
    ),
  ],
  list: [
    Type.Object({ ...head, datasets: Type.Array(DatasetSchema), ...damaged }, exact),
    Type.Object(
      { ...head, dataset: Type.String(), snapshots: Type.Array(BackupSummarySchema), ...damaged },
      exact,
    ),
  ],
  show: [
    Type.Object(
      {
        ...head,
        backup: BackupSummarySchema,
        manifest: ManifestSchema,
        attributes: Nullable(AttributesSchema),
        damage: Nullable(DamageSchema),
      },
      exact,
    ),
  ],
  attributes: [
    Type.Object(
      {
        ...head,
        backup: BackupSummarySchema,
        settings: Type.Array(SettingSchema),
        attributes: ParsedAttributesSchema,
      },
      exact,
    ),
    Type.Object({ ...head, before: EndSchema, after: EndSchema, changes: Type.Array(ChangeSchema) }, exact),
    Type.Object(
      { ...head, dataset: Type.String(), property: Type.String(), points: Type.Array(HistoryPointSchema) },
      exact,
    ),
  ],
  plan: [Type.Object({ ...head, plan: RestorePlanSchema, runbook: Type.Array(RunbookStepSchema) }, exact)],
  migrate: [
    Type.Object(
      {
        ...migration,
        steps: Type.Array(Type.Object({ kind: MigrationKind, snapshot: Type.String() }, exact)),
        commands: Type.Array(Type.Array(Type.String())),
        skipped: Type.Array(Type.Unknown()),
        runbook: Type.Array(RunbookStepSchema),
        findings: Type.Array(Type.Unknown()),
      },
      exact,
    ),
    Type.Object(
      {
        ...migration,
        migrated: Type.Array(
          Type.Object(
            {
              snapshot: Type.String(),
              guid: GuidSchema,
              kind: MigrationKind,
              bytes: BytesSchema,
              seconds: Type.Number({ minimum: 0 }),
            },
            exact,
          ),
        ),
        guid: GuidSchema,
        proof: ProofSchema,
        runbook: Type.Array(RunbookStepSchema),
        error: Type.Optional(ErrorSchema),
      },
      exact,
    ),
  ],
  backup: BACKUP_DOCUMENTS,
  restore: RESTORE_DOCUMENTS,
  leftovers: [
    Type.Object(
      {
        ...head,
        host: Type.String(),
        leftovers: Type.Array(LeftoverSchema),
        unjudged: Type.Integer({ minimum: 0 }),
        unasked: Type.Array(UnaskedSchema),
      },
      exact,
    ),
  ],
  damage: [Type.Object({ ...head, ...damaged }, exact)],
  verify: [
    Type.Object(
      {
        ...head,
        backups: Type.Integer(),
        segments: Type.Integer(),
        checksums: Type.Integer(),
        bytes: BytesSchema,
        frames: Type.Integer(),
        problems: Type.Array(ProblemSchema),
        reported: Nullable(Type.Object({ proofs: Type.Integer(), damage: Type.Integer() }, exact)),
      },
      exact,
    ),
  ],
};
const FailureSchema = Type.Object({ ...head, error: ErrorSchema }, exact);

/** A document of any command: the tests look into the part that they are about. */
export interface Document {
  readonly backups: readonly Static<typeof StoredSchema>[];
  readonly error: Static<typeof ErrorSchema>;
  readonly datasets: readonly Static<typeof DatasetSchema>[];
  readonly snapshots: readonly Static<typeof BackupSummarySchema>[];
  readonly plan: Static<typeof RestorePlanSchema>;
  readonly problems: readonly Static<typeof ProblemSchema>[];
  readonly damage: readonly Static<typeof DamageSchema>[];
  readonly reported: { readonly proofs: number; readonly damage: number } | null;
  readonly manifest: Static<typeof ManifestSchema>;
  readonly attributes: Attributes | null;
  readonly settings: readonly Static<typeof SettingSchema>[];
  readonly backup: Static<typeof BackupSummarySchema>;
  readonly before: Static<typeof EndSchema>;
  readonly after: Static<typeof EndSchema>;
  readonly changes: readonly Static<typeof ChangeSchema>[];
  readonly property: string;
  readonly points: readonly Static<typeof HistoryPointSchema>[];
  readonly commands: readonly (readonly string[])[];
  readonly guid: string;
  readonly proof: Static<typeof ProofSchema>;
  readonly received: readonly {
    readonly resumed: { readonly kept: number; readonly sent_again: number } | null;
    readonly fetched_again: number;
  }[];
  readonly resumes: { readonly object: string; readonly offset: string } | null;
  readonly skipped: readonly Static<typeof SkippedSchema>[];
  readonly pool: Static<typeof PoolSchema> | null;
  readonly segments: number;
  readonly bytes: number;
  readonly migrated: readonly { readonly kind: string }[];
  readonly behind: number;
  readonly leftovers: readonly Static<typeof LeftoverSchema>[];
  readonly unjudged: number;
  readonly unasked: readonly Static<typeof UnaskedSchema>[];
}

/** Passes when the text is one document of this command, or of its failure. */
export function checkDocument(command: string, text: string): Document {
  const document: unknown = JSON.parse(text);
  const schemas = [...(DOCUMENTS[command] ?? []), FailureSchema];
  const fits = schemas.some((schema) => Compile(schema).Check(document));
  assert.ok(fits, `no document of ${command}: ${text}`);
  return document as Document;
}
