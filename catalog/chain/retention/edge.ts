/** A backup as the retention planner sees it. */
import type { LineageId, SourceId } from '../../words.ts';
import type { BackupEdge } from '../graph.ts';

/** A backup with the labels that its own manifest gives to its snapshot. */
export interface RetentionEdge extends BackupEdge {
  readonly host: string;
  /** `pool/dataset` at the time of the backup. */
  readonly dataset: string;
  /** What tells the dataset from all others of its host, under any name; `null`: not known. */
  readonly source: SourceId | null;
  /** Name of the snapshot, the part after `@`. */
  readonly name: string;
  /** Creation of the snapshot, seconds since 1970. */
  readonly created: number;
  readonly lineage: LineageId;
}
