/** What is looked at for leftovers: plain data, gathered by `gather.ts`, made up by tests. */
import type { BackupSummary, KnownSnapshot, OpenBackupRow } from '../../catalog/protocol/protocol.ts';
import type { Guid } from '../../catalog/words.ts';
import type { MarkedPlace } from '../drill/mark.ts';
import type { SourceFacts } from '../zfs/list.ts';

/** What an interrupted `zfs receive -s` left at a dataset. */
export interface PartialReceive {
  /** The target, as it is called here. */
  readonly dataset: string;
  /** What its token says; `null`: nobody can read it. */
  readonly token: {
    readonly from: Guid | null;
    readonly to: Guid;
    /** `pool/dataset@snapshot`, as the sender called it. */
    readonly name: string;
    /** Received until then, over all tries. */
    readonly bytes: number;
  } | null;
}

/** The place of a drill. */
export interface DrillHere extends Pick<MarkedPlace, 'container' | 'says'> {
  /** Its process is at it. */
  readonly running: boolean;
  /** That it takes with all in it; `null` where nobody tells. */
  readonly bytes: number | null;
}

/** What ZFS says of this host: all of it, because what is left at one dataset may belong to another. */
export interface HereFacts {
  readonly sources: readonly SourceFacts[];
  /** GUIDs of the pools by their names. */
  readonly pools: ReadonlyMap<string, Guid>;
  readonly partials: readonly PartialReceive[];
  readonly drills: readonly DrillHere[];
  /** The tags of the holds on a snapshot (`pool/dataset@name`), of those that may be leftovers. */
  readonly holds: ReadonlyMap<string, readonly string[]>;
  /** Bytes that only a snapshot keeps, of the same. */
  readonly used: ReadonlyMap<string, number>;
  /** Snapshots (`pool/dataset@name`) that a process of this host is at. */
  readonly atWork: ReadonlySet<string>;
  /** GUIDs of those that runs took which are over and did not come to them: the next backup stores them. */
  readonly owed: ReadonlySet<Guid>;
}

/** What the service says. */
export interface KeptFacts {
  /** Open backups of this host or of its pools, or whose writer is on it. */
  readonly open: readonly OpenBackupRow[];
  /** Of the snapshots and bookmarks that may be leftovers, and of their datasets' others, those that are known. */
  readonly known: readonly KnownSnapshot[];
  /** Backups of the snapshots that interrupted receives were getting. */
  readonly backups: ReadonlyMap<Guid, readonly BackupSummary[]>;
  /** Processes of this host that live, of those that have a backup open. */
  readonly living: ReadonlySet<number>;
}

/** Everything. */
export interface LeftoverFacts {
  readonly host: string;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Only what is left at these datasets and below them is meant; empty: everywhere. */
  readonly scope: readonly string[];
  /** `null`: ZFS could not be asked. */
  readonly here: HereFacts | null;
  /** `null`: the service could not be asked. */
  readonly kept: KeptFacts | null;
}
