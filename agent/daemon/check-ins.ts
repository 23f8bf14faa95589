/** What the daemon says of itself to the service: at its start, when something changed, and every few minutes. */
import { hostname } from 'node:os';
import type { Clock } from '../../catalog/clock.ts';
import { messageOf } from '../../catalog/errors.ts';
import {
  type AgentJob,
  type CheckIn,
  type CheckInAnswer,
  CLOCK_TOLERANCE,
} from '../../catalog/protocol/agents.ts';
import { spanInWords } from '../output/words.ts';
import type { DaemonState } from './daemon.ts';
import type { AnyJob } from './jobs/drills/job.ts';
import { nextRun } from './jobs/due.ts';
import type { JobRecord } from './jobs/records.ts';
import type { AgentLog } from './log.ts';

/** Between two, milliseconds. */
const EVERY = 5 * 60_000;
/** A change is told so much later, milliseconds: mostly another one comes with it. */
const SOON = 1_000;
/** Most datasets of one job, and of all together. */
const MOST_OF_JOB = 10_000;
const MOST = 50_000;
const MOST_FAILED = 100;

/** What it works with. */
export interface CheckInTools {
  readonly clock: Clock;
  readonly log: AgentLog;
  readonly version: string;
  readonly datasets: (job: AnyJob, signal: AbortSignal) => Promise<readonly string[]>;
  /** @throws {ZkeepError} when the service does not take it. */
  readonly send: (body: CheckIn, state: DaemonState, signal: AbortSignal) => Promise<CheckInAnswer>;
}

/** Says it again and again; a service that is away changes nothing. */
export class CheckIns {
  readonly #tools: CheckInTools;
  /** What a job covered when ZFS last answered. */
  readonly #covered = new Map<string, readonly string[]>();
  #state: DaemonState | undefined;
  #bell = new AbortController();
  #trouble: string | undefined;
  #clockWasWrong = false;

  constructor(tools: CheckInTools) {
    this.#tools = tools;
  }

  /** What is to be said from now on, and soon. */
  changed(state: DaemonState): void {
    this.#state = state;
    this.#bell.abort();
  }

  /** Until the signal aborts; then once more, for a short time, so that the service knows how it ended. */
  async run(stop: AbortSignal): Promise<void> {
    const ring = () => this.#bell.abort();
    stop.addEventListener('abort', ring, { once: true });
    while (!stop.aborted) {
      this.#bell = new AbortController();
      await this.say(stop);
      await this.#tools.clock.sleep(EVERY, this.#bell.signal).catch(() => undefined);
      await this.#tools.clock.sleep(SOON, stop).catch(() => undefined);
    }
    stop.removeEventListener('abort', ring);
  }

  /** Says it now. */
  async say(signal: AbortSignal): Promise<void> {
    const state = this.#state;
    if (!state) return;
    const { clock, log, send } = this.#tools;
    try {
      const body = await this.#checkIn(state, signal);
      const before = clock.now();
      const answer = await send(body, state, signal);
      if (this.#trouble !== undefined) log.info({}, 'the service hears of this agent again');
      this.#trouble = undefined;
      // The service looked at its clock somewhere between the two.
      this.#judgeClock((before + clock.now()) / 2 - answer.clock);
    } catch (thrown) {
      if (signal.aborted) return;
      const trouble = messageOf(thrown);
      if (trouble !== this.#trouble) log.warn({}, `the service does not hear of this agent: ${trouble}`);
      this.#trouble = trouble;
    }
  }

  async #checkIn(state: DaemonState, signal: AbortSignal): Promise<CheckIn> {
    const { clock, version } = this.#tools;
    const jobs: AgentJob[] = [];
    let left = MOST;
    for (const job of state.configuration.jobs) {
      const datasets = (await this.#datasetsOf(job, signal)).slice(0, Math.min(MOST_OF_JOB, left));
      left -= datasets.length;
      jobs.push(jobSaid(job, datasets, state, clock.now()));
    }
    return { host: hostname(), version, clock: clock.now(), jobs };
  }

  async #datasetsOf(job: AnyJob, signal: AbortSignal): Promise<readonly string[]> {
    try {
      const datasets = await this.#tools.datasets(job, signal);
      this.#covered.set(job.name, datasets);
      return datasets;
    } catch {
      // The run says what is wrong there; what it covers does not change by that.
      return this.#covered.get(job.name) ?? [];
    }
  }

  #judgeClock(ahead: number): void {
    const isWrong = Math.abs(ahead) > CLOCK_TOLERANCE;
    if (isWrong && !this.#clockWasWrong) {
      const span = spanInWords(Math.abs(ahead) / 1000);
      const words = `the clock of this host is ${span} ${ahead > 0 ? 'ahead of' : 'behind'} that of the service: is one of them wrong?`;
      this.#tools.log.warn({ ahead: Math.round(ahead) }, words);
    }
    this.#clockWasWrong = isWrong;
  }
}

/** A job as the service hears of it. */
export function jobSaid(
  { name, schedule }: AnyJob,
  datasets: readonly string[],
  { records, running }: Pick<DaemonState, 'records' | 'running'>,
  now: number,
): AgentJob {
  const record = records.get(name);
  const next = record && nextRun(schedule, record, now)?.at;
  return {
    name,
    datasets: [...datasets],
    schedule: schedule.text,
    next: next === undefined ? null : timeOf(next),
    running: running.has(name),
    last: record?.last ? runSaid(record.last) : null,
    failing: record?.failing ?? false,
  };
}

function runSaid({
  started,
  ended,
  outcome,
  words,
  stored,
  failed,
}: NonNullable<JobRecord['last']>): NonNullable<AgentJob['last']> {
  return {
    started: timeOf(started),
    ended: timeOf(ended),
    outcome,
    words,
    stored,
    ...(failed.length === 0 ? {} : { failed: failed.slice(0, MOST_FAILED) }),
  };
}

function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
