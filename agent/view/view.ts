/** What is kept, as a command sees it: through the service, or in the bucket alone. */

import type { Attributes } from '../../catalog/attributes/attributes.ts';
import type { Patience } from '../../catalog/patience.ts';
import type { DamageQuery, DamageRow } from '../../catalog/protocol/events.ts';
import type { HistoryPoint, HistoryQuery, SettingsAnswer } from '../../catalog/protocol/history.ts';
import type { DatasetsQuery } from '../../catalog/protocol/pages.ts';
import type {
  BackupSummary,
  Dataset,
  PlanRequest,
  RestorePlan,
  Wanted,
} from '../../catalog/protocol/protocol.ts';
import type { Manifest } from '../../catalog/repository/manifest.ts';
import type { VerifyOptions, VerifyReport } from '../../catalog/repository/verify.ts';
import type { BackupId, Digest, Guid, SetId } from '../../catalog/words.ts';
import { type CommonOptions, serviceToken, serviceUrl } from '../settings.ts';

/** Which backups are meant; all fields must fit. */
export interface BackupsMeant {
  readonly dataset?: string;
  readonly host?: string;
  readonly to?: Guid;
  readonly set?: SetId;
  /** The drift of each is asked for: the repository alone tells it only after reading all their attributes. */
  readonly drift?: boolean;
}

/** Whose history, and of what; absent: of all. */
export type HistoryMeant = Pick<HistoryQuery, 'dataset' | 'host' | 'property' | 'scope'>;

/** Everything that reads. All methods throw {@link ZkeepError}s. */
export interface CatalogView {
  /** Where the answers come from, for people. */
  readonly location: string;
  /** The id of the repository. */
  repositoryId(): Promise<string>;
  datasets(meant: Pick<DatasetsQuery, 'dataset' | 'host'>): AsyncIterable<Dataset>;
  backups(meant: BackupsMeant): AsyncIterable<BackupSummary>;
  backup(backup: BackupId): Promise<BackupSummary>;
  /** What must be received, in order; throws when there is no way to it. */
  plan(request: PlanRequest): Promise<RestorePlan>;
  manifest(of: Pick<BackupSummary, 'backup' | 'to'>): Promise<Manifest>;
  attributes(digest: Digest): Promise<Attributes>;
  /** What was set on a dataset as of a snapshot or a moment, and the backup that tells it. */
  settings(wanted: Wanted): Promise<SettingsAnswer>;
  /** Where the settings of a dataset changed, host by host, the newest first. */
  history(meant: HistoryMeant): AsyncIterable<HistoryPoint>;
  /**
   * The stored bytes of segment `number`; whoever decodes them checks their digest.
   *
   * @param into memory that they may be put into.
   */
  segment(manifest: Manifest, number: number, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array>;
  /** What is known to be damaged, and what is lost by that. */
  damage(meant: DamageQuery): Promise<DamageRow[]>;
  verify(options: VerifyOptions): Promise<VerifyReport>;
  close(): Promise<void>;
}

/** What a view may tell while it works. */
export interface ViewOptions {
  readonly signal: AbortSignal;
  /** How long service and store are waited for. */
  readonly patience: Patience;
  /** Something of the repository cannot be read, and is left out. */
  readonly onProblem: (words: string) => void;
}

/**
 * The view that the options ask for.
 *
 * @example const view = await openView(options, { signal, patience, onProblem });
 */
export async function openView(options: CommonOptions, viewing: ViewOptions): Promise<CatalogView> {
  if (options.repository !== undefined) {
    const { openBucketView } = await import('./bucket-view.ts');
    return await openBucketView(options.repository, viewing);
  }
  const { ServiceView } = await import('./service-view.ts');
  const { patience, signal } = viewing;
  return new ServiceView({ url: serviceUrl(options), token: serviceToken(options), patience }, signal);
}
