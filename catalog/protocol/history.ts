/** Attributes as history: what was set at a moment, and at which backups it changed. */
import { type Static, Type } from 'typebox';
import { BackupIdSchema, GuidSchema, Nullable } from '../schema.ts';
import { page } from './pages.ts';
import { BackupSummarySchema, WantedSchema } from './protocol.ts';

/** What a setting is set on. */
export const SettingScopeSchema = Type.Union([
  Type.Literal('dataset'),
  Type.Literal('snapshot'),
  Type.Literal('pool'),
  Type.Literal('host'),
]);

/** A property that stays as it is until somebody changes it. */
export const SettingSchema = Type.Object({
  scope: SettingScopeSchema,
  /** Of the dataset, snapshot, pool or host. */
  name: Type.String(),
  property: Type.String(),
  value: Type.String(),
  source: Type.String(),
  /** The dataset that it is inherited from. */
  from: Type.Optional(Type.String()),
});

/** One setting, before and after; `null`: it was not there. */
export const ChangeSchema = Type.Object({
  scope: SettingScopeSchema,
  name: Type.String(),
  property: Type.String(),
  before: Nullable(SettingSchema),
  after: Nullable(SettingSchema),
});

export const SettingsRequestSchema = Type.Object({ wanted: WantedSchema });
export const SettingsAnswerSchema = Type.Object({
  /** The backup that told them. */
  backup: BackupSummarySchema,
  settings: Type.Array(SettingSchema),
});
export type SettingsAnswer = Static<typeof SettingsAnswerSchema>;

export const HistoryQuerySchema = Type.Object({
  dataset: Type.String({ minLength: 1, maxLength: 255 }),
  /** Needed only when several hosts have a dataset of this name. */
  host: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
  /** Only changes of this property. */
  property: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
  scope: Type.Optional(SettingScopeSchema),
  ...page,
});
export type HistoryQuery = Static<typeof HistoryQuerySchema>;

/** A backup whose settings are not those of the one before it. */
export const HistoryPointSchema = Type.Object({
  host: Type.String(),
  dataset: Type.String(),
  backup: BackupIdSchema,
  /** GUID, name and creation (seconds since 1970) of its snapshot. */
  guid: GuidSchema,
  name: Type.String(),
  created: Type.Integer(),
  /** The first whose settings are known: before it there is nothing to compare with. */
  first: Type.Boolean(),
  changes: Type.Array(ChangeSchema),
});
export type HistoryPoint = Static<typeof HistoryPointSchema>;

export const HistoryAnswerSchema = Type.Object({
  points: Type.Array(HistoryPointSchema),
  next: Nullable(Type.String()),
});
export type HistoryAnswer = Static<typeof HistoryAnswerSchema>;
