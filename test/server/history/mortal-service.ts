/** A real service that dies at any call of its store, and comes back on what it had written until then. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type JobName, type JobState, JobsAnswerSchema } from '../../../catalog/protocol/events.ts';
import { OpenBackupSchema, type OpenRequest } from '../../../catalog/protocol/protocol.ts';
import type { Grant } from '../../../catalog/repository/store/store.ts';
import { checker } from '../../../catalog/schema.ts';
import type { BackupId } from '../../../catalog/words.ts';
import { type Fault, gone } from '../fixture/faulty-store.ts';
import { TestService } from '../fixture/running-service.ts';

const readOpen = checker(OpenBackupSchema, 'the answer');

/** At which call of the store the service dies: before it, in the middle of a body, or when it is done. */
export interface Death {
  /** Calls that succeed before. */
  readonly calls: number;
  readonly when: Fault['when'];
  /** What is lost with it, besides what was only in memory. */
  readonly loses: 'nothing' | 'index.db' | 'all';
}

/** A refusal of the service. */
export class Refused extends Error {
  readonly code: string;
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(status: number, text: string) {
    super(`${status} ${text}`);
    const said: unknown = status >= 400 ? JSON.parse(text) : {};
    const { code, facts } = said as { code?: string; facts?: Record<string, unknown> };
    this.code = code ?? '';
    this.facts = facts ?? {};
  }
}

/** All is proven anew in each run of `verify`. */
export const SETTINGS = `
[verify]
light = "1h"
deep = "1h"
[prune]
grace = "24h"
[sweep]
grace = "24h"
`;

const DATABASES = /^(service|index)\.db(-wal)?$/;

export class MortalService extends TestService {
  /** Databases as they were when the service died: what it wrote afterwards, it did not. */
  readonly #frozen = mkdtempSync(join(tmpdir(), 'zkeep-frozen-'));

  /** How often it died. */
  deaths = 0;

  constructor(settings = SETTINGS) {
    super({ settings });
  }

  override async start(): Promise<this> {
    await super.start();
    // Made now, so that none is made while the service dies.
    this.token('agent');
    this.token('operator');
    return this;
  }

  override async end(): Promise<void> {
    await super.end();
    rmSync(this.#frozen, { recursive: true });
  }

  /**
   * Does something while the service dies, if it makes so many calls; then starts it anew.
   *
   * @returns whether it died.
   */
  async dying(death: Death | null, work: () => Promise<void>): Promise<boolean> {
    if (!death) {
      await work();
      return false;
    }
    let calls = 0;
    let died = false;
    this.faults.decide = () => {
      calls += 1;
      if (calls <= death.calls) return undefined;
      const when = died ? 'before' : death.when;
      if (!died) this.#freeze();
      died = true;
      return { when, error: gone() };
    };
    try {
      await work();
    } catch (thrown) {
      if (!died) throw thrown;
    }
    if (died) await this.#bury(death);
    this.faults.heal();
    return died;
  }

  async #bury({ loses }: Death): Promise<void> {
    this.deaths += 1;
    await this.stop();
    this.faults.heal();
    this.#thaw();
    if (loses === 'index.db') this.#remove(/^index\.db/);
    if (loses === 'all') await this.loseState();
    else await this.start();
  }

  /** The index is gone; the next start makes it anew. */
  async loseIndex(): Promise<void> {
    await this.stop();
    this.#remove(/^index\.db/);
    await this.start();
  }

  #freeze(): void {
    rmSync(this.#frozen, { recursive: true, force: true });
    mkdirSync(this.#frozen);
    for (const name of readdirSync(this.folder).filter((file) => DATABASES.test(file))) {
      copyFileSync(join(this.folder, name), join(this.#frozen, name));
    }
  }

  #thaw(): void {
    this.#remove(/^(service|index)\.db/);
    for (const name of readdirSync(this.#frozen)) {
      copyFileSync(join(this.#frozen, name), join(this.folder, name));
    }
  }

  #remove(names: RegExp): void {
    for (const name of readdirSync(this.folder).filter((file) => names.test(file))) {
      if (existsSync(join(this.folder, name))) rmSync(join(this.folder, name));
    }
  }

  /** Asks, as an operator where that is needed; what is refused is thrown as {@link Refused}. */
  async question(method: string, path: string, body?: unknown): Promise<unknown> {
    const token = this.token(/^\/v1\/(policies|pins|prune|jobs)/.test(path) ? 'operator' : 'agent');
    const { status, text } = await this.call(method, path, { token, ...(body ? { body } : {}) });
    if (status >= 400) throw new Refused(status, text);
    return text === '' ? null : JSON.parse(text);
  }

  /** As {@link TestService.open}, but a refusal is thrown as one. */
  async openOrRefuse(request: OpenRequest): Promise<BackupId> {
    const { status, text } = await this.call('POST', '/v1/backups', { body: request });
    if (status >= 400) throw new Refused(status, text);
    return this.keepSession(readOpen(JSON.parse(text))).backup;
  }

  /** Stores one object as its grant says. */
  async put(grant: Grant, { body }: { readonly key: string; readonly body: Buffer }): Promise<void> {
    const { status, text } = await this.follow(grant, body);
    if (status >= 400) throw new Refused(status, text);
  }

  /** Has a job run to its end. */
  async job(name: JobName): Promise<JobState> {
    for (let tries = 0; tries < 3; tries++) {
      const state = await this.#run(name);
      if (state.elsewhere === null) return state;
      // A service that died and lost its database was another one: its lease runs out.
      this.clock.pass(4 * 60_000);
    }
    throw new Error(`${name} is said to run elsewhere`);
  }

  async #run(job: JobName): Promise<JobState> {
    await this.call('POST', `/v1/jobs/${job}`, { token: this.token('operator') });
    for (let turn = 0; turn < 20_000; turn++) {
      const { jobs } = await this.ask(JobsAnswerSchema, 'GET', '/v1/jobs');
      const state = jobs.find((one) => one.job === job);
      // One that waits for a lease is not said to run yet.
      if (state && !state.running && state.since === null) return state;
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    throw new Error(`${job} does not end`);
  }
}
