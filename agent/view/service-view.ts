/** What is kept, as the service tells it; the segments come straight from the store, by grants. */

import type { Attributes } from '../../catalog/attributes/attributes.ts';
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
import { getByGrant } from '../../catalog/repository/store/transfer.ts';
import type { VerifyOptions, VerifyReport } from '../../catalog/repository/verify.ts';
import type { BackupId, Digest } from '../../catalog/words.ts';
import { ServiceClient } from '../service/client.ts';
import type { ServiceAccess } from '../service/exchange.ts';
import { byGrant, ReadGrants } from './read-grants.ts';
import type { BackupsMeant, CatalogView, HistoryMeant } from './view.ts';

export class ServiceView implements CatalogView {
  readonly #access: ServiceAccess;
  readonly #client: ServiceClient;
  readonly #signal: AbortSignal;
  readonly #grants = new Map<BackupId, ReadGrants>();

  constructor(access: ServiceAccess, signal: AbortSignal) {
    this.#access = access;
    this.#client = new ServiceClient(access);
    this.#signal = signal;
  }

  get location(): string {
    return this.#client.url;
  }

  datasets(meant: Pick<DatasetsQuery, 'dataset' | 'host'>): AsyncIterable<Dataset> {
    return this.#client.datasets(meant, this.#signal);
  }

  backups({ drift: _, ...meant }: BackupsMeant): AsyncIterable<BackupSummary> {
    return this.#client.backups(meant, this.#signal);
  }

  async backup(backup: BackupId): Promise<BackupSummary> {
    return await this.#client.backup(backup, this.#signal);
  }

  async plan(request: PlanRequest): Promise<RestorePlan> {
    return await this.#client.plan(request, this.#signal);
  }

  async manifest({ backup }: Pick<BackupSummary, 'backup'>): Promise<Manifest> {
    return await this.#client.manifest(backup, this.#signal);
  }

  async attributes(digest: Digest): Promise<Attributes> {
    return await this.#client.attributes(digest, this.#signal);
  }

  async settings(wanted: Wanted): Promise<SettingsAnswer> {
    return await this.#client.settings(wanted, this.#signal);
  }

  history(meant: HistoryMeant): AsyncIterable<HistoryPoint> {
    return this.#client.history(meant, this.#signal);
  }

  async segment(
    manifest: Manifest,
    number: number,
    signal = this.#signal,
    into?: Uint8Array,
  ): Promise<Uint8Array> {
    const maxBytes = manifest.segments[number]?.stored ?? 0;
    const fetching = { patience: this.#client.patience, signal };
    return await byGrant(
      this.#grantsOf(manifest),
      number,
      async (grant) => await getByGrant(grant, { maxBytes, into, signal }),
      fetching,
    );
  }

  async repositoryId(): Promise<string> {
    return (await this.#client.repository(this.#signal)).id;
  }

  async damage(meant: DamageQuery): Promise<DamageRow[]> {
    const { Proving } = await import('../service/proving.ts');
    const proving = new Proving(this.#access);
    try {
      return await proving.damage(meant, this.#signal);
    } finally {
      await proving.close();
    }
  }

  async verify(options: VerifyOptions): Promise<VerifyReport> {
    const { verifyRepository } = await import('../../catalog/repository/verify.ts');
    const { verifiable } = await import('./service-verify.ts');
    return await verifyRepository(verifiable(this.#client, this, options.dataset), options);
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  #grantsOf({ backup, segments }: Manifest): ReadGrants {
    const held = this.#grants.get(backup);
    if (held) return held;
    const grants = new ReadGrants(segments.length, (some) =>
      this.#client.readGrants(backup, some, this.#signal),
    );
    this.#grants.set(backup, grants);
    return grants;
  }
}
