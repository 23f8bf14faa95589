/** The real service, `bin/zkeep-server`, on a data folder and a port of its own. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { SnapshotsAnswerSchema } from '../../../../catalog/protocol/pages.ts';
import { type Manifest, parseManifest } from '../../../../catalog/repository/manifest.ts';
import { checker } from '../../../../catalog/schema.ts';
import { CLONE, ENVIRONMENT } from './clone.ts';
import { eventually, must } from './command.ts';

const parseSnapshots = checker(SnapshotsAnswerSchema, 'the list of snapshots');
const SERVER = join(CLONE, 'bin/zkeep-server');

/** A service that can be stopped, killed and started again on the same data. */
export class Service {
  readonly url: string;
  /** Its data folder: the repository lies in `repository/`. */
  readonly data: string;
  token = '';
  readonly #port: number;
  readonly #publicUrl: string | undefined;
  /** Tables of its configuration. */
  readonly #tables: string;
  #process: { kill(signal: NodeJS.Signals): void; readonly ended: Promise<unknown> } | undefined;

  /**
   * @param publicUrl what grants name, where agents shall reach the objects another way.
   * @param tables of its configuration, as TOML.
   */
  constructor(data: string, port = 18_470, publicUrl?: string, tables = '') {
    this.data = data;
    this.#port = port;
    this.#publicUrl = publicUrl;
    this.#tables = tables;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** The folder that a restore without the service reads. */
  get repository(): string {
    return join(this.data, 'repository');
  }

  /** Starts it, with a token for an agent the first time, and waits until it is well. */
  async start(): Promise<void> {
    this.token ||= await this.addToken('agent', 'lab');
    const logFile = `${this.data}.log`;
    const config = `${this.data}.toml`;
    const first = this.#publicUrl === undefined ? '' : `public_url = "${this.#publicUrl}"\n`;
    await writeFile(config, `${first}${this.#tables}`);
    const where = ['--config', config, '--data', this.data, '--port', String(this.#port)];
    const child = execa(SERVER, where, {
      stdin: 'ignore',
      stdout: { file: logFile, append: true },
      stderr: { file: logFile, append: true },
      env: ENVIRONMENT,
      reject: false,
    });
    const gone = child.then(() => 'gone' as const);
    this.#process = { kill: (signal) => child.kill(signal), ended: gone };
    const well = await Promise.race([eventually('the service', () => this.#isWell()), gone]);
    if (well === 'gone') throw new Error(`the service ended: ${await readFile(logFile, 'utf8')}`);
  }

  /** Makes a token. */
  async addToken(scope: 'agent' | 'operator', name: string): Promise<string> {
    return await must(SERVER, 'token', 'add', '--data', this.data, '--scope', scope, '--name', name);
  }

  /** Asks it, without a start of `zkeep`; gives the JSON of its answer. @param body then it is a POST. */
  async ask(path: string, body?: unknown): Promise<unknown> {
    const post = { method: 'POST', body: JSON.stringify(body) };
    const headers = {
      authorization: `Bearer ${this.token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const answer = await fetch(`${this.url}${path}`, { ...(body === undefined ? {} : post), headers });
    if (!answer.ok) throw new Error(`${path} is answered with ${answer.status}: ${await answer.text()}`);
    return await answer.json();
  }

  /** Ends it in order (SIGTERM), or as a power cut would (SIGKILL). */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    this.#process?.kill(signal);
    await this.#process?.ended;
    this.#process = undefined;
  }

  /** Keys of the stored objects that begin with `prefix`, in order; what is just being written is none yet. */
  async keys(prefix: string): Promise<string[]> {
    const entries = await readdir(this.repository, { recursive: true, withFileTypes: true }).catch(() => []);
    const files = entries.filter((entry) => entry.isFile());
    const keys = files.map((file) => relative(this.repository, join(file.parentPath, file.name)));
    return keys.filter((key) => key.startsWith(prefix) && !key.startsWith('~incoming/')).toSorted();
  }

  /** Names of the snapshots that it lists of a dataset, the oldest first: none when there is no such dataset. */
  async snapshots(dataset: string): Promise<string[]> {
    const question = new URLSearchParams({ dataset, limit: '1000' });
    const { snapshots } = parseSnapshots(await this.ask(`/v1/snapshots?${question}`));
    return snapshots.toSorted((one, other) => one.created - other.created).map(({ name }) => name);
  }

  /** A backup's manifest, from the bucket itself. */
  async manifest(backup: string | null | undefined): Promise<Manifest> {
    const key = (await this.keys('backups/')).find((one) => one.endsWith(`/${backup}.json`));
    if (key === undefined) throw new Error(`there is no manifest of ${backup}`);
    return parseManifest(JSON.parse(await readFile(join(this.repository, key), 'utf8')));
  }

  async #isWell(): Promise<boolean> {
    const answer = await fetch(`${this.url}/v1/health`).catch(() => undefined);
    await answer?.arrayBuffer();
    // Who asks all the time keeps a slow machine from starting it.
    if (!answer?.ok) await sleep(500);
    return answer?.ok === true;
  }
}
