/** The real daemon, `zkeep agent`: one long-lived process with a configuration of its own. */
import { appendFile, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { CLONE, ENVIRONMENT } from './clone.ts';
import { eventually } from './command.ts';
import type { Lab } from './lab.ts';

/** A line of its log. */
export interface Told {
  readonly level: number;
  readonly msg: string;
  readonly job?: string;
  /** Of a run that has ended. */
  readonly outcome?: string;
}

const ZKEEP = join(CLONE, 'bin/zkeep');
const READ_ANEW = 'has read its configuration anew';

/** An agent that can be stopped, killed and started again on the same state. */
export class Agent {
  readonly #lab: Lab;
  readonly #log: string;
  readonly #file: string;
  /** What was read of the log so far: lines, and the bytes after the last whole one. */
  readonly #told: Told[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #read = 0;
  #process: { kill(signal: NodeJS.Signals): void; readonly ended: Promise<unknown> } | undefined;

  constructor(lab: Lab) {
    this.#lab = lab;
    this.#log = join(lab.folder, 'agent.log');
    this.#file = join(lab.folder, 'agent.toml');
  }

  /** Writes its configuration, with `jobs` as TOML; one that runs reads it. */
  async configure(jobs: string): Promise<void> {
    const { service, folder } = this.#lab;
    await writeFile(join(folder, 'token'), service.token, { mode: 0o600 });
    const head = `service = "${service.url}"\ntoken_file = "token"\nstate = "state"\n`;
    await writeFile(this.#file, `${head}${jobs}`);
    if (!this.#process) return;
    const mark = await this.mark();
    this.#process.kill('SIGHUP');
    await this.#tells('that it has read its configuration', mark, ({ msg }) => msg.includes(READ_ANEW));
  }

  /** Starts it, and waits until it has its jobs. */
  async start(): Promise<void> {
    await appendFile(this.#log, '');
    const mark = await this.mark();
    const child = execa(ZKEEP, ['agent', '--config', this.#file], {
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: { file: this.#log, append: true },
      env: ENVIRONMENT,
      reject: false,
    });
    this.#process = { kill: (signal) => child.kill(signal), ended: child };
    await this.#tells('that it runs', mark, ({ msg }) => /^the agent runs \d/.test(msg));
  }

  /** Ends it in order (SIGTERM), or as a power cut would (SIGKILL). */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    this.#process?.kill(signal);
    await this.#process?.ended;
    this.#process = undefined;
  }

  /** Where its log ends now. */
  async mark(): Promise<number> {
    return (await this.told(0)).length;
  }

  /** What it told since a mark. */
  async told(mark: number): Promise<Told[]> {
    const handle = await open(this.#log);
    try {
      const { size } = await handle.stat();
      const more = Buffer.alloc(Math.max(0, size - this.#read));
      const { bytesRead } = await handle.read(more, 0, more.length, this.#read);
      this.#read += bytesRead;
      this.#rest = Buffer.concat([this.#rest, more.subarray(0, bytesRead)]);
    } finally {
      await handle.close();
    }
    const whole = this.#rest.lastIndexOf('\n') + 1;
    const lines = this.#rest.subarray(0, whole).toString('utf8').split('\n').slice(0, -1);
    this.#rest = this.#rest.subarray(whole);
    this.#told.push(...lines.map((line) => JSON.parse(line) as Told));
    return this.#told.slice(mark);
  }

  /** Waits until a run of each of these jobs has ended since a mark. */
  async hasRun(jobs: readonly string[], mark: number): Promise<Told[]> {
    for (const job of jobs) await this.#tells(`the end of ${job}`, mark, (line) => isEnd(line, job));
    return await this.told(mark);
  }

  async #tells(what: string, mark: number, isMeant: (line: Told) => boolean): Promise<void> {
    try {
      await eventually(what, async () => {
        if ((await this.told(mark)).some(isMeant)) return true;
        await sleep(250);
        return false;
      });
    } catch (thrown) {
      const lines = (await this.told(mark)).slice(-40).map((line) => JSON.stringify(line));
      throw new Error([`${thrown}; the agent told:`, ...lines].join('\n'));
    }
  }
}

function isEnd({ job, outcome }: Told, wanted: string): boolean {
  return job === wanted && outcome !== undefined && outcome !== 'interrupted';
}
