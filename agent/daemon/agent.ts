/** The agent put together: the daemon on this host's clock, files, ZFS and service. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../catalog/clock.ts';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import { type Lock, lockFile } from '../../catalog/lock.ts';
import { Patience } from '../../catalog/patience.ts';
import { RunNotes } from '../backup/runs/notes.ts';
import { Throttle } from '../backup/upload/throttle.ts';
import { Progress } from '../output/progress.ts';
import { Waits } from '../output/waits.ts';
import { Ledgers } from '../restore/resume/ledger.ts';
import { checkIn } from '../service/agents.ts';
import { ServiceClient } from '../service/client.ts';
import type { ServiceAccess } from '../service/exchange.ts';
import { type CommonOptions, patienceBy, serviceToken, serviceUrl, stateFolder } from '../settings.ts';
import { ServiceView } from '../view/service-view.ts';
import { listDatasets } from '../zfs/list.ts';
import { limitAt } from './bandwidth.ts';
import { CheckIns } from './check-ins.ts';
import { type AgentConfiguration, loadAgentConfiguration } from './configuration.ts';
import { Daemon, type JobRun } from './daemon.ts';
import { Debts, type RunBy } from './jobs/debts.ts';
import type { AnyJob, DrillJob } from './jobs/drills/job.ts';
import { runDrill } from './jobs/drills/run.ts';
import { type JobEnd, MOST_WORDS, Records } from './jobs/records.ts';
import { datasetsNow, runJob } from './jobs/run.ts';
import type { AgentLog } from './log.ts';

/** What an agent is started with. */
export interface AgentStart {
  readonly file: string;
  /** Of the command line; they come before the file. */
  readonly options: CommonOptions;
  readonly version: string;
  readonly log: AgentLog;
}

/** What {@link runAgent} hears. */
export interface AgentSignals {
  /** Aborts when it is to end. */
  readonly stop: AbortSignal;
  /** Gives what is to be called when the configuration is to be read anew. */
  readonly onReload: (reload: () => void) => void;
}

/** The last word to the service may take so long, milliseconds. */
const LAST_WORD = 5_000;

/**
 * Runs until it is stopped.
 *
 * @throws {ZkeepError} what {@link loadAgentConfiguration} throws; `busy` (`agent.running`) when one runs already.
 */
export async function runAgent(start: AgentStart, { stop, onReload }: AgentSignals): Promise<void> {
  const { log } = start;
  const load = () => loadAgentConfiguration(start.file);
  const first = load();
  const folder = agentFolder(first);
  const lock = lockAgent(folder);
  try {
    const debts = new Debts(folder, 'daemon');
    await debts.settle((job, thrown) => tellDebt(log, job, thrown));
    const { datasets } = hostDatasets();
    // The one of the configuration as it is at the moment, shared by all that runs at once.
    const throttle = new Throttle(() => limitAt(daemon.state.configuration.bandwidth, systemClock.now()));
    const checkIns = new CheckIns({
      clock: systemClock,
      log,
      version: start.version,
      datasets,
      send: async (body, { configuration }, signal) => {
        const patience = new Patience({ limit: 0 });
        return await checkIn({ ...accessOf(configuration, start.options), patience }, body, signal);
      },
    });
    const daemon: Daemon = new Daemon({
      clock: systemClock,
      log,
      records: new Records(folder),
      load,
      perform: async (run) => await performRun(run, { ...start, debts, throttle }),
      datasets,
      changed: (state) => checkIns.changed(state),
    });
    onReload(() => daemon.reload());
    const saying = checkIns.run(stop);
    await daemon.run(stop);
    await saying;
    await checkIns.say(AbortSignal.timeout(LAST_WORD));
    log.info({}, 'the agent has ended');
  } finally {
    lock.release();
  }
}

/**
 * Runs one job now, as the daemon would.
 *
 * @throws {ZkeepError} `missing` (`agent.no-job`) when the configuration has none of that name.
 */
export async function runJobNow(name: string, start: AgentStart, stop: AbortSignal): Promise<JobEnd> {
  const configuration = loadAgentConfiguration(start.file);
  const job = configuration.jobs.find((one) => one.name === name);
  if (!job) throw noJob(name, configuration);
  const debts = debtsOf(configuration, 'hand');
  const throttle = new Throttle(() => limitAt(configuration.bandwidth, systemClock.now()));
  return await performRun({ job, only: null, configuration, signal: stop }, { ...start, debts, throttle });
}

/** Asks ZFS which datasets jobs cover; for several jobs at once it is asked once. */
export function hostDatasets(): {
  datasets: (job: AnyJob, signal: AbortSignal) => Promise<readonly string[]>;
} {
  let listing: { readonly at: number; readonly found: ReturnType<typeof listDatasets> } | undefined;
  const datasets = async (job: AnyJob, signal: AbortSignal) => {
    // What a drill restores is at no dataset of this host that a job covers.
    if (job.kind === 'drill') return [];
    const now = systemClock.now();
    if (!listing || now - listing.at >= 1000 || now < listing.at) {
      const found = listDatasets(signal);
      found.catch(() => undefined);
      listing = { at: now, found };
    }
    return await datasetsNow(job, job.covered.kind === 'lustre' ? [] : await listing.found, signal);
  };
  return { datasets };
}

interface Performing extends AgentStart {
  readonly debts: Debts;
  readonly throttle: Throttle;
}

async function performRun(
  { job, only, configuration, signal }: JobRun,
  { options, log, debts, throttle }: Performing,
): Promise<JobEnd> {
  const progress = progressInto(log, job.name);
  const waits = new Waits(progress, systemClock);
  const patience = new Patience({
    limit:
      options.patience === undefined ? (configuration.patience ?? patienceBy(options)) : patienceBy(options),
    onWait: (waiting) => waits.tell(waiting),
    onEnd: (party, waited) => waits.end(party, waited),
  });
  if (job.kind === 'drill')
    return await performDrillJob(job, { configuration, options, progress, patience, signal });
  let client: ServiceClient | undefined;
  try {
    // Also of one that was run by hand, and killed, while the daemon ran.
    await debts.settle((owing, thrown) => tellDebt(log, owing, thrown));
    client = new ServiceClient({ ...accessOf(configuration, options), patience });
    const notes = new RunNotes(configuration.state ?? stateFolder());
    return await runJob(job, only, { client, progress, signal, throttle, debts, notes });
  } catch (thrown) {
    // The token is read anew by every run: it may have been put there by now.
    return failedRun(thrown);
  } finally {
    await client?.close();
  }
}

async function performDrillJob(
  job: DrillJob,
  {
    configuration,
    options,
    progress,
    patience,
    signal,
  }: Pick<JobRun, 'configuration' | 'signal'> & {
    readonly options: CommonOptions;
    readonly progress: Progress;
    readonly patience: Patience;
  },
): Promise<JobEnd> {
  let view: ServiceView | undefined;
  try {
    const access = { ...accessOf(configuration, options), patience };
    view = new ServiceView(access, signal);
    const ledgers = new Ledgers(configuration.state ?? stateFolder());
    return await runDrill(job, { access, view, progress, ledgers, signal });
  } catch (thrown) {
    return failedRun(thrown);
  } finally {
    await view?.close();
  }
}

function failedRun(thrown: unknown): JobEnd {
  return { outcome: 'failed', words: messageOf(thrown).slice(0, MOST_WORDS), stored: 0, failed: [] };
}

/** By option, else by the environment, else by the file. */
function accessOf({ service, tokenFile }: AgentConfiguration, options: CommonOptions): ServiceAccess {
  const isSaid = (...names: string[]) => names.some((name) => process.env[name] !== undefined);
  const said: CommonOptions = {
    ...options,
    ...(service === undefined || options.service !== undefined || isSaid('ZKEEP_SERVICE') ? {} : { service }),
    ...(tokenFile === undefined ||
    options.tokenFile !== undefined ||
    isSaid('ZKEEP_TOKEN', 'ZKEEP_TOKEN_FILE')
      ? {}
      : { tokenFile }),
  };
  return { url: serviceUrl(said), token: serviceToken(said) };
}

/** What a command would tell on its screen, without the progress. */
function progressInto(log: AgentLog, job: string): Progress {
  const write = (text: string) => log.info({ job }, text.replace(/^zkeep: /, '').trimEnd());
  return new Progress({ write }, systemClock, true);
}

/** What of the state folder is the daemon's. */
function agentFolder({ state }: AgentConfiguration): string {
  return join(state ?? stateFolder(), 'agent');
}

function debtsOf(configuration: AgentConfiguration, by: RunBy): Debts {
  return new Debts(agentFolder(configuration), by);
}

function lockAgent(folder: string): Lock {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return lockFile(join(folder, 'agent.lock'), (cause) => {
      return new ZkeepError('busy', 'agent.running', 'an agent runs on this host already', {
        advice: 'one is enough: it runs all jobs; zkeep agent run JOB runs one now',
        facts: { folder },
        cause,
      });
    });
  } catch (thrown) {
    if (thrown instanceof ZkeepError) throw thrown;
    throw new ZkeepError('denied', 'agent.state', `cannot use ${folder}: ${messageOf(thrown)}`, {
      advice: 'run it as the user who owns the state folder, mostly root; "state" names another one',
      facts: { folder },
      cause: thrown,
    });
  }
}

function tellDebt(log: AgentLog, job: string, thrown: unknown): void {
  if (thrown === undefined) log.warn({ job }, 'the hook "after" of a run that was killed has been run');
  else log.error({ job }, `the hook "after" of a run that was killed: ${messageOf(thrown)}`);
}

function noJob(name: string, { file, jobs }: AgentConfiguration): ZkeepError {
  const names = jobs.map((job) => job.name).join(', ');
  return new ZkeepError(
    'missing',
    'agent.no-job',
    `${file} has no job ${JSON.stringify(name.slice(0, 80))}`,
    {
      advice: names === '' ? 'it has no jobs at all: AGENT.md shows one' : `its jobs are ${names}`,
      facts: { file, job: name.slice(0, 200) },
    },
  );
}
