/** Runs the service's jobs: when they are due or asked for, each once at a time, and says how they go. */
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../../catalog/clock.ts';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import type { Fact } from '../../catalog/journal/entry.ts';
import type { JobName, JobState } from '../../catalog/protocol/events.ts';
import { parseSchedule, type Schedule } from '../../catalog/schedule.ts';
import type { JobEnd, JobRuns } from '../state/job-runs.ts';
import type { Job, JobRun } from './job.ts';
import type { HeldLease, Leases } from './lease.ts';

/** How often is looked what is due, milliseconds. */
const TICK = 1000;
/** The same failure again is journalled at most so often, milliseconds. */
const SAME_FAILURE = 3600_000;
/** Longest words in the journal. */
const MOST_WORDS = 4000;

export interface JobTools {
  readonly clock: Clock;
  readonly log: FastifyBaseLogger;
  /** Of all schedules. */
  readonly zone: string;
  readonly leases: Pick<Leases, 'take' | 'released'>;
  readonly runs: JobRuns;
  readonly journal: { note(by: string | null, ...facts: Fact[]): void };
}

/** A job and how it stands. */
interface Post {
  readonly job: Job;
  readonly schedule: Schedule | undefined;
  due: number | undefined;
  /** Another service had its lease at the last look; what it was due for may be done there. */
  elsewhere: { readonly service: string; readonly since: number } | undefined;
  running: Running | undefined;
  last: JobEnd | undefined;
  journalled: { readonly words: string; readonly at: number } | undefined;
}

interface Running {
  readonly since: number;
  readonly stop: AbortController;
  readonly by: string | null;
  progress: string | null;
  lease: HeldLease | undefined;
  done: Promise<void>;
}

/**
 * The jobs of a service. All its moments come from the clock, at every tick:
 * also after a clock was set, or a machine slept, it goes on rightly.
 *
 * @example
 * const jobs = new Jobs([prune, sweep], tools);
 * jobs.start();
 * jobs.ask('prune', 'alice');
 */
export class Jobs {
  readonly #tools: JobTools;
  readonly #posts: ReadonlyMap<JobName, Post>;
  #timer: NodeJS.Timeout | undefined;
  #now: number;
  #stopped = false;

  constructor(jobs: readonly Job[], tools: JobTools) {
    this.#tools = tools;
    this.#now = tools.clock.now();
    this.#posts = new Map(jobs.map((job) => [job.name, this.#postOf(job)]));
  }

  /** Begins to run what is due; what was missed while no service ran is made up for once. */
  start(): void {
    this.#timer = setInterval(() => this.tick(), TICK).unref();
  }

  /** Looks what is due, and after the leases of what runs. */
  tick(): void {
    if (this.#stopped) return;
    const now = this.#tools.clock.now();
    // A clock that was set back would let a job wait for a moment that is far away now.
    if (now < this.#now)
      for (const post of this.#posts.values()) post.due = least(post.due, nextOf(post, now));
    this.#now = now;
    for (const post of this.#posts.values()) {
      void post.running?.lease?.tick();
      if (!post.running && post.due !== undefined && post.due <= now) {
        void this.#begin(post, null);
      }
    }
  }

  /**
   * Has a job run now, unless it runs already.
   *
   * @param by name of the token that asks for it.
   * @throws {ZkeepError} `missing` (`job.none`) when this service has no such job.
   */
  ask(name: JobName, by: string | null = null): JobState {
    const post = this.#post(name);
    if (!post.running) void this.#begin(post, by);
    return stateOf(post);
  }

  /**
   * Does a piece of a job's work in its place, under its lease, and waits for its end.
   *
   * @param work gives a result, and words as the job itself would.
   * @throws {ZkeepError} `busy` (`job.running`, `job.elsewhere`) when the job runs, here or in another
   *   service; what `work` throws.
   */
  async instead<T>(
    name: JobName,
    by: string,
    work: (run: JobRun) => Promise<{ readonly result: T; readonly words: string | null }>,
  ): Promise<T> {
    const post = this.#post(name);
    if (post.running) throw busy(name, 'running', 'it runs just now');
    let done: { readonly result: T } | undefined;
    let failure: { readonly thrown: unknown } | undefined;
    await this.#begin(post, by, async (run) => {
      try {
        const { result, words } = await work(run);
        done = { result };
        return words;
      } catch (thrown) {
        failure = { thrown };
        throw thrown;
      }
    });
    if (failure) throw failure.thrown;
    if (done) return done.result;
    if (post.elsewhere) throw busy(name, 'elsewhere', 'another service is at it');
    throw new ZkeepError('unavailable', 'job.failed', post.last?.words ?? 'the job could not begin');
  }

  /** All jobs and how they stand. */
  states(): JobState[] {
    return [...this.#posts.values()].map(stateOf);
  }

  /** Resolves when no job runs any more: for those who asked for one and want its end. */
  async idle(): Promise<void> {
    await Promise.all([...this.#posts.values()].map(({ running }) => running?.done));
  }

  /** Ends what runs, which goes on in its next run, and begins nothing more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    const reason = new ZkeepError('unavailable', 'job.stopped', 'the service stops');
    for (const { running } of this.#posts.values()) running?.stop.abort(reason);
    await this.idle();
  }

  #postOf(job: Job): Post {
    const { clock, zone, runs } = this.#tools;
    const schedule = job.schedule === null ? undefined : parseSchedule(job.schedule, { zone });
    const last = runs.last(job.name);
    const now = clock.now();
    const due = least(last && schedule?.next(last.started), schedule?.next(now));
    return { job, schedule, due, elsewhere: undefined, running: undefined, last, journalled: undefined };
  }

  #post(name: JobName): Post {
    const post = this.#posts.get(name);
    if (post && !this.#stopped) return post;
    throw noJob(name, [...this.#posts.keys()]);
  }

  /** Never rejects. */
  #begin(
    post: Post,
    by: string | null,
    work: Job['run'] = async (run) => await post.job.run(run),
  ): Promise<void> {
    const since = this.#tools.clock.now();
    const stop = new AbortController();
    const running: Running = { since, stop, by, progress: null, lease: undefined, done: Promise.resolve() };
    post.running = running;
    running.done = this.#run(post, running, work).catch((thrown: unknown) => {
      this.#tools.log.error({ err: thrown, job: post.job.name }, 'a job could not be ended in order');
    });
    return running.done;
  }

  async #run(post: Post, running: Running, work: Job['run']): Promise<void> {
    try {
      if (post.job.exclusive && !(await this.#holds(post, running))) return;
      const words = await work({
        signal: running.stop.signal,
        asked: running.by !== null,
        tell: (told) => {
          running.progress = told.slice(0, MOST_WORDS);
        },
      });
      this.#ended(post, running, 'done', words);
    } catch (thrown) {
      const { aborted, reason } = running.stop.signal;
      const words = messageOf(aborted ? reason : thrown);
      this.#ended(post, running, aborted ? 'interrupted' : 'failed', words, thrown);
    } finally {
      await running.lease?.release();
      post.running = undefined;
    }
  }

  /** Takes the lease; `false`: another service has it, and this run is left to it. */
  async #holds(post: Post, running: Running): Promise<boolean> {
    const { leases, clock, log } = this.#tools;
    const { signal } = running.stop;
    const { name } = post.job;
    const before = post.elsewhere;
    // Another service was at what this one was due for: perhaps it has done it.
    if (before && running.by === null) {
      const released = await leases.released(name, signal);
      if (released !== undefined && released >= before.since) {
        post.elsewhere = undefined;
        post.due = nextOf(post, clock.now());
        return false;
      }
    }
    const taken = await leases.take(name, { signal, lost: (reason) => running.stop.abort(reason) });
    if ('tick' in taken) {
      running.lease = taken;
      post.elsewhere = undefined;
      return true;
    }
    log.info({ job: name, service: taken.service }, 'another service runs this job');
    post.elsewhere = { service: taken.service, since: before?.since ?? running.since };
    post.due = least(nextOf(post, clock.now()), taken.until);
    return false;
  }

  #ended(
    post: Post,
    running: Running,
    outcome: JobEnd['outcome'],
    said: string | null,
    thrown?: unknown,
  ): void {
    const { clock, log, runs, journal } = this.#tools;
    const ended = clock.now();
    const { name: job } = post.job;
    const words = (said ?? '').slice(0, MOST_WORDS);
    post.last = { started: running.since, ended, outcome, words };
    post.due = nextOf(post, ended);
    runs.note(job, post.last);
    if (outcome === 'failed') log.error({ err: thrown, job }, 'a job failed');
    else if (said !== null) log.info({ job, outcome }, words);
    if (said === null || isRepeated(post, outcome, words, ended)) return;
    post.journalled = outcome === 'failed' ? { words, at: ended } : undefined;
    const seconds = Math.max(0, ended - running.since) / 1000;
    journal.note(running.by, { kind: 'job.ended', job, outcome, seconds, words });
  }
}

function isRepeated({ journalled }: Post, outcome: JobEnd['outcome'], words: string, now: number): boolean {
  return outcome === 'failed' && journalled?.words === words && now - journalled.at < SAME_FAILURE;
}

function nextOf({ schedule }: Post, now: number): number | undefined {
  return schedule?.next(now);
}

function least(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}

function stateOf({ job, running, elsewhere, last, due }: Post): JobState {
  const isHere = running !== undefined && (!job.exclusive || running.lease !== undefined);
  return {
    job: job.name,
    running: isHere || (running !== undefined && elsewhere === undefined),
    elsewhere: isHere ? null : (elsewhere?.service ?? null),
    since: running ? iso(running.since) : null,
    progress: running?.progress ?? null,
    last: last
      ? {
          at: iso(last.ended),
          outcome: last.outcome,
          seconds: Math.max(0, last.ended - last.started) / 1000,
          words: last.words,
        }
      : null,
    next: due === undefined ? null : iso(due),
  };
}

function iso(moment: number): string {
  return new Date(moment).toISOString();
}

function busy(job: JobName, code: 'running' | 'elsewhere', why: string): ZkeepError {
  return new ZkeepError('busy', `job.${code}`, `the job ${job} is busy: ${why}`, {
    advice: 'GET /v1/jobs shows how far it is: wait for it, then ask again',
    facts: { job },
  });
}

function noJob(name: JobName, known: readonly JobName[]): ZkeepError {
  return new ZkeepError('missing', 'job.none', `this service has no job ${name}`, {
    advice: known.length > 0 ? `its jobs are ${known.join(', ')}` : 'it has none',
    facts: { job: name, known },
  });
}
