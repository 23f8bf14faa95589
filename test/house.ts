/** zkeep as its users run it: the service and the command as processes, on a data folder. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../bin/', import.meta.url));
const MOST_OUTPUT = 256 * 1024 * 1024;

/** What a command gave. */
export interface Ran {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  /** The `--json` document on standard output; throws when there is none. */
  json(): Record<string, unknown>;
}

export interface HouseOptions {
  /** TOML that follows `data = ...`, e.g. a `[store]` table; by default nothing: the embedded default. */
  readonly toml?: string;
  /** Added to the environment of service and command. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * A running service on an empty folder, and the command that talks to it.
 *
 * @example
 * const house = await House.start(folder);
 * house.zkeep(['list']).json();
 * await house.stop();
 */
export class House {
  readonly folder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly #configuration: string;
  #server: ChildProcess | undefined;
  #port = 0;

  private constructor(folder: string, options: HouseOptions) {
    this.folder = folder;
    this.env = { ...process.env, ...options.env };
    this.#configuration = join(folder, 'server.toml');
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      this.#configuration,
      `data = ${JSON.stringify(join(folder, 'data'))}\n${options.toml ?? ''}`,
    );
  }

  static async start(folder: string, options: HouseOptions = {}): Promise<House> {
    const house = new House(folder, options);
    const add = house.#serverCommand(['token', 'add', '--scope', 'agent', '--name', 'house']);
    if (add.code !== 0) throw new Error(`no token: ${add.stderr}`);
    writeFileSync(join(folder, 'token'), add.stdout, { mode: 0o600 });
    await house.serve();
    return house;
  }

  /** The service's process, while it runs. */
  get pid(): number | undefined {
    return this.#server?.pid;
  }

  /** The repository of the embedded default. */
  get repository(): string {
    return join(this.folder, 'data', 'repository');
  }

  /** Starts the service, again on the port that it had before. */
  async serve(): Promise<void> {
    const words = ['--config', this.#configuration, 'serve', '--port', String(this.#port)];
    const server = spawn(join(bin, 'zkeep-server'), words, {
      env: this.env,
      stdio: ['ignore', 'pipe', process.env['HOUSE_LOG'] ? 'inherit' : 'ignore'],
    });
    this.#server = server;
    this.#port = Number(new URL(await addressOf(server)).port);
  }

  /** Ends the service; what it stored stays. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill(signal);
    await ended;
  }

  /** The whole command line of a `zkeep` that talks to this service. */
  command(words: readonly string[]): string[] {
    const service = `http://127.0.0.1:${this.#port}`;
    return [join(bin, 'zkeep'), ...words, '--service', service, '--token-file', join(this.folder, 'token')];
  }

  /** Runs `zkeep` to its end. */
  zkeep(words: readonly string[], stdin?: Uint8Array): Ran {
    const [program = '', ...rest] = this.command(words);
    return run(program, rest, this.env, stdin);
  }

  #serverCommand(words: readonly string[]): Ran {
    return run(join(bin, 'zkeep-server'), ['--config', this.#configuration, ...words], this.env);
  }
}

function run(
  program: string,
  words: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  stdin?: Uint8Array,
): Ran {
  const done = spawnSync(program, words, { env, maxBuffer: MOST_OUTPUT, ...(stdin ? { input: stdin } : {}) });
  if (done.error) throw done.error;
  return {
    code: done.status,
    stdout: done.stdout,
    stderr: done.stderr.toString(),
    json: () => JSON.parse(done.stdout.toString()) as Record<string, unknown>,
  };
}

/** The service says where it listens in its first line. */
async function addressOf(server: ChildProcess): Promise<string> {
  if (!server.stdout) throw new Error('the service has no output');
  for await (const line of createInterface({ input: server.stdout })) {
    const said: unknown = JSON.parse(line);
    if (
      typeof said === 'object' &&
      said !== null &&
      'listening' in said &&
      typeof said.listening === 'string'
    ) {
      server.stdout.resume();
      return said.listening;
    }
  }
  throw new Error('the service ended before it was ready');
}
