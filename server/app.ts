/** The service put together: what lasts, the acts on it, and HTTP in front. */
import type { FastifyBaseLogger } from 'fastify';
import { type Clock, systemClock } from '../catalog/clock.ts';
import { messageOf, ZkeepError } from '../catalog/errors.ts';
import { DirectoryStore } from '../catalog/repository/store/directory-store.ts';
import type { ObjectStore } from '../catalog/repository/store/store.ts';
import { Agents } from './agents/agents.ts';
import { Backups } from './backup/backups.ts';
import type { Configuration } from './configuration/configuration.ts';
import { Enrolments } from './enrolment/enrolment.ts';
import { type Foundation, openFoundation } from './foundation.ts';
import { SelfGranter, type SelfGranterOptions } from './grants.ts';
import { addRoutes, makeApp } from './http/fastify.ts';
import { copyJob } from './jobs/copy.ts';
import { InUse } from './jobs/in-use.ts';
import { Leases } from './jobs/lease.ts';
import { Prune } from './jobs/prune/prune.ts';
import { Jobs } from './jobs/runner.ts';
import { sweepJob } from './jobs/sweep.ts';
import { VerifyLedger } from './jobs/verify/ledger.ts';
import { verifyJob } from './jobs/verify/verify.ts';
import { watchJob } from './jobs/watch.ts';
import { Journal, type JournalPace } from './journal/journal.ts';
import { Outbox } from './journal/outbox.ts';
import { stderrLogger } from './logger.ts';
import { Notices } from './notices/notices.ts';
import type { App, Service } from './service.ts';
import { Sets } from './sets/sets.ts';
import { Candidates } from './state/candidates.ts';
import { JobRuns } from './state/job-runs.ts';
import { grantKey, serviceId } from './state/kept.ts';
import { OpenBackups } from './state/open-backups.ts';
import { Tokens } from './state/tokens.ts';
import { lookAt } from './status/look.ts';
import { adoptUploads } from './uploads/adopting.ts';
import { NOTE_EVERY } from './uploads/notes.ts';

export interface ServiceOptions {
  readonly configuration: Configuration;
  readonly clock?: Clock;
  readonly logger?: FastifyBaseLogger;
  /** Instead of the one that the configuration names; it is closed with the service. */
  readonly store?: ObjectStore;
  /** Least time between two notes on an open backup in the bucket, milliseconds. */
  readonly noteEvery?: number;
  /** How often noted facts are written, and other services followed. */
  readonly journal?: Partial<JournalPace>;
}

/** A service that is ready, and listens when it is told to. */
export interface RunningService {
  readonly app: App;
  readonly tokens: Tokens;
  readonly journal: Journal;
  /** Listens as configured; gives the address: `http://host:port`. */
  listen(): Promise<string>;
  /** Finishes requests for at most `limits.stop_seconds`, then lets go of everything. */
  close(): Promise<void>;
}

/**
 * Builds the service: opens or creates the repository, brings the index up to
 * date with it, and goes on with what a former run left.
 *
 * @throws what {@link openFoundation} throws.
 * @example const service = await buildService({ configuration }); await service.listen();
 */
export async function buildService(options: ServiceOptions): Promise<RunningService> {
  const { configuration, clock = systemClock } = options;
  const log = options.logger ?? stderrLogger(configuration.logLevel);
  const foundation = await openFoundation({ configuration, clock, log, store: options.store });
  try {
    return await buildOn(foundation, { ...options, clock }, log);
  } catch (thrown) {
    await foundation.close();
    throw thrown;
  }
}

async function buildOn(
  { state, repository, index, close }: Foundation,
  options: ServiceOptions & { readonly clock: Clock },
  log: FastifyBaseLogger,
): Promise<RunningService> {
  const { configuration, clock, noteEvery = NOTE_EVERY } = options;
  const { limits } = configuration;
  const app = makeApp(limits, log);
  const tokens = new Tokens(state, clock);
  const { granter, objects } = await granting(repository.store, {
    key: grantKey(state),
    clock,
    address: () => configuration.publicUrl ?? addressOf(app, configuration),
    lifetime: limits.grant_seconds * 1000,
  });
  const { store } = repository;
  const outbox = new Outbox(state);
  const journal = new Journal(
    { store, index, outbox, clock, log, service: serviceId(state) },
    options.journal,
  );
  const open = new OpenBackups(state, clock);
  const candidates = new Candidates(state);
  const inUse = new InUse();
  const keeping = { repository, index, open, journal, inUse, clock, log, service: serviceId(state) };
  const { prune: pruning, sweep: sweeping } = configuration.jobs;
  const prune = new Prune({ ...keeping, grace: pruning.grace });
  const limit = limits.open_backups;
  const acting = { granter, candidates, marks: prune.marks, limit };
  const surroundings = { repository, index, open, journal, clock, log, ...acting };
  await adoptUploads(surroundings, state);
  const backups = new Backups(surroundings, { service: serviceId(state), every: noteEvery });
  const sets = new Sets(state, clock);
  sets.resume();
  const { verify: settings, zone } = configuration.jobs;
  const ledger = new VerifyLedger(state);
  const verify = verifyJob({ repository, index, journal, ledger, inUse, clock, log, settings, zone });
  const { data: folder } = configuration;
  const copy = copyJob({ repository, index, clock, log, folder, settings: configuration.jobs.copy });
  const agents = new Agents({ state, clock, journal, log });
  const teller = { repository: repository.marker.id, service: serviceId(state) };
  const notices = new Notices(configuration.jobs.notices, { state, index, journal, clock, log, teller });
  const watch = watchJob({
    index,
    journal,
    status: () => lookAt({ index, agents, jobs, notices, clock }),
    agents,
    clock,
    schedule: configuration.jobs.watch.schedule,
  });
  const sweep = sweepJob({ ...keeping, grace: sweeping.grace }, sweeping.schedule);
  const jobs: Jobs = new Jobs([verify, prune.job(pruning.schedule), sweep, copy, watch], {
    clock,
    log,
    zone: configuration.jobs.zone,
    leases: new Leases({ store, clock, service: serviceId(state) }),
    runs: new JobRuns(state),
    journal,
  });
  const enrolments = new Enrolments({ state, tokens, clock, journal });
  const acts = { backups, sets, journal, jobs, prune, agents, enrolments, notices };
  await addRoutes(app, tokens, { repository, index, granter, ...acts, inUse, clock, objects });
  await app.ready();
  await backups.recover();
  return {
    app,
    tokens,
    journal,
    listen: async () => {
      await listenOn(app, configuration);
      journal.start();
      notices.start();
      jobs.start();
      if (isBare(configuration)) log.warn('tokens travel without TLS here: put a proxy with TLS in front');
      return addressOf(app, configuration);
    },
    close: async () => {
      await closeServer(app, limits.stop_seconds * 1000);
      await jobs.stop();
      await backups.stop();
      await journal.close();
      await notices.stop();
      await close();
    },
  };
}

/** A bucket's store takes granted requests itself; for a folder, the service does. */
async function granting(
  store: ObjectStore,
  options: SelfGranterOptions,
): Promise<Pick<Service, 'granter' | 'objects'>> {
  if (store instanceof DirectoryStore) {
    const granter = new SelfGranter(options);
    return { granter, objects: { store, granter } };
  }
  // The AWS SDK is large: who keeps to a folder does not load it.
  const { S3Store } = await import('../catalog/repository/store/s3-store.ts');
  const { S3Granter } = await import('../catalog/repository/store/s3-grants.ts');
  if (!(store instanceof S3Store)) throw new Error(`nobody makes grants for ${store.location}`);
  return { granter: new S3Granter(store, options.clock), objects: undefined };
}

async function listenOn(app: App, { listen }: Configuration): Promise<void> {
  try {
    await app.listen(listen);
  } catch (cause) {
    throw new ZkeepError(
      'usage',
      'listen.failed',
      `cannot listen on ${listen.host}:${listen.port}: ${messageOf(cause)}`,
      {
        advice: 'another service may be there: choose another port with --port or "listen"',
        facts: { ...listen },
        cause,
      },
    );
  }
}

/** Whether agents of other hosts reach the service without TLS. */
function isBare({ listen, publicUrl }: Configuration): boolean {
  return !/^(127\.|localhost$|::1$)/.test(listen.host) && !publicUrl?.startsWith('https:');
}

/** Lets requests come to their end within the time given; connections on which nothing comes are not waited for. */
async function closeServer(app: App, milliseconds: number): Promise<void> {
  const idle = setInterval(() => app.server.closeIdleConnections(), 50);
  const late = setTimeout(() => app.server.closeAllConnections(), milliseconds);
  try {
    await app.close();
  } finally {
    clearInterval(idle);
    clearTimeout(late);
  }
}

/** Where the service is reached: as it listens, or as it is to listen. */
function addressOf(app: App, { listen }: Configuration): string {
  const bound = app.server.address();
  const { address, port } =
    typeof bound === 'object' && bound ? bound : { address: listen.host, port: listen.port };
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
}
