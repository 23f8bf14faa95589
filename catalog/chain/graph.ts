/** The graph of snapshots as plain data: backups are edges, snapshots are nodes, "nothing" is the root. */
import { type Static, Type } from 'typebox';
import { BackupIdSchema, BytesSchema, GuidSchema, LineageIdSchema, Nullable, TimeSchema } from '../schema.ts';

/** What must not change within a chain, read from the features in BEGIN (facts: OpenZFS `dmu_recv.c`). */
export const ChainFlagsSchema = Type.Object({
  /** Sent with `-w`: raw and not raw never mix (IV sets, openzfs#8758). */
  raw: Type.Boolean(),
  /** Holds blocks above 128 KiB (`-L`): once on, never off again (openzfs#6224). */
  large_blocks: Type.Boolean(),
});
export type ChainFlags = Static<typeof ChainFlagsSchema>;

/** One stored stream, as the planner sees it. */
export const BackupEdgeSchema = Type.Object({
  backup: BackupIdSchema,
  /** The base; `null`: full. */
  from: Nullable(GuidSchema),
  to: GuidSchema,
  flags: ChainFlagsSchema,
  /** Raw bytes of the stream. */
  bytes: BytesSchema,
  /** Stored bytes: what a restore must fetch, and the cost that plans weigh. */
  stored: BytesSchema,
  /** When it was committed. */
  committed: TimeSchema,
});
export type BackupEdge = Static<typeof BackupEdgeSchema>;

/** A snapshot with its labels; of several backups to it, those of the newest. */
export const SnapshotNodeSchema = Type.Object({
  guid: GuidSchema,
  lineage: LineageIdSchema,
  host: Type.String(),
  /** `pool/dataset` at the time of the backup. */
  dataset: Type.String(),
  /** The part after `@`. */
  name: Type.String(),
  /** Creation of the snapshot, seconds since 1970, as its BEGIN record says. */
  created: Type.Integer(),
});
export type SnapshotNode = Static<typeof SnapshotNodeSchema>;
