/** Server processes of a test: in a folder of their own, on loopback, gone with the test whatever happens to it. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

/** Keys of a user of an S3 server. */
export interface Keys {
  readonly access_key_id: string;
  readonly secret_access_key: string;
}

/** An S3 server that runs on loopback. */
export interface S3Server {
  readonly endpoint: string;
  readonly port: number;
  /** The owner of the buckets, and another user who owns nothing. */
  readonly owner: Keys;
  readonly other: Keys;
  /** Buckets also answer as `http://<bucket>.<domain>:<port>`. */
  readonly domain: string;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
}

/** Keys for a server that lives as long as a test. */
export const OWNER: Keys = { access_key_id: 'OWNERKEY', secret_access_key: 'ownersecretownersecret' };
export const OTHER: Keys = { access_key_id: 'OTHERKEY', secret_access_key: 'othersecretothersecret' };

/** How long a server may take until it answers (milliseconds). */
const PATIENCE = 60_000;

/** A folder with the processes that work in it. */
export class Daemons {
  readonly folder: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #running: { readonly name: string; readonly child: ChildProcess }[] = [];

  private constructor(folder: string, env: Record<string, string>) {
    this.folder = folder;
    this.#env = { ...process.env, ...env };
  }

  /** @param env added to the environment of all; `{}` in it stands for the folder. */
  static async in(prefix: string, env: Record<string, string> = {}): Promise<Daemons> {
    const folder = await mkdtemp(join(tmpdir(), prefix));
    await mkdir(join(folder, 'log'));
    const filled = Object.entries(env).map(([name, value]) => [name, value.replace('{}', folder)]);
    return new Daemons(folder, Object.fromEntries(filled));
  }

  /** Runs a command to its end and gives what it printed. */
  async run(command: string, ...args: string[]): Promise<string> {
    const options = { cwd: this.folder, env: this.#env, timeout: PATIENCE };
    return (await promisify(execFile)(command, args, options)).stdout;
  }

  /** Starts a process that stays in the foreground. */
  start(name: string, command: string, ...args: string[]): void {
    const log = openSync(join(this.folder, 'log', `${name}.out`), 'a');
    // The kernel kills it when this process dies, even of SIGKILL: no server outlives a test.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], {
      cwd: this.folder,
      env: this.#env,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#running.push({ name, child });
  }

  /** Waits until `isReady` gives true; what it throws counts as not yet. */
  async until(what: string, isReady: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + PATIENCE;
    for (;;) {
      if (await isReady().catch(() => false)) return;
      const dead = this.#running.find(({ child }) => child.exitCode !== null || child.signalCode !== null);
      if (dead || Date.now() > end) throw new Error(await this.#complaint(what, dead?.name));
      await sleep(100);
    }
  }

  /** Ends all processes, the last one first, and removes the folder. */
  async stop(): Promise<void> {
    for (const { child } of this.#running.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      const hurry = setTimeout(() => child.kill('SIGKILL'), 3000);
      await gone;
      clearTimeout(hurry);
    }
    await rm(this.folder, { recursive: true, force: true });
  }

  async #complaint(what: string, dead: string | undefined): Promise<string> {
    const name = dead ?? this.#running.at(-1)?.name;
    const log = await readFile(join(this.folder, 'log', `${name}.out`), 'utf8').catch(() => '');
    return `${what} does not come up${dead ? `, because ${dead} ended` : ''}\n${log.slice(-2000)}`;
  }
}

/** Ports of loopback that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  const ports: number[] = [];
  for (const server of servers) {
    if (!server.listening) await once(server, 'listening');
    const address = server.address();
    if (address && typeof address === 'object') ports.push(address.port);
  }
  for (const server of servers) await new Promise((closed) => server.close(closed));
  return ports;
}

/** Whether something answers HTTP there, whatever it says. */
export async function answers(url: string): Promise<boolean> {
  await (await fetch(url, { signal: AbortSignal.timeout(2000) })).arrayBuffer();
  return true;
}
