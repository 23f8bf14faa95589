/** Lists are answered a page at a time: what may be asked, and the shape of the answers. */
import { type Static, type TSchema, Type } from 'typebox';
import { SnapshotNodeSchema } from '../chain/graph.ts';
import { DigestSchema, GuidSchema, LineageIdSchema, Nullable, SetIdSchema, TimeSchema } from '../schema.ts';
import {
  BackupSummarySchema,
  DatasetSchema,
  DriftSchema,
  LineageSchema,
  OpenBackupRowSchema,
} from './protocol.ts';

/** Most rows in one page. */
export const MAX_PAGE = 1000;
/** Rows in a page when nothing else is said. */
export const DEFAULT_PAGE = 200;

/** What a query for a list may say of its page. */
export const page = {
  /** `next` of the page before. */
  after: Type.Optional(Type.String({ minLength: 1, maxLength: 1000 })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_PAGE })),
};
const dataset = Type.Optional(Type.String({ minLength: 1, maxLength: 255 }));
const host = Type.Optional(Type.String({ minLength: 1, maxLength: 255 }));
const lineage = Type.Optional(LineageIdSchema);

export const DatasetsQuerySchema = Type.Object({ dataset, host, ...page });
export type DatasetsQuery = Static<typeof DatasetsQuerySchema>;

export const LineagesQuerySchema = Type.Object({ dataset, host, ...page });
export type LineagesQuery = Static<typeof LineagesQuerySchema>;

export const SnapshotsQuerySchema = Type.Object({ dataset, host, lineage, ...page });
export type SnapshotsQuery = Static<typeof SnapshotsQuerySchema>;

export const BackupsQuerySchema = Type.Object({
  dataset,
  host,
  lineage,
  to: Type.Optional(GuidSchema),
  set: Type.Optional(SetIdSchema),
  ...page,
});
export type BackupsQuery = Static<typeof BackupsQuerySchema>;

/** To be given as `after` for the next page; `null`: this was the last one. */
const next = Nullable(Type.String());
const rows = <T extends TSchema>(row: T) => Type.Array(row, { maxItems: MAX_PAGE });

export const DatasetsAnswerSchema = Type.Object({ datasets: rows(DatasetSchema), next });
export type DatasetsAnswer = Static<typeof DatasetsAnswerSchema>;
export const LineagesAnswerSchema = Type.Object({ lineages: rows(LineageSchema), next });
export type LineagesAnswer = Static<typeof LineagesAnswerSchema>;
/** A snapshot in a list. */
export const SnapshotRowSchema = Type.Object({ ...SnapshotNodeSchema.properties, drift: DriftSchema });
export type SnapshotRow = Static<typeof SnapshotRowSchema>;
export const SnapshotsAnswerSchema = Type.Object({ snapshots: rows(SnapshotRowSchema), next });
export type SnapshotsAnswer = Static<typeof SnapshotsAnswerSchema>;
export const BackupsAnswerSchema = Type.Object({ backups: rows(BackupSummarySchema), next });
export type BackupsAnswer = Static<typeof BackupsAnswerSchema>;

export const OpenBackupsQuerySchema = Type.Object({ dataset, host });
export type OpenBackupsQuery = Static<typeof OpenBackupsQuerySchema>;

/** All backups that are open now, without pages: there is at most one to a dataset. */
export const OpenBackupsAnswerSchema = Type.Object({ open: Type.Array(OpenBackupRowSchema) });
export type OpenBackupsAnswer = Static<typeof OpenBackupsAnswerSchema>;

/** What keeps a lease: when the writer was heard of, by the service's clock. */
export const AliveAnswerSchema = Type.Object({ heard: TimeSchema });
export type AliveAnswer = Static<typeof AliveAnswerSchema>;

/** Where the attributes lie. */
export const AttributesAnswerSchema = Type.Object({ digest: DigestSchema });
export type AttributesAnswer = Static<typeof AttributesAnswerSchema>;
