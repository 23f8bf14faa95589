/** The worker threads that compress, encrypt, hash and decode, so that the main thread only moves bytes. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type ErrorKind, type Facts, ZkeepError } from '../../../errors.ts';
import type { Job, ResultOf } from './worker-jobs.ts';

/** More threads than this only wait for the main one. */
const MOST_WORKERS = 8;

interface Waiting {
  readonly job: Job;
  readonly transfer: ArrayBuffer[];
  readonly resolve: (result: never) => void;
  readonly reject: (reason: unknown) => void;
}

interface Answer {
  readonly result?: never;
  readonly error?: { kind: ErrorKind; code: string; message: string; advice: string | null; facts: Facts };
}

/**
 * A pool of worker threads, started as they are needed; jobs begin in the order in which they were given.
 *
 * @example const { frame } = await pool.run({ do: 'compress', memory, offset, length, level: 3 })
 */
export class WorkerPool {
  readonly size: number;
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Waiting>();
  readonly #queue: Waiting[] = [];
  #closed = false;

  constructor(size: number = Math.min(MOST_WORKERS, Math.max(2, availableParallelism()))) {
    this.size = size;
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
      else this.#give({ job, transfer, resolve, reject });
    });
  }

  /** Ends all threads; jobs that were not done are rejected. */
  async close(): Promise<void> {
    this.#closed = true;
    const reason = new ZkeepError('failed', 'worker.closed', 'the worker pool was closed');
    for (const waiting of [...this.#queue.splice(0), ...this.#busy.values()]) waiting.reject(reason);
    const workers = [...this.#idle.splice(0), ...this.#busy.keys()];
    this.#busy.clear();
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  #give(waiting: Waiting): void {
    const worker = this.#idle.pop() ?? (this.#busy.size < this.size ? this.#start() : undefined);
    if (!worker) {
      this.#queue.push(waiting);
      return;
    }
    this.#busy.set(worker, waiting);
    worker.ref();
    worker.postMessage(waiting.job, waiting.transfer);
  }

  #start(): Worker {
    const worker = new Worker(new URL('./worker.ts', import.meta.url));
    worker.on('message', (answer: Answer) => this.#answered(worker, answer));
    worker.on('error', (cause) => this.#died(worker, cause));
    worker.on('exit', () => this.#died(worker, undefined));
    return worker;
  }

  #answered(worker: Worker, answer: Answer): void {
    const waiting = this.#busy.get(worker);
    if (!waiting) return;
    this.#busy.delete(worker);
    this.#idle.push(worker);
    worker.unref(); // an idle thread keeps no process alive
    const next = this.#queue.shift();
    if (next) this.#give(next);
    if (answer.error) {
      const { kind, code, message, advice, facts } = answer.error;
      waiting.reject(new ZkeepError(kind, code, message, advice === null ? { facts } : { advice, facts }));
    } else {
      waiting.resolve(answer.result as never);
    }
  }

  #died(worker: Worker, cause: unknown): void {
    const waiting = this.#busy.get(worker);
    this.#busy.delete(worker);
    const idle = this.#idle.indexOf(worker);
    if (idle >= 0) this.#idle.splice(idle, 1);
    waiting?.reject(new ZkeepError('failed', 'worker.died', 'a worker thread died', { cause }));
    const next = this.#closed ? undefined : this.#queue.shift();
    if (next) this.#give(next);
  }
}
