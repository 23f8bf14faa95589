/** The worker threads that compress, encrypt, hash and decode, so that the main thread only moves bytes. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { ZkeepError } from '../../../errors.ts';
import type { Answer, Job, NumberedJob, ResultOf } from './worker-jobs.ts';

/** More threads than this only wait for the main one. */
const MOST_WORKERS = 8;

/** Threads that are worth having before it is known how much there is to do. */
const EARLY = 2;

/** Jobs that a thread holds: one that it does, and one that it goes on with without asking. */
const HELD = 2;

interface Asked {
  readonly job: Job;
  readonly transfer: ArrayBuffer[];
  readonly resolve: (result: never) => void;
  readonly reject: (reason: unknown) => void;
}

/** A thread, and the jobs that it holds, by number. */
interface Thread {
  readonly worker: Worker;
  readonly jobs: Map<number, Asked>;
}

/**
 * A pool of worker threads, started as they are needed; jobs begin in the order in which they were given.
 *
 * @example const { frame } = await pool.run({ do: 'compress', memory, offset, length, level: 3 })
 */
export class WorkerPool {
  readonly size: number;
  readonly #threads = new Set<Thread>();
  readonly #queue: Asked[] = [];
  #numbers = 0;
  #closed = false;

  constructor(size: number = Math.min(MOST_WORKERS, Math.max(2, availableParallelism()))) {
    this.size = size;
  }

  /**
   * Starts the first threads before there are jobs for them: that takes 30 ms, in which a command
   * reaches its service. They keep no process alive.
   */
  start(): void {
    while (!this.#closed && this.#threads.size < Math.min(EARLY, this.size)) this.#start().worker.unref();
  }

  /**
   * Does one job in a worker.
   *
   * @param transfer buffers that the worker takes over; they are gone here.
   * @throws what the job threw; `failed` when the worker died or the pool was closed.
   */
  run<J extends Job>(job: J, transfer: ArrayBuffer[] = []): Promise<ResultOf<J>> {
    return new Promise<ResultOf<J>>((resolve, reject) => {
      if (this.#closed) reject(new ZkeepError('failed', 'worker.closed', 'the worker pool is closed'));
      else this.#queue.push({ job, transfer, resolve, reject });
      this.#handOut();
    });
  }

  /** Ends all threads; jobs that were not done are rejected. */
  async close(): Promise<void> {
    this.#closed = true;
    const threads = [...this.#threads];
    const asked = [...threads.flatMap(({ jobs }) => [...jobs.values()]), ...this.#queue.splice(0)];
    this.#threads.clear();
    const reason = new ZkeepError('failed', 'worker.closed', 'the worker pool was closed');
    for (const { reject } of asked) reject(reason);
    await Promise.all(threads.map(({ worker }) => worker.terminate()));
  }

  #handOut(): void {
    for (let asked = this.#queue[0]; asked; asked = this.#queue[0]) {
      const thread = this.#threadFor();
      if (!thread) return;
      this.#queue.shift();
      const number = this.#numbers++;
      thread.jobs.set(number, asked);
      thread.worker.ref();
      const message: NumberedJob = { number, job: asked.job };
      thread.worker.postMessage(message, asked.transfer);
    }
  }

  /** Who takes the next job: one that is idle, else a new one, else the one that holds the fewest. */
  #threadFor(): Thread | undefined {
    const [first] = [...this.#threads].sort((one, other) => one.jobs.size - other.jobs.size);
    if (first?.jobs.size === 0) return first;
    if (this.#threads.size < this.size) return this.#start();
    return first && first.jobs.size < HELD ? first : undefined;
  }

  #start(): Thread {
    const worker = new Worker(new URL('./worker.ts', import.meta.url));
    const thread: Thread = { worker, jobs: new Map() };
    worker.on('message', (answer: Answer) => this.#answered(thread, answer));
    worker.on('error', (cause) => this.#died(thread, cause));
    worker.on('exit', () => this.#died(thread, undefined));
    this.#threads.add(thread);
    return thread;
  }

  #answered({ worker, jobs }: Thread, { number, result, error }: Answer): void {
    const asked = jobs.get(number);
    if (!asked) return;
    jobs.delete(number);
    if (jobs.size === 0) worker.unref(); // an idle thread keeps no process alive
    this.#handOut();
    if (error) {
      const { kind, code, message, advice, facts } = error;
      asked.reject(new ZkeepError(kind, code, message, advice === null ? { facts } : { advice, facts }));
    } else {
      asked.resolve(result as never);
    }
  }

  #died(thread: Thread, cause: unknown): void {
    this.#threads.delete(thread);
    for (const { reject } of thread.jobs.values())
      reject(new ZkeepError('failed', 'worker.died', 'a worker thread died', { cause }));
    thread.jobs.clear();
    if (!this.#closed) this.#handOut();
  }
}

let shared: WorkerPool | undefined;

/**
 * The pool that all streams of this process share. Idle threads keep no process alive, so nobody has
 * to close it.
 */
export function sharedPool(): WorkerPool {
  shared ??= new WorkerPool();
  return shared;
}
