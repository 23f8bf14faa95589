/** The daemon: runs jobs when they are due, as many at once as it may, until it is told to stop. */
import type { Clock } from '../../catalog/clock.ts';
import { messageOf } from '../../catalog/errors.ts';
import { counted, spanInWords } from '../output/words.ts';
import type { AgentConfiguration } from './configuration.ts';
import type { AnyJob } from './jobs/drills/job.ts';
import { type DueJob, decideDue, mended, nextRun } from './jobs/due.ts';
import {
  begun,
  ended,
  found,
  type JobEnd,
  type JobRecord,
  MOST_WORDS,
  newRecord,
  type Records,
} from './jobs/records.ts';
import type { AgentLog } from './log.ts';

/** A job that runs. */
export interface JobRun {
  readonly job: AnyJob;
  /** Only these datasets; `null`: all. */
  readonly only: readonly string[] | null;
  readonly configuration: AgentConfiguration;
  /** Aborts when the daemon stops. */
  readonly signal: AbortSignal;
}

/** What the daemon works with; tests bring their own. */
export interface DaemonTools {
  readonly clock: Clock;
  readonly log: AgentLog;
  readonly records: Pick<Records, 'read' | 'write'>;
  /** Reads the configuration anew. @throws {ZkeepError} when it is wrong. */
  readonly load: () => AgentConfiguration;
  /** Runs a job. It does not throw. */
  readonly perform: (run: JobRun) => Promise<JobEnd>;
  /** The datasets that a job covers now. @throws {ZkeepError} when ZFS cannot be asked. */
  readonly datasets: (job: AnyJob, signal: AbortSignal) => Promise<readonly string[]>;
  /** Something changed of what the service should know. It does not throw. */
  readonly changed: (state: DaemonState) => void;
}

/** What the daemon knows. */
export interface DaemonState {
  readonly configuration: AgentConfiguration;
  readonly records: ReadonlyMap<string, JobRecord>;
  readonly running: ReadonlySet<string>;
}

/** A sleep is broken so often, milliseconds, to see whether the clock was set anew: nothing tells. */
const LOOK = 5_000;
/** A clock that goes otherwise than a sleep by so much was set anew, milliseconds. */
const JUMP = 60_000;

/** One daemon; {@link run} is called once. */
export class Daemon {
  readonly #tools: DaemonTools;
  #configuration: AgentConfiguration;
  #records = new Map<string, JobRecord>();
  readonly #running = new Map<
    string,
    {
      readonly kind: AnyJob['kind'];
      /** `undefined`: nobody could tell. */
      readonly datasets: ReadonlySet<string> | undefined;
      readonly over: Promise<void>;
    }
  >();
  /** Rings when there may be something to do. */
  #bell = new AbortController();
  /** Jobs that wait for another one that is at their datasets: told once. */
  readonly #held = new Set<string>();

  /** @throws {ZkeepError} when the configuration is wrong. */
  constructor(tools: DaemonTools) {
    this.#tools = tools;
    this.#configuration = tools.load();
  }

  get state(): DaemonState {
    return {
      configuration: this.#configuration,
      records: this.#records,
      running: new Set(this.#running.keys()),
    };
  }

  /** Runs until the signal aborts, and then until the runs that it interrupts have ended in order. */
  async run(stop: AbortSignal): Promise<void> {
    const { records, log, clock } = this.#tools;
    const read = await records.read((thrown) =>
      log.error(
        { reason: messageOf(thrown) },
        'what ran when is not known any more: the file cannot be used',
      ),
    );
    this.#records = new Map([...read].map(([name, record]) => [name, found(record, clock)]));
    await this.#adopt('runs');
    const ring = () => this.#bell.abort();
    stop.addEventListener('abort', ring, { once: true });
    while (!stop.aborted) {
      // Whatever rings from here on is heard by the sleep.
      this.#bell = new AbortController();
      const { due, next } = this.#decide();
      await this.#startSome(due, stop);
      if (!stop.aborted) await this.#rest(next);
    }
    stop.removeEventListener('abort', ring);
    await Promise.all([...this.#running.values()].map(({ over }) => over));
  }

  /** Reads the configuration anew; a wrong one changes nothing. What runs ends under the old one. */
  reload(): void {
    const { load, log } = this.#tools;
    try {
      this.#configuration = load();
    } catch (thrown) {
      log.error({}, `the configuration is wrong, and the old one stays: ${messageOf(thrown)}`);
      return;
    }
    void this.#adopt('has read its configuration anew, and runs');
    this.#bell.abort();
  }

  /** From when a job was first seen, its runs count. */
  async #adopt(what: string): Promise<void> {
    const { clock, log, changed } = this.#tools;
    const { jobs, file } = this.#configuration;
    const names = new Set(jobs.map(({ name }) => name));
    const kept = [...this.#records].filter(([name]) => names.has(name) || this.#running.has(name));
    this.#records = new Map(kept);
    for (const name of names) if (!this.#records.has(name)) this.#records.set(name, newRecord(clock.now()));
    log.info({ file, jobs: [...names] }, `the agent ${what} ${counted(jobs.length, 'job')}`);
    changed(this.state);
    await this.#remember();
  }

  #decide(): ReturnType<typeof decideDue> {
    const { jobs } = this.#configuration;
    const running = new Set(this.#running.keys());
    const now = this.#tools.clock.now();
    for (const { name, schedule } of jobs) {
      const record = this.#records.get(name);
      if (record) this.#records.set(name, mended(schedule, record, now));
    }
    return decideDue({ jobs, records: this.#records, running, now });
  }

  async #startSome(due: readonly DueJob[], stop: AbortSignal): Promise<void> {
    for (const one of due) {
      if (stop.aborted) return;
      const job = this.#configuration.jobs.find(({ name }) => name === one.name);
      if (job && this.#hasRoomFor(job)) await this.#startUnlessHeld(job, one, stop);
    }
  }

  /** A drill may take hours: it runs beside what backs up, and never two at once. */
  #hasRoomFor({ kind }: AnyJob): boolean {
    const most = kind === 'drill' ? 1 : this.#configuration.concurrency;
    return [...this.#running.values()].filter((running) => running.kind === kind).length < most;
  }

  /** Two runs of one process at one dataset would take each other for dead. */
  async #startUnlessHeld(job: AnyJob, due: DueJob, stop: AbortSignal): Promise<void> {
    const datasets = await this.#datasetsOf(job, stop);
    const rival = job.kind === 'drill' ? undefined : this.#rivalOf(datasets);
    if (rival !== undefined) {
      const words = `waits for ${rival}, which is at a dataset of it`;
      if (!this.#held.has(job.name)) this.#tools.log.info({ job: job.name }, words);
      this.#held.add(job.name);
      return;
    }
    this.#held.delete(job.name);
    if (!stop.aborted) await this.#start(job, due, datasets, stop);
  }

  /** The job that runs and backs up one of these datasets; where nobody can tell which they are, any may be. */
  #rivalOf(datasets: ReadonlySet<string> | undefined): string | undefined {
    const rival = [...this.#running].find(
      ([, { kind, datasets: others }]) =>
        kind === 'backup' && !(datasets && others && ![...datasets].some((one) => others.has(one))),
    );
    return rival?.[0];
  }

  /** What cannot be asked is told by the run itself. */
  async #datasetsOf(job: AnyJob, stop: AbortSignal): Promise<ReadonlySet<string> | undefined> {
    try {
      return new Set(await this.#tools.datasets(job, stop));
    } catch {
      return undefined;
    }
  }

  async #start(
    job: AnyJob,
    { again }: DueJob,
    datasets: ReadonlySet<string> | undefined,
    stop: AbortSignal,
  ): Promise<void> {
    const { clock, log } = this.#tools;
    const { name } = job;
    const before = this.#records.get(name) ?? newRecord(clock.now());
    const only = again ? (before.retry?.only ?? null) : null;
    this.#records.set(name, begun(before, { again }, clock.now()));
    // On disk before anything is done: who is killed from here on has begun it.
    await this.#remember();
    log.info({ job: name, again }, again ? 'begins again' : 'begins');
    const run = { job, only, configuration: this.#configuration, signal: stop };
    const over = this.#perform(run).then(async (end) => await this.#end(name, end));
    this.#running.set(name, { kind: job.kind, datasets, over });
    this.#tools.changed(this.state);
  }

  /** A defect of ours in one job must not end the others. */
  async #perform(run: JobRun): Promise<JobEnd> {
    try {
      return await this.#tools.perform(run);
    } catch (thrown) {
      return {
        outcome: 'failed',
        // As many as the record takes, which is read again.
        words: `something unforeseen: ${messageOf(thrown)}`.slice(0, MOST_WORDS),
        stored: 0,
        failed: [],
      };
    }
  }

  async #end(name: string, end: JobEnd): Promise<void> {
    const { clock, log } = this.#tools;
    const before = this.#records.get(name) ?? newRecord(clock.now());
    const record = ended(before, end, clock);
    // The configuration that is there by now may not have it.
    if (this.#configuration.jobs.some((job) => job.name === name)) this.#records.set(name, record);
    else this.#records.delete(name);
    this.#running.delete(name);
    const { outcome, words, stored } = end;
    const seconds = (clock.now() - (before.started ?? clock.now())) / 1000;
    const next = outcome === 'interrupted' ? undefined : this.#nextOf(name, record);
    const then =
      next === undefined ? '' : `; again in ${spanInWords(Math.max(0, next - clock.now()) / 1000)}`;
    const facts = { job: name, outcome, stored, seconds };
    if (outcome === 'done') log.info(facts, `done: ${words}`);
    else if (outcome === 'interrupted') log.warn(facts, `interrupted: ${words}`);
    else log.error(facts, `${outcome === 'partly' ? 'failed in part' : 'failed'}: ${words}${then}`);
    await this.#remember();
    this.#tools.changed(this.state);
    this.#bell.abort();
  }

  /** When it runs again, as scheduled or before; `undefined`: never by itself. */
  #nextOf(name: string, record: JobRecord): number | undefined {
    const job = this.#configuration.jobs.find((one) => one.name === name);
    return job && nextRun(job.schedule, record, this.#tools.clock.now())?.at;
  }

  /** Writes down what ran when. A disk that is full must not end the daemon: it is tried again at the next change. */
  async #remember(): Promise<void> {
    const { records, log } = this.#tools;
    try {
      await records.write(this.#records);
    } catch (thrown) {
      log.error(
        { reason: messageOf(thrown) },
        'cannot write down what ran when: after a restart it may run again',
      );
    }
  }

  /** Sleeps until something is due by the clock, which may be set anew meanwhile, or the bell rings. */
  async #rest(next = Number.POSITIVE_INFINITY): Promise<void> {
    const { clock, log, changed } = this.#tools;
    const { signal } = this.#bell;
    for (let before = clock.now(); before < next && !signal.aborted; ) {
      const pause = Math.min(LOOK, next - before);
      await clock.sleep(pause, signal).catch(() => undefined);
      const now = clock.now();
      const jump = now - before - pause;
      if (jump > JUMP || jump < -LOOK - JUMP) {
        log.warn({ seconds: Math.round(jump / 1000) }, 'the clock was set anew, or the host slept');
        changed(this.state);
      }
      // Set back: what was noted under the other clock is to be looked at.
      if (now < before) return;
      before = now;
    }
  }
}
