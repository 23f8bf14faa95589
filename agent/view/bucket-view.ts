/** What is kept, as the bucket alone tells it: no service, an index in memory made from all manifests. */

import type { Attributes } from '../../catalog/attributes/attributes.ts';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import type { CatalogIndex } from '../../catalog/index/catalog-index.ts';
import type { RefreshProblem } from '../../catalog/index/refresh.ts';
import type { DamageQuery, DamageRow } from '../../catalog/protocol/events.ts';
import type { HistoryPoint, SettingsAnswer } from '../../catalog/protocol/history.ts';
import type { DatasetsQuery } from '../../catalog/protocol/pages.ts';
import type {
  BackupSummary,
  Dataset,
  PlanRequest,
  RestorePlan,
  Wanted,
} from '../../catalog/protocol/protocol.ts';
import type { Manifest } from '../../catalog/repository/manifest.ts';
import { openRepository, type Repository } from '../../catalog/repository/repository.ts';
import { openStore, parseLocation } from '../../catalog/repository/store/location.ts';
import type { VerifyOptions, VerifyReport } from '../../catalog/repository/verify.ts';
import type { BackupId, Digest } from '../../catalog/words.ts';
import type { BackupsMeant, CatalogView, HistoryMeant, ViewOptions } from './view.ts';

/**
 * Opens the repository at a place.
 *
 * @param place a folder, or `s3://bucket/prefix?endpoint=...`.
 * @throws {ZkeepError} `usage` for what is no place, `missing` where no repository is.
 */
export async function openBucketView(place: string, viewing: ViewOptions): Promise<CatalogView> {
  const store = await openStore(parseLocation(place), { patience: viewing.patience });
  try {
    return new BucketView(await openRepository(store, viewing.signal), viewing);
  } catch (thrown) {
    await store.close();
    throw thrown;
  }
}

class BucketView implements CatalogView {
  readonly #repository: Repository;
  readonly #viewing: ViewOptions;
  #made: Promise<CatalogIndex> | undefined;
  /** Datasets whose attribute manifests are read; `undefined`: all. */
  readonly #read = new Map<string | undefined, Promise<void>>();

  constructor(repository: Repository, viewing: ViewOptions) {
    this.#repository = repository;
    this.#viewing = viewing;
  }

  get location(): string {
    return this.#repository.store.location;
  }

  async *datasets(meant: Pick<DatasetsQuery, 'dataset' | 'host'>): AsyncGenerator<Dataset> {
    const index = await this.#index();
    for (let after: string | null | undefined; after !== null; ) {
      const page = index.datasets({ ...meant, ...(after === undefined ? {} : { after }) });
      yield* page.datasets;
      after = page.next;
    }
  }

  async *backups({ drift = false, ...meant }: BackupsMeant): AsyncGenerator<BackupSummary> {
    const index = await (drift ? this.#indexWith(meant.dataset) : this.#index());
    for (let after: string | null | undefined; after !== null; ) {
      const page = index.backups({ ...meant, ...(after === undefined ? {} : { after }) });
      yield* page.backups;
      after = page.next;
    }
  }

  async backup(backup: BackupId): Promise<BackupSummary> {
    const found = (await this.#index()).backup(backup);
    if (found) return found;
    throw new ZkeepError('missing', 'backup.missing', `there is no backup ${backup}`, {
      advice: 'zkeep list shows what is kept',
      facts: { backup },
    });
  }

  async plan(request: PlanRequest): Promise<RestorePlan> {
    return (await this.#index()).plan(request);
  }

  async manifest({ backup, to }: Pick<BackupSummary, 'backup' | 'to'>): Promise<Manifest> {
    return await this.#repository.manifest(to, backup, this.#viewing.signal);
  }

  async attributes(digest: Digest): Promise<Attributes> {
    return await this.#repository.attributes(digest, this.#viewing.signal);
  }

  async settings(wanted: Wanted): Promise<SettingsAnswer> {
    const { dataset } = wanted.dataset === undefined ? (await this.#index()).select(wanted) : wanted;
    return (await this.#indexWith(dataset)).settings(wanted);
  }

  async *history(meant: HistoryMeant): AsyncGenerator<HistoryPoint> {
    const index = await this.#indexWith(meant.dataset);
    for (let after: string | null | undefined; after !== null; ) {
      const page = index.history({ ...meant, ...(after === undefined ? {} : { after }) });
      yield* page.points;
      after = page.next;
    }
  }

  async segment(
    manifest: Manifest,
    number: number,
    signal = this.#viewing.signal,
    into?: Uint8Array,
  ): Promise<Uint8Array> {
    return await this.#repository.segment(manifest, number, signal, into);
  }

  async repositoryId(): Promise<string> {
    return this.#repository.marker.id;
  }

  async damage(meant: DamageQuery): Promise<DamageRow[]> {
    const { damageRows } = await import('../../catalog/index/answers/damage.ts');
    return await damageRows(await this.#index(), meant);
  }

  async verify(options: VerifyOptions): Promise<VerifyReport> {
    const { verifyRepository } = await import('../../catalog/repository/verify.ts');
    return await verifyRepository(this.#repository, options);
  }

  async close(): Promise<void> {
    const index = await this.#made?.catch(() => undefined);
    index?.close();
    await this.#repository.store.close();
  }

  #index(): Promise<CatalogIndex> {
    this.#made ??= this.#makeIndex();
    return this.#made;
  }

  /** The index with what the attribute manifests of a dataset say; those of all others are left unread. */
  async #indexWith(dataset: string | undefined): Promise<CatalogIndex> {
    const index = await this.#index();
    const reading = this.#read.get(dataset) ?? this.#readAttributes(index, dataset);
    this.#read.set(dataset, reading);
    await reading;
    return index;
  }

  async #readAttributes(index: CatalogIndex, dataset: string | undefined): Promise<void> {
    const { readAttributes } = await import('../../catalog/index/read-attributes.ts');
    await readAttributes(this.#repository, index, {
      dataset,
      signal: this.#viewing.signal,
      onRead: (_count, problems) => this.#tell(problems),
    });
  }

  async #makeIndex(): Promise<CatalogIndex> {
    const { CatalogIndex } = await import('../../catalog/index/catalog-index.ts');
    const { rebuild } = await import('../../catalog/index/refresh.ts');
    const index = new CatalogIndex(':memory:');
    const reading = { signal: this.#viewing.signal, attributes: false };
    const { problems } = await rebuild(this.#repository, index, reading);
    this.#tell(problems);
    // What was found damaged is written there: no way leads over it.
    const { readJournal } = await import('../../catalog/index/read-journal.ts');
    const journal = await readJournal(this.#repository.store, index, { signal: this.#viewing.signal });
    this.#tell(journal.problems);
    return index;
  }

  #tell(problems: readonly RefreshProblem[]): void {
    for (const { key, error } of problems) this.#viewing.onProblem(`${key} is left out: ${messageOf(error)}`);
  }
}
