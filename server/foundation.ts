/** What outlasts a run of the service: its state, the store, the repository in it, and the index beside. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../catalog/clock.ts';
import { ZkeepError } from '../catalog/errors.ts';
import { CatalogIndex } from '../catalog/index/catalog-index.ts';
import { type RefreshReport, rebuild, refresh } from '../catalog/index/refresh.ts';
import { createRepository, openRepository, type Repository } from '../catalog/repository/repository.ts';
import { openStore } from '../catalog/repository/store/location.ts';
import type { ObjectStore } from '../catalog/repository/store/store.ts';
import type { Configuration } from './configuration/configuration.ts';
import { lockFolder } from './state/lock.ts';
import { keepRepository, knownRepository, openState, type State } from './state/state.ts';

export interface Foundation {
  readonly state: State;
  readonly repository: Repository;
  readonly index: CatalogIndex;
  /** What bringing the index up to date found. */
  readonly report: RefreshReport;
  close(): Promise<void>;
}

export interface FoundationOptions {
  readonly configuration: Configuration;
  readonly clock: Clock;
  readonly log: FastifyBaseLogger;
  /** Instead of the one that the configuration names. */
  readonly store?: ObjectStore | undefined;
  /** Make the index anew instead of bringing it up to date. */
  readonly anew?: boolean;
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
    const { index, report } = await fillIndex(join(configuration.data, 'index.db'), repository, options);
    undo.push(() => index.close());
    return { state, repository, index, report, close };
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

/** An index that is damaged is made anew: it holds nothing that the bucket does not. */
async function fillIndex(
  file: string,
  repository: Repository,
  options: FoundationOptions,
): Promise<{ index: CatalogIndex; report: RefreshReport }> {
  try {
    return await openIndex(file, repository, options);
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError) || thrown.code !== 'index.sqlite' || thrown.kind !== 'damaged')
      throw thrown;
    options.log.warn({ err: thrown, file }, 'the index is damaged: it is made anew');
    for (const suffix of ['', '-wal', '-shm']) await rm(`${file}${suffix}`, { force: true });
    return await openIndex(file, repository, options);
  }
}

async function openIndex(
  file: string,
  repository: Repository,
  { log, anew }: FoundationOptions,
): Promise<{ index: CatalogIndex; report: RefreshReport }> {
  const index = new CatalogIndex(file);
  try {
    const report = await (anew ? rebuild(repository, index) : refresh(repository, index));
    for (const { key, error } of report.problems) log.error({ err: error, key }, 'a manifest cannot be used');
    const { listed, added, removed, attributes } = report;
    log.info({ listed, added, removed, attributes }, 'the index is up to date');
    return { index, report };
  } catch (thrown) {
    index.close();
    throw thrown;
  }
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
