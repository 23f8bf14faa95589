/** What a file of tests stands on: a folder, a service, pools, and the command `zkeep` as a child process. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Static, TSchema } from 'typebox';
import { segmentKey } from '../../../../catalog/repository/names.ts';
import { CLONE, ENVIRONMENT } from './clone.ts';
import { type CommandOptions, type Ended, type Running, start } from './command.ts';
import {
  BackupDocument,
  type ErrorWords,
  FailureDocument,
  RestoreDocument,
  readDocument,
  VerifyDocument,
} from './documents.ts';
import { makePool, type Pool, type PoolOptions } from './pool.ts';
import { Service } from './service.ts';

const ZKEEP = join(CLONE, 'bin/zkeep');

const AS_NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

/** Its own host name, to all that it starts. */
const AS_HOST = ['unshare', '--uts', 'sh', '-c', 'hostname "$0"; exec "$@"'];

/** How `zkeep` is run. */
export type ZkeepOptions = CommandOptions & {
  readonly as?: 'nobody';
  /** What the host is called to it; by default what it is called. */
  readonly host?: string;
};

/** One temporary folder with all that a file of tests makes; `close` takes everything away again. */
export class Lab {
  readonly folder: string;
  readonly service: Service;
  readonly #pools: Pool[] = [];
  readonly #running = new Set<Running>();

  private constructor(folder: string, service: Service) {
    this.folder = folder;
    this.service = service;
  }

  /**
   * @param data the service's data folder; by default one in the temporary folder.
   * @param tables of the service's configuration, as TOML.
   * @example const lab = await Lab.open(); after(() => lab.close());
   */
  static async open(options: { readonly data?: string; readonly tables?: string } = {}): Promise<Lab> {
    const folder = await mkdtemp(join(tmpdir(), 'lab-'));
    const data = options.data ?? join(folder, 'service');
    await mkdir(data, { recursive: true });
    const lab = new Lab(folder, new Service(data, undefined, undefined, options.tables));
    await lab.service.start();
    return lab;
  }

  async close(): Promise<void> {
    for (const running of this.#running) running.kill('SIGKILL');
    await this.service.stop();
    for (const pool of this.#pools.toReversed()) await pool.destroy();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** A fresh pool, mounted in the temporary folder. */
  async pool(name: string, options: PoolOptions = {}): Promise<Pool> {
    const pool = await makePool(this.folder, name, options);
    this.#pools.push(pool);
    return pool;
  }

  /** Starts `zkeep`; without a service in the environment when the arguments name a repository. */
  start(args: readonly string[], options: ZkeepOptions = {}): Running {
    const { as: user, host, ...others } = options;
    const env = {
      ...ENVIRONMENT,
      ZKEEP_SERVICE: this.service.url,
      ZKEEP_TOKEN: this.service.token,
      ...options.env,
    };
    const before = [...(host === undefined ? [] : [...AS_HOST, host]), ...(user ? AS_NOBODY : [])];
    const running = start([...before, ZKEEP, ...args], { ...others, env });
    this.#running.add(running);
    void running.ended.finally(() => this.#running.delete(running)).catch(() => undefined);
    return running;
  }

  /** Runs `zkeep`, whatever its exit code. */
  async zkeep(args: readonly string[], options: ZkeepOptions = {}): Promise<Ended> {
    return this.start(args, options).ended;
  }

  /** Runs `zkeep` with `--json`, which must succeed, and gives the document. */
  async json<T extends TSchema>(schema: T, ...args: string[]): Promise<Static<T>> {
    const { exit, signal, stdout, stderr } = await this.zkeep([...args, '--json']);
    assert.equal(exit, 0, `zkeep ${args.join(' ')}: ${signal ?? ''} ${stdout} ${stderr}`);
    return readDocument(schema, stdout.toString('utf8'));
  }

  /** Backs up; of one dataset, what became of it. */
  async backup(...args: string[]): Promise<Static<typeof BackupDocument>['backups'][number]> {
    const { backups } = await this.json(BackupDocument, 'backup', ...args);
    const [one] = backups;
    assert.ok(one && one.outcome !== 'failed', `the backup failed: ${JSON.stringify(one)}`);
    return one;
  }

  /** Restores, and checks what the command itself says of it. */
  async restore(...args: string[]): Promise<Static<typeof RestoreDocument>> {
    const restored = await this.json(RestoreDocument, 'restore', ...args);
    assert.equal(restored.proof.guid_matches, true);
    assert.equal(restored.guid, restored.plan.wanted.guid);
    return restored;
  }
}

/** The error that a failed `zkeep --json` printed; of the first dataset that failed, where there are several. */
export function errorOf({ stdout, stderr, exit }: Ended): ErrorWords {
  const printed = stdout.toString('utf8');
  assert.notEqual(printed, '', `nothing on standard output; exit ${exit}: ${stderr}`);
  if (!('backups' in JSON.parse(printed))) return readDocument(FailureDocument, printed).error;
  const failed = readDocument(BackupDocument, printed).backups.find(({ error }) => error !== null);
  assert.ok(failed?.error, `no error in ${printed}`);
  return failed.error;
}

/**
 * Nothing half-done is listed: the service knows each manifest that lies in the
 * bucket, and each has all its segments, of the size that it says.
 */
export async function assertWhole(lab: Lab): Promise<void> {
  const sizes = new Map<string, number>();
  for (const key of await lab.service.keys(''))
    sizes.set(key, (await stat(join(lab.service.repository, key))).size);
  for (const key of sizes.keys()) {
    if (!key.startsWith('backups/')) continue;
    const { backup, source, to, segments } = await lab.service.manifest(basename(key, '.json'));
    assert.ok(
      (await lab.service.snapshots(source.dataset)).includes(String(to.name)),
      `${key} is not listed`,
    );
    const stored = segments.map((_, number) => sizes.get(segmentKey(backup, number, false)));
    assert.deepEqual(
      stored,
      segments.map((segment) => segment.stored),
    );
  }
}

/** Reads every stored byte back with `zkeep verify --deep`, and finds it whole. */
export async function assertClean(lab: Lab): Promise<void> {
  await assertWhole(lab);
  const { problems, backups } = await lab.json(VerifyDocument, 'verify', '--deep');
  assert.deepEqual(problems, []);
  assert.equal(backups, (await lab.service.keys('backups/')).length);
}
