/**
 * The index: what the bucket's manifests say, in tables that answer at once.
 * It holds nothing that the bucket does not: see INDEX.md.
 */
import type { ChainFlags, SnapshotNode } from '../chain/graph.ts';
import type { Policy } from '../chain/retention/policy.ts';
import type { Selection } from '../chain/select.ts';
import { ZkeepError } from '../errors.ts';
import type { Entry, Fact, Place } from '../journal/entry.ts';
import type {
  DrillRow,
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
import type { Manifest } from '../repository/manifest.ts';
import type { BackupId, Digest, Guid, LineageId } from '../words.ts';
import { chooseSnapshot } from './answers/choose.ts';
import { type EdgesScope, edgesOf, type KeptEdge } from './answers/edges.ts';
import { listBackups, listSnapshots } from './answers/entries.ts';
import { listHistory } from './answers/history.ts';
import { findLineage, listDatasets, listLineages } from './answers/lists.ts';
import { planIn } from './answers/plan.ts';
import { settingsAt } from './answers/settings.ts';
import { type DatasetState, datasetStates, type StateScope } from './answers/state.ts';
import { contentMark, dump } from './dump.ts';
import { Inventory } from './inventory.ts';
import { applyEntries } from './journal/apply.ts';
import { lastDrill, listDrills } from './journal/drills.ts';
import { listEvents } from './journal/events.ts';
import { allDamage, type FoundDamage, proofOf } from './journal/findings.ts';
import { listMarks, listPins, listPolicies, type MarkRow } from './journal/held.ts';
import { lastEntry, lastObject, noteObject, partlyRead, unknownObjects } from './journal/objects.ts';
import { placesOf } from './journal/places.ts';
import { listProofs } from './journal/proofs.ts';
import { addBackup } from './tables/add.ts';
import {
  backupOf,
  findRow,
  type KeptBackup,
  requireRow,
  rowsTo,
  summaryOf,
  wholeRowsTo,
} from './tables/backup.ts';
import { waysTo } from './tables/chains.ts';
import { type DatabaseOptions, IndexDatabase } from './tables/database.ts';
import { learnSettings, unreadAttributes } from './tables/learn.ts';
import { removeBackups } from './tables/remove.ts';
import type { ReadAttributes } from './tables/settings.ts';

/** An object of the journal that was read. */
export interface JournalPart {
  readonly key: string;
  /** False: not all of it was understood; a zkeep that understands more reads it again. */
  readonly whole: boolean;
}

/**
 * An opened index. Its content depends on the set of backups in it alone, not on
 * the order in which they came and went.
 *
 * @example
 * const index = new CatalogIndex('/var/lib/zkeep/index.db');
 * index.add(manifest);
 * index.plan({ wanted: { dataset: 'tank/fs' }, have: [], rollback: false });
 */
export class CatalogIndex {
  readonly #db: IndexDatabase;
  #inventory: Inventory | undefined;

  /**
   * Opens the file, or makes it.
   *
   * @param path `:memory:` for one that is gone when it is closed.
   * @throws {ZkeepError} `refused` when the file is a newer zkeep's (`index.newer`) or another program's.
   */
  constructor(path: string, options: DatabaseOptions = {}) {
    this.#db = new IndexDatabase(path, options);
  }

  /**
   * Adds a backup; nothing happens when it is there.
   *
   * @param read what its attribute manifest says, if that was read; else {@link CatalogIndex.learn} can tell later.
   * @returns what {@link CatalogIndex.backup} answers from now on.
   * @throws {ZkeepError} `damaged` (`index.conflict`) when another backup has its id.
   */
  add(backup: Manifest | KeptBackup, read?: ReadAttributes): BackupSummary {
    const kept = 'format' in backup ? backupOf(backup) : backup;
    return this.#db.transaction(() => {
      addBackup(this.#db, kept);
      if (read) learnSettings(this.#db, read);
      return summaryOf(requireRow(this.#db, kept.backup));
    });
  }

  /**
   * Adds many in one transaction, which is a hundred times faster.
   *
   * @param onRefused told of those that are in conflict with what is there; without it, none is added then.
   * @returns how many were not there yet.
   */
  addAll(
    backups: Iterable<KeptBackup>,
    onRefused: (backup: KeptBackup, error: ZkeepError) => void = (_backup, error) => {
      throw error;
    },
  ): number {
    return this.#db.transaction(() => {
      let added = 0;
      for (const backup of backups) {
        const outcome = attempt(() => addBackup(this.#db, backup));
        if (outcome instanceof ZkeepError) onRefused(backup, outcome);
        else if (outcome) added += 1;
      }
      return added;
    });
  }

  /** Takes in what attribute manifests say, for the backups that have them and lack it. */
  learn(read: Iterable<ReadAttributes>): void {
    this.#db.transaction(() => {
      for (const one of read) learnSettings(this.#db, one);
    });
  }

  /**
   * Digests of attribute manifests whose content backups lack, each once, in their order.
   *
   * @param after the last one of the part before; absent: from the first.
   * @param dataset only those of backups of datasets called so.
   */
  unread(limit: number, after = '', dataset?: string): Digest[] {
    return unreadAttributes(this.#db, { limit, after, dataset });
  }

  /**
   * Removes backups. What is derived is made anew for each lineage that lost one,
   * so it is better to remove many at once.
   *
   * @returns how many were there.
   */
  remove(backups: BackupId | Iterable<BackupId>): number {
    const doomed = typeof backups === 'string' ? [backups] : backups;
    return this.#db.transaction(() => removeBackups(this.#db, doomed));
  }

  /**
   * Empties the index.
   *
   * @throws {ZkeepError} `busy` (`index.refreshing`) while it is compared with the bucket.
   */
  clear(): void {
    this.#refuseTwice();
    this.#db.clear();
  }

  /** Of these snapshots, those that a backup names, in the order asked; and whether a chain leads there. */
  known(guids: readonly Guid[]): KnownSnapshot[] {
    return guids.flatMap((guid) => {
      const [flags] = this.ways(guid);
      if (flags) return { guid, restorable: true, flags };
      return isNamed(this.#db, guid) ? { guid, restorable: false, flags: null } : [];
    });
  }

  /** The flags of the chains that lead from nothing to a snapshot, the cheapest first: for `checkFlags`. */
  ways(guid: Guid): ChainFlags[] {
    return waysTo(this.#db, guid);
  }

  /** Datasets by name and host. */
  datasets(query: DatasetsQuery = {}): DatasetsAnswer {
    return listDatasets(this.#db, query);
  }

  /** Lineages, those that began last first. */
  lineages(query: LineagesQuery = {}): LineagesAnswer {
    return listLineages(this.#db, query);
  }

  /** One lineage. */
  lineage(id: LineageId): Lineage | undefined {
    return findLineage(this.#db, id);
  }

  /**
   * Snapshots that a backup leads to, in the order of {@link CatalogIndex.backups}. Asked by dataset or host, a
   * snapshot is listed once for each dataset that it was kept as, with the labels it had there; otherwise once,
   * with the labels of the newest backup.
   */
  snapshots(query: SnapshotsQuery = {}): SnapshotsAnswer {
    return listSnapshots(this.#db, query);
  }

  /**
   * Backups. Of a dataset or host: dataset by dataset, the newest snapshot first; of a lineage the newest snapshot
   * first; otherwise the newest backup first.
   */
  backups(request: BackupsQuery = {}): BackupsAnswer {
    return listBackups(this.#db, request);
  }

  /** One backup. */
  backup(id: BackupId): BackupSummary | undefined {
    const row = findRow(this.#db, id);
    return row && summaryOf(row);
  }

  /** The backups that lead to a snapshot, the oldest first. */
  backupsTo(guid: Guid): BackupSummary[] {
    return rowsTo(this.#db, guid).map(summaryOf);
  }

  /** The newest backup between two snapshots (`null`: full) that is not known to be damaged. */
  backupOf(from: Guid | null, to: Guid): BackupSummary | undefined {
    return wholeRowsTo(this.#db, to)
      .map(summaryOf)
      .findLast((backup) => backup.from === from);
  }

  /** How the datasets of a name or host stand, or all. */
  states(scope: StateScope = {}): DatasetState[] {
    return datasetStates(this.#db, scope);
  }

  /** The backups of a dataset, host or lineage, or all, as retention sees them. Nothing may be written meanwhile. */
  edges(scope: EdgesScope = {}): Generator<KeptEdge> {
    return edgesOf(this.#db, scope);
  }

  /**
   * Takes in entries of the journal. Their order, and how often they come, makes no difference.
   *
   * @param objects the keys of the objects that they were in: read to the last entry, or not understood wholly.
   * @returns those that were not there yet, in their order.
   */
  apply(entries: readonly Entry[], objects: readonly JournalPart[] = []): Entry[] {
    return this.#db.transaction(() => {
      for (const { key, whole } of objects) noteObject(this.#db, key, whole);
      return applyEntries(this.#db, entries);
    });
  }

  /** The greatest id of an entry that was taken in. */
  lastEntry(): string | undefined {
    return lastEntry(this.#db);
  }

  /** Which objects of the journal were taken in: of some keys those that were not, the last one, and those to be read again. */
  get journal() {
    return {
      unknown: (keys: readonly string[]) => unknownObjects(this.#db, keys),
      last: () => lastObject(this.#db),
      partly: () => partlyRead(this.#db),
    };
  }

  /** The datasets and hosts that a fact is about, as far as it is known now. */
  placesOf(fact: Fact): Place[] {
    return placesOf(this.#db, fact);
  }

  /** The policies that hold, by name. */
  policies(): Policy[] {
    return listPolicies(this.#db);
  }

  /**
   * The pins that hold, those set first first.
   *
   * @param now milliseconds since 1970: one that has ended by then holds no more.
   */
  pins(now: number): PinRow[] {
    return listPins(this.#db, now);
  }

  /** The marks for removal that hold, of backups that are there, by backup. */
  marks(): MarkRow[] {
    return listMarks(this.#db);
  }

  /** The damage that holds, of backups that are there, by backup: what no later proof of its depth has refuted. */
  damage(): FoundDamage[] {
    return allDamage(this.#db);
  }

  /** When a backup was last found whole; a deep proof is a light one, too. */
  proofOf(backup: BackupId): ProofRow {
    return proofOf(this.#db, backup);
  }

  /**
   * Backups by the time of the last look of a depth, the oldest first, those never looked at before them.
   * A look that found damage counts as well, so that what is damaged does not stand in the way of the others.
   */
  proofs(query: ProofsQuery): ProofRow[] {
    return listProofs(this.#db, query);
  }

  /** Drills, the newest first. */
  drills(query: DrillsQuery = {}): DrillsAnswer {
    return listDrills(this.#db, query);
  }

  /** The last drill of a lineage, however it ended. */
  lastDrill(lineage: LineageId): DrillRow | undefined {
    return lastDrill(this.#db, lineage);
  }

  /** The journal, the newest entries first. A page may end before its limit when its entries are long. */
  events(query: EventsQuery = {}): EventsAnswer {
    return listEvents(this.#db, query);
  }

  /**
   * The snapshot that is meant.
   *
   * @throws {ZkeepError} `usage` or `missing`, as `selectSnapshot` over all snapshots.
   */
  select(wanted: Selection): SnapshotNode {
    return chooseSnapshot(this.#db, wanted);
  }

  /**
   * Plans a restore.
   *
   * @throws {ZkeepError} as {@link CatalogIndex.select}, or the reason why no path leads there.
   */
  plan(request: PlanRequest): RestorePlan {
    return planIn(this.#db, request);
  }

  /**
   * The settings of a dataset at a snapshot, or at the last one until a moment of which they are known.
   *
   * @throws {ZkeepError} as {@link CatalogIndex.select}; `missing` (`settings.unknown`) when none are known.
   */
  settings(wanted: Selection): SettingsAnswer {
    return settingsAt(this.#db, wanted);
  }

  /**
   * The backups of a dataset at which its settings changed, host by host, the newest snapshot first.
   *
   * @throws {ZkeepError} as {@link CatalogIndex.select}.
   */
  history(query: HistoryQuery): HistoryAnswer {
    return listHistory(this.#db, query);
  }

  /** How many backups there are. */
  count(): number {
    return this.#db.get<{ count: number }>('SELECT count(*) AS count FROM backup')?.count ?? 0;
  }

  /**
   * Copies the index to a file while it is used.
   *
   * @throws {ZkeepError} `full`, `denied` and the like of the other file; the signal's reason.
   */
  async copyTo(path: string, signal?: AbortSignal): Promise<void> {
    await this.#db.copyTo(path, () => signal?.throwIfAborted());
  }

  /** A text that is another one when the content is: by counts, so nearly always. Ends of jobs do not count. */
  contentMark(): string {
    return contentMark(this.#db);
  }

  /** Every fact as a line of JSON, the same for the same set of backups. Nothing may be added meanwhile. */
  dump(): Generator<string> {
    return dump(this.#db);
  }

  /**
   * Begins a comparison with a listing of the bucket.
   *
   * @throws {ZkeepError} `busy` (`index.refreshing`) when one is under way.
   */
  inventory(): Inventory {
    this.#refuseTwice();
    this.#inventory = new Inventory(this.#db);
    return this.#inventory;
  }

  close(): void {
    this.#db.close();
  }

  #refuseTwice(): void {
    if (!this.#inventory?.isOpen) return;
    throw new ZkeepError('busy', 'index.refreshing', 'the index is being brought up to date', {
      advice: 'wait until that is done',
    });
  }
}

/** Whether a backup leads to a snapshot or starts at it. */
function isNamed(db: IndexDatabase, guid: Guid): boolean {
  return (
    db.get('SELECT 1 FROM backup WHERE snapshot = ?', guid) !== undefined ||
    db.get('SELECT 1 FROM backup WHERE base = ?', guid) !== undefined
  );
}

function attempt<T>(work: () => T): T | ZkeepError {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof ZkeepError && thrown.code === 'index.conflict') return thrown;
    throw thrown;
  }
}
