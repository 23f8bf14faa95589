/** A real service in this process, on a folder of its own, and the command `zkeep` as real child processes. */
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import type { OpenBackupRow } from '../../../catalog/protocol/protocol.ts';
import { openRepository } from '../../../catalog/repository/repository.ts';
import { DirectoryStore } from '../../../catalog/repository/store/directory-store.ts';
import { verifyRepository } from '../../../catalog/repository/verify.ts';
import { buildService, type RunningService } from '../../../server/app.ts';
import { parseConfiguration } from '../../../server/configuration/configuration.ts';
import { checkDocument, type Document } from './documents.ts';

const MAIN = fileURLToPath(new URL('../../../agent/main.ts', import.meta.url));

/** How a command ended. */
export interface Ran {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** A command that still runs, its standard input open. */
export interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ran>;
}

/** What a command is given besides its arguments. */
export interface Given {
  readonly stdin?: Uint8Array;
  /** `undefined` takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** What starts a command on a host of another name: a namespace of its own, which not every machine allows. */
const asHost = (name: string) => {
  const script = 'echo "$0" >/proc/sys/kernel/hostname; exec "$@"';
  return ['unshare', '--user', '--map-root-user', '--uts', 'sh', '-c', script, name];
};

/** Whether commands can be run as on hosts of other names. */
export const HAS_HOSTS = spawnSync('unshare', asHost('other').slice(1).concat('true')).status === 0;

export class AgentHouse {
  readonly folder = mkdtempSync(join(tmpdir(), 'zkeep-agent-'));
  #settings: string;
  #service: RunningService | undefined;
  readonly #running = new Set<ChildProcessWithoutNullStreams>();
  #port = 0;
  #token = '';
  url = '';

  /** @param settings further lines of `server.toml`. */
  static async open(settings = ''): Promise<AgentHouse> {
    const house = new AgentHouse(settings);
    await house.start();
    house.#token = house.service.tokens.add('agent', 'agent');
    return house;
  }

  private constructor(settings: string) {
    this.#settings = settings;
  }

  get service(): RunningService {
    return this.#service ?? assert.fail('the service does not run');
  }

  get repository(): string {
    return join(this.folder, 'repository');
  }

  /** Starts the service, again at the port where it was. */
  async start(): Promise<void> {
    const text = `listen = "127.0.0.1:${this.#port}"\n${this.#settings}`;
    const configuration = parseConfiguration(text, 'server.toml', { data: this.folder });
    this.#service = await buildService({
      configuration,
      logger: pino({ level: process.env['LOG'] ?? 'silent' }),
    });
    this.url = await this.#service.listen();
    this.#port = Number(new URL(this.url).port);
  }

  async stop(): Promise<void> {
    await this.#service?.close();
    this.#service = undefined;
  }

  async restartAs(settings: string): Promise<void> {
    await this.stop();
    this.#settings = settings;
    await this.start();
  }

  /** Stops and removes everything. */
  async end(): Promise<void> {
    // A test that failed may have left one waiting.
    for (const child of this.#running) child.kill('SIGKILL');
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /**
   * Starts a command.
   *
   * @param host what its host is called, see {@link HAS_HOSTS}; by default this one's name.
   */
  begin(args: readonly string[], env: Given['env'] = {}, host?: string): Running {
    const [file, ...words] = [...(host === undefined ? [] : asHost(host)), process.execPath, MAIN, ...args];
    const child = spawn(file ?? '', words, {
      env: {
        ...process.env,
        ZKEEP_SERVICE: this.url,
        ZKEEP_TOKEN: this.#token,
        ZKEEP_STATE: join(this.folder, 'state'),
        // What does not come back ends a test in time.
        ZKEEP_PATIENCE: '1m',
        NODE_COMPILE_CACHE: join(tmpdir(), 'zkeep-tests-compiled'),
        ...env,
      },
    });
    this.#running.add(child);
    child.once('exit', () => this.#running.delete(child));
    // A command that ends early closes its standard input: that is its right.
    child.stdin.on('error', () => undefined);
    const ended = Promise.all([buffer(child.stdout), buffer(child.stderr), exitOf(child)]).then(
      ([stdout, stderr, code]) => ({ code, stdout, stderr: stderr.toString() }),
    );
    return { child, ended };
  }

  /** Runs a command to its end. */
  async zkeep(args: readonly string[], given: Given = {}): Promise<Ran> {
    const { child, ended } = this.begin(args, given.env);
    child.stdin.end(given.stdin);
    return await ended;
  }

  /** Runs a command with `--json`; its document has the shape that COMMANDS.md promises. */
  async document(args: readonly string[], code: number, given: Given = {}): Promise<Document> {
    const ran = await this.zkeep([...args, '--json'], given);
    assert.equal(ran.code, code, `${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
    return checkDocument(args[0] ?? '', ran.stdout.toString());
  }

  /** Waits until so many backups are open. */
  async untilOpen(count: number): Promise<void> {
    for (let left = 500; left > 0; left--) {
      if ((await this.openBackups()) === count) return;
      await sleep(20);
    }
    assert.equal(await this.openBackups(), count, 'open backups');
  }

  async openBackups(): Promise<number> {
    return (await this.#open()).length;
  }

  /** Waits until so many raw bytes of the backup that is open are granted, and all of them are in the store. */
  async untilStored(bytes: number): Promise<void> {
    for (let left = 1500; left > 0; left--) {
      const [open] = await this.#open();
      const folder = join(this.repository, 'segments', open?.backup ?? '');
      if (open?.bytes === bytes && existsSync(folder) && readdirSync(folder).length === open.segments) return;
      await sleep(20);
    }
    assert.fail(`${bytes} bytes are not stored`);
  }

  /** Takes the backup that is open away from its writer, as another process of its host would that saw it dead. */
  async takeOver(): Promise<void> {
    const [open] = await this.#open();
    assert.ok(open, 'a backup is open');
    const { writer, backup } = open;
    const body = { writer: { ...writer, process: 1 }, takeover: writer };
    const headers = { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' };
    const answer = await fetch(`${this.url}/v1/backups/${backup}/resume`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    assert.equal(answer.status, 200, await answer.text());
  }

  async #open(): Promise<OpenBackupRow[]> {
    const headers = { authorization: `Bearer ${this.#token}` };
    const answer = await this.service.app.inject({ url: '/v1/backups/open', headers });
    return (JSON.parse(answer.body) as { open: OpenBackupRow[] }).open;
  }

  /** Passes when the repository is whole to the last byte and nothing is left half; gives the number of backups. */
  async isClean(): Promise<number> {
    const store = new DirectoryStore(this.repository);
    const { backups, problems } = await verifyRepository(await openRepository(store), { deep: true });
    assert.deepEqual(problems, []);
    if (this.#service) await this.untilOpen(0);
    return backups;
  }
}

async function exitOf(child: ChildProcessWithoutNullStreams): Promise<number | null> {
  return await new Promise((resolve) => {
    child.once('close', (code) => resolve(code));
  });
}
