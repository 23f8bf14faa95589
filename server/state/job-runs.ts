/** How the jobs' last runs ended, in `service.db`: a service that was restarted makes up for what it missed. */
import type { JobName } from '../../catalog/protocol/events.ts';
import type { State } from './state.ts';

export type RunOutcome = 'done' | 'failed' | 'interrupted';

/** A run that came to its end. Moments are milliseconds since 1970. */
export interface JobEnd {
  readonly started: number;
  readonly ended: number;
  readonly outcome: RunOutcome;
  /** What was done, or what went wrong; empty: there was nothing to do. */
  readonly words: string;
}

/** The table `job_run`. */
export class JobRuns {
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
  }

  last(job: JobName): JobEnd | undefined {
    return this.#state
      .prepare<[string], JobEnd>('SELECT started, ended, outcome, words FROM job_run WHERE job = ?')
      .get(job);
  }

  note(job: JobName, { started, ended, outcome, words }: JobEnd): void {
    this.#state
      .prepare('INSERT OR REPLACE INTO job_run (job, started, ended, outcome, words) VALUES (?, ?, ?, ?, ?)')
      .run(job, started, ended, outcome, words);
  }
}
