/** What a job of the service is: a piece of work that comes again, may be cut off at any point and goes on. */
import type { JobName } from '../../catalog/protocol/events.ts';

/** What a run is given. */
export interface JobRun {
  /** Aborts when the service stops or loses the lease: the job ends soon, and goes on in its next run. */
  readonly signal: AbortSignal;
  /** Says how far it is, in words: `GET /v1/jobs` shows them. */
  readonly tell: (words: string) => void;
  /** Somebody asked for this run: it is not put off for its cost. */
  readonly asked?: boolean;
}

/** A job. */
export interface Job {
  readonly name: JobName;
  /** Only one of the services that follow a bucket may run it at a time: a lease in the bucket decides. */
  readonly exclusive: boolean;
  /** When it runs by itself, as `parseSchedule` reads it; `null`: only when it is asked for. */
  readonly schedule: string | null;
  /**
   * Runs it, once at a time.
   *
   * @returns what was done, in words; `null`: there was nothing to do, which is not worth an entry in the journal.
   * @throws what went wrong; the next run is as scheduled.
   */
  run(run: JobRun): Promise<string | null>;
}
