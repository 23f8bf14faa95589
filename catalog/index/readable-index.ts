/** What is asked of the index, first of backups, then of the journal. `answers/` and `journal/` answer. */
import type { ChainFlags, SnapshotNode } from '../chain/graph.ts';
import type { Policy } from '../chain/retention/policy.ts';
import type { Selection } from '../chain/select.ts';
import type { Fact, Place } from '../journal/entry.ts';
import type {
  DrillsAnswer,
  DrillsQuery,
  EventsAnswer,
  EventsQuery,
  ProofRow,
  ProofsQuery,
} from '../protocol/events.ts';
import type { HistoryAnswer, HistoryQuery, SettingsAnswer } from '../protocol/history.ts';
import type { PinRow } from '../protocol/keeping.ts';
import type {
  BackupsAnswer,
  BackupsQuery,
  DatasetsAnswer,
  DatasetsQuery,
  LineagesAnswer,
  LineagesQuery,
  SnapshotsAnswer,
  SnapshotsQuery,
} from '../protocol/pages.ts';
import type {
  BackupSummary,
  KnownSnapshot,
  Lineage,
  PlanRequest,
  RestorePlan,
} from '../protocol/protocol.ts';
import type { BackupId, Guid, LineageId } from '../words.ts';
import { chooseSnapshot } from './answers/choose.ts';
import { type EdgesScope, edgesOf, type KeptEdge } from './answers/edges.ts';
import { listBackups, listSnapshots } from './answers/entries.ts';
import { listHistory } from './answers/history.ts';
import { findLineage, listDatasets, listLineages } from './answers/lists.ts';
import { renamedDatasets, type Where } from './answers/names.ts';
import { planIn } from './answers/plan.ts';
import { settingsAt } from './answers/settings.ts';
import { type DatasetState, datasetStates, type StateScope } from './answers/state.ts';
import { listDrills } from './journal/drills.ts';
import { listEvents } from './journal/events.ts';
import { allDamage, type FoundDamage, proofOf } from './journal/findings.ts';
import { listMarks, listPins, listPolicies, type MarkRow } from './journal/held.ts';
import { placesOf } from './journal/places.ts';
import { listProofs } from './journal/proofs.ts';
import { findRow, rowsTo, summaryOf, wholeRowsTo } from './tables/backup.ts';
import { waysTo } from './tables/chains.ts';
import type { IndexDatabase } from './tables/database.ts';

/** The index as it is read: nothing here changes it. */
export abstract class ReadableIndex {
  protected readonly db: IndexDatabase;

  protected constructor(db: IndexDatabase) {
    this.db = db;
  }

  /** Of these snapshots, those that a backup names, in the order asked; and whether a chain leads there. */
  known(guids: readonly Guid[]): KnownSnapshot[] {
    return guids.flatMap((guid) => {
      const [flags] = this.ways(guid);
      if (flags) return { guid, restorable: true, flags };
      return isNamed(this.db, guid) ? { guid, restorable: false, flags: null } : [];
    });
  }

  /** The flags of the chains that lead from nothing to a snapshot, the cheapest first: for `checkFlags`. */
  ways(guid: Guid): ChainFlags[] {
    return waysTo(this.db, guid);
  }

  /** Datasets by name and host. */
  datasets(query: DatasetsQuery = {}): DatasetsAnswer {
    return listDatasets(this.db, query);
  }

  /** Lineages, those that began last first. */
  lineages(query: LineagesQuery = {}): LineagesAnswer {
    return listLineages(this.db, query);
  }

  /** One lineage. */
  lineage(id: LineageId): Lineage | undefined {
    return findLineage(this.db, id);
  }

  /**
   * Snapshots that a backup leads to, in the order of {@link ReadableIndex.backups}. Asked by dataset or host, a
   * snapshot is listed once for each dataset that it was kept as, with the labels it had there; otherwise once,
   * with the labels of the newest backup.
   */
  snapshots(query: SnapshotsQuery = {}): SnapshotsAnswer {
    return listSnapshots(this.db, query);
  }

  /**
   * Backups. Of a dataset or host: dataset by dataset, the newest snapshot first; of a lineage the newest snapshot
   * first; otherwise the newest backup first.
   */
  backups(request: BackupsQuery = {}): BackupsAnswer {
    return listBackups(this.db, request);
  }

  /** One backup. */
  backup(id: BackupId): BackupSummary | undefined {
    const row = findRow(this.db, id);
    return row && summaryOf(row);
  }

  /** The backups that lead to a snapshot, the oldest first. */
  backupsTo(guid: Guid): BackupSummary[] {
    return rowsTo(this.db, guid).map(summaryOf);
  }

  /** The newest backup between two snapshots (`null`: full) that is not known to be damaged. */
  backupOf(from: Guid | null, to: Guid): BackupSummary | undefined {
    return wholeRowsTo(this.db, to)
      .map(summaryOf)
      .findLast((backup) => backup.from === from);
  }

  /** How the datasets of a name or host stand, or all. */
  states(scope: StateScope = {}): DatasetState[] {
    return [...this.statesInParts(scope)].flat();
  }

  /** The same in parts of some milliseconds; others may write between them. */
  statesInParts(scope: StateScope = {}): Generator<DatasetState[]> {
    return datasetStates(this.db, scope);
  }

  /** The backups of a dataset, host or lineage, or all, as retention sees them. Nothing may be written meanwhile. */
  edges(scope: EdgesScope = {}): Generator<KeptEdge> {
    return edgesOf(this.db, scope);
  }

  /** The names of each dataset that had several, as its own GUIDs tell. */
  renamedDatasets(): Where[][] {
    return renamedDatasets(this.db);
  }

  /** How many backups there are. */
  count(): number {
    return this.db.get<{ count: number }>('SELECT count(*) AS count FROM backup')?.count ?? 0;
  }

  /**
   * The snapshot that is meant.
   *
   * @throws {ZkeepError} `usage` or `missing`, as `selectSnapshot` over all snapshots.
   */
  select(wanted: Selection): SnapshotNode {
    return chooseSnapshot(this.db, wanted);
  }

  /**
   * Plans a restore.
   *
   * @throws {ZkeepError} as {@link ReadableIndex.select}, or the reason why no path leads there.
   */
  plan(request: PlanRequest): RestorePlan {
    return planIn(this.db, request);
  }

  /**
   * The settings of a dataset at a snapshot, or at the last one until a moment of which they are known.
   *
   * @throws {ZkeepError} as {@link ReadableIndex.select}; `missing` (`settings.unknown`) when none are known.
   */
  settings(wanted: Selection): SettingsAnswer {
    return settingsAt(this.db, wanted);
  }

  /**
   * The backups of a dataset at which its settings changed, host by host, the newest snapshot first.
   *
   * @throws {ZkeepError} as {@link ReadableIndex.select}.
   */
  history(query: HistoryQuery): HistoryAnswer {
    return listHistory(this.db, query);
  }

  /** The datasets and hosts that a fact is about, as far as it is known now. */
  placesOf(fact: Fact): Place[] {
    return placesOf(this.db, fact);
  }

  /** The policies that hold, by name. */
  policies(): Policy[] {
    return listPolicies(this.db);
  }

  /**
   * The pins that hold, those set first first.
   *
   * @param now milliseconds since 1970: one that has ended by then holds no more.
   */
  pins(now: number): PinRow[] {
    return listPins(this.db, now);
  }

  /** The marks for removal that hold, of backups that are there, by backup. */
  marks(): MarkRow[] {
    return listMarks(this.db);
  }

  /** The damage that holds, of backups that are there, by backup: what no later proof of its depth has refuted. */
  damage(): FoundDamage[] {
    return allDamage(this.db);
  }

  /** When a backup was last found whole; a deep proof is a light one, too. */
  proofOf(backup: BackupId): ProofRow {
    return proofOf(this.db, backup);
  }

  /**
   * Backups by the time of the last look of a depth, the oldest first, those never looked at before them.
   * A look that found damage counts as well, so that what is damaged does not stand in the way of the others.
   *
   * @param latest what was looked at later than that (milliseconds since 1970), by a clock that was ahead, comes too.
   */
  proofs(query: ProofsQuery, latest?: number): ProofRow[] {
    return listProofs(this.db, query, latest);
  }

  /** Drills, the newest first. */
  drills(query: DrillsQuery = {}): DrillsAnswer {
    return listDrills(this.db, query);
  }

  /** The journal, the newest entries first. A page may end before its limit when its entries are long. */
  events(query: EventsQuery = {}): EventsAnswer {
    return listEvents(this.db, query);
  }
}

/** Whether a backup leads to a snapshot or starts at it. */
function isNamed(db: IndexDatabase, guid: Guid): boolean {
  return (
    db.get('SELECT 1 FROM backup WHERE snapshot = ?', guid) !== undefined ||
    db.get('SELECT 1 FROM backup WHERE base = ?', guid) !== undefined
  );
}
