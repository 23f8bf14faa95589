/** The calls of PROTOCOL.md as functions: what is asked and what is answered, both checked by the schemas. */

import { randomUUID } from 'node:crypto';
import { type Attributes, parseAttributes } from '../../catalog/attributes/attributes.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { Patience } from '../../catalog/patience.ts';
import {
  HistoryAnswerSchema,
  type HistoryPoint,
  type HistoryQuery,
  type SettingsAnswer,
  SettingsAnswerSchema,
} from '../../catalog/protocol/history.ts';
import {
  AliveAnswerSchema,
  AttributesAnswerSchema,
  BackupsAnswerSchema,
  type BackupsQuery,
  DatasetsAnswerSchema,
  type DatasetsQuery,
  MAX_PAGE,
  OpenBackupsAnswerSchema,
  type OpenBackupsQuery,
} from '../../catalog/protocol/pages.ts';
import {
  type BackupSummary,
  BackupSummarySchema,
  type CommitRequest,
  type Dataset,
  type Health,
  HealthSchema,
  KnownAnswerSchema,
  type KnownSnapshot,
  MAX_GRANTS,
  MAX_GUIDS,
  type OpenBackup,
  type OpenBackupRow,
  OpenBackupSchema,
  type OpenRequest,
  type Part,
  type PlanRequest,
  ReadGrantsAnswerSchema,
  type RepositoryInfo,
  RepositoryInfoSchema,
  type RestorePlan,
  RestorePlanSchema,
  type ResumeOffer,
  ResumeOfferSchema,
  type ResumeRequest,
  SESSION_HEADER,
  type StoredPart,
  type Wanted,
  WriteGrantsAnswerSchema,
  type Writing,
} from '../../catalog/protocol/protocol.ts';
import { type Manifest, parseManifest } from '../../catalog/repository/manifest.ts';
import type { Grant } from '../../catalog/repository/store/store.ts';
import { checker } from '../../catalog/schema.ts';
import type { BackupId, Digest, Guid } from '../../catalog/words.ts';
import { Exchange, type Question, type ServiceAccess, strangeAnswer } from './exchange.ts';
import { SetCalls } from './sets.ts';

const readHealth = checker(HealthSchema, 'the answer');
const readRepository = checker(RepositoryInfoSchema, 'the answer');
const readKnown = checker(KnownAnswerSchema, 'the answer');
const readOpen = checker(OpenBackupSchema, 'the answer');
const readOpenBackups = checker(OpenBackupsAnswerSchema, 'the answer');
const readOffer = checker(ResumeOfferSchema, 'the answer');
const readAlive = checker(AliveAnswerSchema, 'the answer');
const readDigest = checker(AttributesAnswerSchema, 'the answer');
const readBackup = checker(BackupSummarySchema, 'the answer');
const readDatasets = checker(DatasetsAnswerSchema, 'the answer');
const readBackups = checker(BackupsAnswerSchema, 'the answer');
const readReadGrants = checker(ReadGrantsAnswerSchema, 'the answer');
const readWriteGrants = checker(WriteGrantsAnswerSchema, 'the answer');
const readPlan = checker(RestorePlanSchema, 'the answer');
const readSettings = checker(SettingsAnswerSchema, 'the answer');
const readHistory = checker(HistoryAnswerSchema, 'the answer');

/** A commit looks at every segment in the store: it may take long. */
const COMMIT_TIMEOUT = 15 * 60_000;
const MAX_MANIFEST = 512 * 1024 * 1024;

/** The service, as an agent sees it. Every call may be repeated; every one throws {@link ZkeepError}. */
export class ServiceClient {
  /** The sets that several hosts take together. */
  readonly sets: SetCalls;
  readonly #exchange: Exchange;

  constructor(access: ServiceAccess) {
    this.#exchange = new Exchange(access);
    this.sets = new SetCalls(this.#exchange);
  }

  get url(): string {
    return this.#exchange.access.url;
  }

  /** How long service and store are waited for. */
  get patience(): Patience {
    return this.#exchange.patience;
  }

  /** So far the service's clock is ahead of ours by its last answer, milliseconds; `null`: it did not tell. */
  get ahead(): number | null {
    return this.#exchange.ahead;
  }

  async close(): Promise<void> {
    await this.#exchange.close();
  }

  /** Whether the service can do its work, and its version; one that says that it cannot is `unavailable`. */
  async health(signal?: AbortSignal): Promise<Health> {
    return await this.#exchange.askFor(readHealth, { method: 'GET', path: '/v1/health', signal });
  }

  async repository(signal?: AbortSignal): Promise<RepositoryInfo> {
    return await this.#exchange.askFor(readRepository, { method: 'GET', path: '/v1/repository', signal });
  }

  /**
   * Of these snapshots, those that the repository has.
   *
   * @param of whose they are: with it the service says which chains are to be renewed.
   */
  async known(
    guids: readonly Guid[],
    signal?: AbortSignal,
    of?: { readonly host: string; readonly dataset: string },
  ): Promise<KnownSnapshot[]> {
    const found: KnownSnapshot[] = [];
    for (let at = 0; at < guids.length; at += MAX_GUIDS) {
      const body = { guids: guids.slice(at, at + MAX_GUIDS), ...(of ? { of } : {}) };
      const answer = await this.#exchange.askFor(readKnown, {
        method: 'POST',
        path: '/v1/known',
        body,
        signal,
      });
      found.push(...answer.known);
    }
    return found;
  }

  /** @throws {ZkeepError} `busy` with code `backup.busy` when another writer is at the dataset or snapshot. */
  async open(body: OpenRequest, signal?: AbortSignal): Promise<OpenBackup> {
    const question = { method: 'POST' as const, path: '/v1/backups', headers: newSession(), body, signal };
    return await this.#exchange.askFor(readOpen, question);
  }

  /** The backups that are open, being written or left by an interrupted run; filtered as asked. */
  async openBackups(query: OpenBackupsQuery, signal?: AbortSignal): Promise<OpenBackupRow[]> {
    const question = { method: 'GET' as const, path: '/v1/backups/open', query, signal };
    return (await this.#exchange.askFor(readOpenBackups, question)).open;
  }

  /**
   * Takes over an open backup whose writer is dead; who wrote it before cannot go on.
   * It looks at every segment in the store, so it may take long.
   *
   * @throws {ZkeepError} `busy` with code `backup.busy` while its writer lives, `refused` with code
   *   `backup.committed` when it is a backup by now, `missing` with code `backup.not-open`.
   * @example const offer = await client.resume(backup, { writer: thisWriter(), takeover: row.writer });
   */
  async resume(backup: BackupId, body: ResumeRequest, signal?: AbortSignal): Promise<ResumeOffer> {
    const path = `/v1/backups/${backup}/resume`;
    const question = { method: 'POST' as const, path, headers: newSession(), body, signal };
    return await this.#exchange.askFor(readOffer, { ...question, timeout: COMMIT_TIMEOUT });
  }

  /** Renews the lease, in one try: it is done again soon. This and the next three throw `busy` with code `backup.taken-over` once another one resumed it. */
  async alive(writing: Writing, signal?: AbortSignal): Promise<void> {
    await this.#exchange.askFor(readAlive, {
      method: 'POST',
      ...placeOf(writing, 'alive'),
      signal,
      once: true,
    });
  }

  /** Grants to write segments, in the order asked; for one that is in the store already, that it is. */
  async writeGrants(
    writing: Writing,
    parts: readonly Part[],
    signal?: AbortSignal,
  ): Promise<(Grant | StoredPart)[]> {
    const question = { method: 'POST' as const, ...placeOf(writing, 'grants'), body: { parts }, signal };
    return await this.#askGrants(readWriteGrants, question, parts.length);
  }

  async putAttributes(writing: Writing, body: Attributes, signal?: AbortSignal): Promise<Digest> {
    const question = { method: 'PUT' as const, ...placeOf(writing, 'attributes'), body, signal };
    return (await this.#exchange.askFor(readDigest, question)).digest;
  }

  /**
   * Makes it a backup. Asked again after a lost answer, it gives the same one.
   *
   * @param waiting ends the wait for a service that is away; what was asked is not interrupted.
   */
  async commit(writing: Writing, body: CommitRequest, waiting?: AbortSignal): Promise<BackupSummary> {
    const question = { method: 'POST' as const, ...placeOf(writing, 'commit'), body, waiting };
    return await this.#exchange.askFor(readBackup, { ...question, timeout: COMMIT_TIMEOUT });
  }

  /**
   * Ends an open backup; one that is not open any more is as good.
   *
   * @param writing a writer names its session, so that it does not end what another one has resumed;
   *   without one, whoever writes it, it is ended.
   */
  async abandon(writing: Pick<Writing, 'backup'> & Partial<Writing>, signal?: AbortSignal): Promise<void> {
    const { backup, session } = writing;
    const headers = session === undefined ? {} : { [SESSION_HEADER]: session };
    try {
      await this.#exchange.ask({ method: 'DELETE', path: `/v1/backups/${backup}`, headers, signal });
    } catch (thrown) {
      if (!(thrown instanceof ZkeepError) || thrown.kind !== 'missing') throw thrown;
    }
  }

  async *datasets(query: DatasetsQuery, signal?: AbortSignal): AsyncGenerator<Dataset> {
    for await (const page of this.#pages(readDatasets, '/v1/datasets', query, signal)) yield* page.datasets;
  }

  async *backups(query: BackupsQuery, signal?: AbortSignal): AsyncGenerator<BackupSummary> {
    for await (const page of this.#pages(readBackups, '/v1/backups', query, signal)) yield* page.backups;
  }

  async backup(backup: BackupId, signal?: AbortSignal): Promise<BackupSummary> {
    return await this.#exchange.askFor(readBackup, { method: 'GET', path: `/v1/backups/${backup}`, signal });
  }

  async manifest(backup: BackupId, signal?: AbortSignal): Promise<Manifest> {
    const path = `/v1/backups/${backup}/manifest`;
    return parseManifest(await this.#exchange.ask({ method: 'GET', path, signal, maxBytes: MAX_MANIFEST }));
  }

  /** Grants to read segments, in the order asked. */
  async readGrants(backup: BackupId, segments: readonly number[], signal?: AbortSignal): Promise<Grant[]> {
    const path = `/v1/backups/${backup}/reads`;
    const question = { method: 'POST' as const, path, body: { segments }, signal };
    return await this.#askGrants(readReadGrants, question, segments.length);
  }

  async attributes(digest: Digest, signal?: AbortSignal): Promise<Attributes> {
    const path = `/v1/attributes/${digest}`;
    return parseAttributes(await this.#exchange.ask({ method: 'GET', path, signal, maxBytes: MAX_MANIFEST }));
  }

  /** What was set as of a snapshot or a moment. */
  async settings(wanted: Wanted, signal?: AbortSignal): Promise<SettingsAnswer> {
    const question = { method: 'POST' as const, path: '/v1/settings', body: { wanted }, signal };
    return await this.#exchange.askFor(readSettings, question);
  }

  async *history(query: HistoryQuery, signal?: AbortSignal): AsyncGenerator<HistoryPoint> {
    for await (const page of this.#pages(readHistory, '/v1/history', query, signal)) yield* page.points;
  }

  async plan(body: PlanRequest, signal?: AbortSignal): Promise<RestorePlan> {
    return await this.#exchange.askFor(readPlan, { method: 'POST', path: '/v1/plans', body, signal });
  }

  async *#pages<Page extends { next: string | null }>(
    read: (answer: unknown) => Page,
    path: string,
    query: { readonly after?: string },
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Page> {
    for (let after: string | null | undefined = query.after; after !== null; ) {
      const question = { method: 'GET' as const, path, query: { limit: MAX_PAGE, ...query, after }, signal };
      const page: Page = await this.#exchange.askFor(read, question);
      yield page;
      after = page.next;
    }
  }

  async #askGrants<T>(
    read: (answer: unknown) => { grants: T[] },
    question: Question,
    count: number,
  ): Promise<T[]> {
    if (count > MAX_GRANTS) throw new RangeError(`more than ${MAX_GRANTS} grants at once`);
    const { grants } = await this.#exchange.askFor(read, question);
    if (grants.length === count) return grants;
    throw strangeAnswer(this.url, `${grants.length} grants, not ${count}`, undefined);
  }
}

/** Where a writer's calls go, and the session that they carry. */
function placeOf({ backup, session }: Writing, what: string) {
  return { path: `/v1/backups/${backup}/${what}`, headers: { [SESSION_HEADER]: session } };
}

/** The same in every try of a question: one that arrives late does not end the session of the one that was answered. */
function newSession() {
  return { [SESSION_HEADER]: randomUUID() };
}
