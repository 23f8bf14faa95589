/** What outlasts a run of the service: its state, the store, the repository in it, and the index beside. */
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../catalog/clock.ts';
import { ZkeepError } from '../catalog/errors.ts';
import { CatalogIndex } from '../catalog/index/catalog-index.ts';
import type { IndexCopy } from '../catalog/index/copy/description.ts';
import { takeCopy } from '../catalog/index/copy/take.ts';
import { type JournalReport, readJournal } from '../catalog/index/read-journal.ts';
import { type RefreshReport, refresh } from '../catalog/index/refresh.ts';
import { readJournalKey } from '../catalog/repository/names.ts';
import { createRepository, openRepository, type Repository } from '../catalog/repository/repository.ts';
import { openStore } from '../catalog/repository/store/location.ts';
import type { ObjectStore } from '../catalog/repository/store/store.ts';
import { momentOfUuid7 } from '../catalog/words.ts';
import type { Configuration } from './configuration/configuration.ts';
import { keepRepository, knownRepository } from './state/kept.ts';
import { lockFolder } from './state/lock.ts';
import { openState, type State } from './state/state.ts';

export interface Foundation {
  readonly state: State;
  readonly repository: Repository;
  readonly index: CatalogIndex;
  /** What bringing the index up to date found. */
  readonly report: RefreshReport;
  /** The same of the journal. */
  readonly journal: JournalReport;
  /** The copy from which the index was made; absent: none was needed, or none was fit. */
  readonly copy: IndexCopy | undefined;
  close(): Promise<void>;
}

export interface FoundationOptions {
  readonly configuration: Configuration;
  readonly clock: Clock;
  readonly log: FastifyBaseLogger;
  /** Instead of the one that the configuration names. */
  readonly store?: ObjectStore | undefined;
  /** Make the index anew instead of bringing it up to date: from its newest copy in the bucket, or from all manifests. */
  readonly anew?: 'copy' | 'manifests';
}

/**
 * Opens it all, for one process at a time: creates the repository at the first
 * start, and brings the index up to date with it at every one.
 *
 * @throws {ZkeepError} `busy` when a service runs on this data folder; `refused` when the repository is
 *   newer than this zkeep, or not the one that this service knows.
 */
export async function openFoundation(options: FoundationOptions): Promise<Foundation> {
  const { configuration } = options;
  const undo: (() => unknown)[] = [];
  const close = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const state = openState(configuration.data);
    undo.push(() => state.close());
    const lock = lockFolder(configuration.data);
    undo.push(() => lock.release());
    const store = options.store ?? (await openConfiguredStore(configuration, state));
    undo.push(() => store.close());
    const repository = await openOrCreate(store, state, options);
    keepRepository(state, repository.marker.id, store.location);
    const filled = await fillIndex(join(configuration.data, 'index.db'), repository, options);
    undo.push(() => filled.index.close());
    return { state, repository, ...filled, close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

async function openConfiguredStore({ store }: Configuration, state: State): Promise<ObjectStore> {
  // Only the first start makes the folder: later a missing one is a file system that is not mounted.
  if (store.type === 'directory' && !knownRepository(state)) {
    await mkdir(store.path, { recursive: true, mode: 0o700 });
  }
  return await openStore(store);
}

async function openOrCreate(
  store: ObjectStore,
  state: State,
  { configuration, clock, log }: FoundationOptions,
): Promise<Repository> {
  try {
    return await openRepository(store);
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError) || thrown.code !== 'repository.none') throw thrown;
    if (knownRepository(state)) throw vanished(store, thrown);
  }
  try {
    const { recipients } = configuration;
    const repository = await createRepository(store, { recipients, now: clock.now() });
    log.info({ location: store.location, id: repository.marker.id, recipients }, 'created the repository');
    return repository;
  } catch (thrown) {
    // Another service was first.
    if (!(thrown instanceof ZkeepError) || thrown.code !== 'store.exists') throw thrown;
    return await openRepository(store);
  }
}

type FilledIndex = Pick<Foundation, 'index' | 'report' | 'journal' | 'copy'>;

/** Names of objects of the journal that are so much older (milliseconds) than the last known one are known. */
const CAUGHT_UP = 30 * 86_400_000;

/**
 * An index that is missing is taken from its copy in the bucket, or made from all manifests; so is
 * one that is damaged: it holds nothing that the bucket does not.
 */
async function fillIndex(
  file: string,
  repository: Repository,
  options: FoundationOptions,
): Promise<FilledIndex> {
  const { anew, log } = options;
  if (anew) await removeIndex(file);
  try {
    const copy = anew === 'manifests' || existsSync(file) ? undefined : await copyOf(file, repository, log);
    return { ...(await openIndex(file, repository, options, copy)), copy };
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError) || thrown.code !== 'index.sqlite' || thrown.kind !== 'damaged')
      throw thrown;
    log.warn({ err: thrown, file }, 'the index is damaged: it is made anew');
    await removeIndex(file);
    return { ...(await openIndex(file, repository, options)), copy: undefined };
  }
}

async function removeIndex(file: string): Promise<void> {
  for (const suffix of ['', '-wal', '-shm']) await rm(`${file}${suffix}`, { force: true });
}

async function copyOf(
  file: string,
  { store, marker }: Repository,
  log: FastifyBaseLogger,
): Promise<IndexCopy | undefined> {
  await removeIndex(file);
  const onUnfit = (key: string, error: ZkeepError) =>
    log.warn({ err: error, key }, 'a copy of the index cannot be used');
  const copy = await takeCopy(store, { repository: marker.id, file, onUnfit });
  if (copy) log.info({ created: copy.created, size: copy.size }, 'the index was taken from its copy');
  return copy;
}

async function openIndex(
  file: string,
  repository: Repository,
  { clock, log }: FoundationOptions,
  copy?: IndexCopy,
): Promise<Omit<FilledIndex, 'copy'>> {
  const index = new CatalogIndex(file);
  try {
    // First: what is damaged must not be taken for whole.
    // What the service that made a copy did not see is not to be missed for ever.
    const journal = copy
      ? await readJournal(repository.store, index, { again: true })
      : await catchUp(repository, index, clock.now());
    for (const { key, error } of journal.problems) log.error({ err: error, key }, UNUSABLE);
    const report = await refresh(repository, index);
    for (const { key, error } of report.problems) log.error({ err: error, key }, 'a manifest cannot be used');
    const { listed, added, removed, attributes } = report;
    const { entries } = journal;
    log.info({ listed, added, removed, attributes, entries }, 'the index is up to date');
    return { index, report, journal };
  } catch (thrown) {
    index.close();
    throw thrown;
  }
}

const UNUSABLE = 'an object of the journal cannot be used, or not wholly';

/** Reads what the journal says since the last run; of an index without any of it, all. */
async function catchUp({ store }: Repository, index: CatalogIndex, now: number): Promise<JournalReport> {
  const last = index.journal.last();
  const known = last && momentOfUuid7(readJournalKey(last) ?? '');
  if (!known) return await readJournal(store, index, { again: true });
  return await readJournal(store, index, { since: Math.min(known, now) - CAUGHT_UP, again: true });
}

function vanished({ location }: ObjectStore, cause: unknown): ZkeepError {
  return new ZkeepError(
    'refused',
    'repository.vanished',
    `the repository at ${location} is not there any more`,
    {
      advice:
        'is its file system mounted, and the bucket the right one? A new repository needs a new data folder',
      facts: { location },
      cause,
    },
  );
}
