/** The service and the command, run as a user runs them: as processes. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../bin/', import.meta.url));

/** A running service and the command that talks to it. */
export interface House {
  /** Folder of the repository. */
  readonly repository: string;
  /** Runs `zkeep` with these arguments; gives its `--json` document, or throws its error. */
  zkeep(args: readonly string[], stdin?: Buffer): Record<string, unknown>;
  stop(): Promise<void>;
}

/**
 * Starts `zkeep-server` without configuration on a data folder and a free port.
 *
 * @example const house = await startHouse(folder)
 */
export async function startHouse(folder: string): Promise<House> {
  const data = join(folder, 'data');
  const tokenFile = join(folder, 'token');
  const token = run('zkeep-server', ['token', 'add', '--scope', 'agent', '--name', 'demo', '--data', data]);
  writeFileSync(tokenFile, token, { mode: 0o600 });
  const server = spawn(join(bin, 'zkeep-server'), ['--data', data, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const service = await addressOf(server);
  console.log(`$ zkeep-server --data DATA            # listens on ${service}`);
  return {
    repository: join(data, 'repository'),
    zkeep: (args, stdin) => {
      console.log(`$ zkeep ${args.map(quote).join(' ')}`);
      const text = run('zkeep', ['--json', '--service', service, '--token-file', tokenFile, ...args], stdin);
      return JSON.parse(text) as Record<string, unknown>;
    },
    stop: async () => {
      if (server.exitCode !== null) return;
      const ended = once(server, 'exit');
      server.kill('SIGTERM');
      await ended;
    },
  };
}

async function addressOf(server: ChildProcess): Promise<string> {
  if (!server.stdout) throw new Error('the service has no output');
  for await (const line of createInterface({ input: server.stdout })) {
    const said: unknown = line.startsWith('{') ? JSON.parse(line) : undefined;
    if (typeof said === 'object' && said !== null && 'address' in said && typeof said.address === 'string') {
      server.stdout.resume();
      return said.address;
    }
  }
  throw new Error('the service ended before it was ready');
}

function run(command: string, args: readonly string[], stdin?: Buffer): string {
  const done = spawnSync(join(bin, command), args, {
    encoding: 'buffer',
    maxBuffer: 64 * 1024 * 1024,
    ...(stdin ? { input: stdin } : {}),
  });
  if (done.status !== 0) {
    throw new Error(`${command} ${args.join(' ')} ended with ${done.status}: ${done.stderr}${done.stdout}`);
  }
  return done.stdout.toString().trim();
}

function quote(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}
