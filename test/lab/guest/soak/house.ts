/** What the soak stands on: pools that outlive a power cut, a service, and the two lines that lead to it. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FaultProxy, startFaultProxy } from '../../../fault-proxy.ts';
import { CLONE, ENVIRONMENT } from '../parts/clone.ts';
import { type Ended, must, type Running, run, start } from '../parts/command.ts';
import { Service } from '../parts/service.ts';

const SERVICE_PORT = 18_470;
/** Where the proxies listen: calls go one way and objects the other. */
const CALLS_PORT = 18_471;
const OBJECTS_PORT = 18_472;
const POOLS = ['tank', 'fresh'];
/** Longest that a start of zkeep may take, milliseconds: it waits for a service or a store that is away. */
const LONGEST = 1_200_000;
const ZKEEP = join(CLONE, 'bin/zkeep');

export class House {
  readonly folder: string;
  /** Bytes of objects that went to the store and from it. */
  moved = 0;
  #service: Service | undefined;
  #calls: FaultProxy | undefined;
  #objects: FaultProxy | undefined;

  constructor(folder: string) {
    this.folder = folder;
  }

  get service(): Service {
    if (!this.#service) throw new Error('there is no service yet');
    return this.#service;
  }

  /** Makes the pools, or finds them again after a power cut. */
  async openPools(mebibytes: number): Promise<void> {
    const files = join(this.folder, 'pools');
    await mkdir(files, { recursive: true });
    for (const pool of POOLS) {
      if ((await run(['zpool', 'list', pool])).exit === 0) continue;
      const found = await run(['zpool', 'import', '-N', '-f', '-o', 'cachefile=none', '-d', files, pool]);
      if (found.exit === 0) continue;
      const file = join(files, pool);
      await must('truncate', '-s', `${mebibytes}M`, file);
      const quiet = ['-o', 'cachefile=none', '-O', 'atime=off', '-m', join(this.folder, pool)];
      await must('zpool', 'create', '-f', ...quiet, pool, file);
    }
  }

  /** Starts the service on a folder of this name. */
  async openService(name: string, token: string): Promise<void> {
    const data = join(this.folder, name);
    await mkdir(data, { recursive: true });
    this.#service = new Service(data, SERVICE_PORT, `http://127.0.0.1:${OBJECTS_PORT}`);
    this.#service.token = token;
    await this.#service.start();
    this.#calls ??= await startFaultProxy(SERVICE_PORT, CALLS_PORT);
    this.#objects ??= await startFaultProxy(SERVICE_PORT, OBJECTS_PORT);
  }

  /** Ends the service and throws away all that it kept. */
  async dropService(name: string): Promise<void> {
    await this.#service?.stop();
    for (const end of ['', '.log', '.toml'])
      await rm(join(this.folder, name + end), { recursive: true, force: true });
  }

  async close(): Promise<void> {
    await this.#service?.stop();
    await this.#calls?.stop();
    await this.#objects?.stop();
    for (const pool of POOLS) await run(['zpool', 'destroy', '-f', pool]);
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Starts `zkeep --json`, which reaches the service through the proxies. */
  start(args: readonly string[], inputFile?: string): Running {
    const env = {
      ...ENVIRONMENT,
      ZKEEP_SERVICE: `http://127.0.0.1:${CALLS_PORT}`,
      ZKEEP_TOKEN: this.service.token,
      ZKEEP_STATE: join(this.folder, 'state'),
    };
    return start([ZKEEP, ...args, '--json'], { env, longest: LONGEST, ...(inputFile ? { inputFile } : {}) });
  }

  async zkeep(args: readonly string[], inputFile?: string): Promise<Ended> {
    return await this.start(args, inputFile).ended;
  }

  async killService(pause: number): Promise<void> {
    await this.service.stop('SIGKILL');
    await sleep(pause);
    await this.service.start();
  }

  /** The next transfers of objects are cut after so many bytes, and all connections of calls now. */
  async cutLines(after: number, times: number): Promise<void> {
    this.#objects?.meet({ method: 'PUT', cutUp: after }, times);
    this.#objects?.meet({ method: 'GET', cutDown: after }, times);
    await this.#calls?.stop();
    this.#calls = await startFaultProxy(SERVICE_PORT, CALLS_PORT);
  }

  /** The store is gone for some milliseconds: what was on its way there breaks. */
  async cutStore(pause: number): Promise<void> {
    this.#count();
    await this.#objects?.stop();
    this.#objects = undefined;
    await sleep(pause);
    this.#objects = await startFaultProxy(SERVICE_PORT, OBJECTS_PORT);
  }

  /** Nothing bad happens to the lines any more; gives the bytes of objects since the last time it was asked. */
  async calm(): Promise<number> {
    this.#objects?.clear();
    this.#count();
    const { moved } = this;
    this.moved = 0;
    return moved;
  }

  #counted = { proxy: undefined as FaultProxy | undefined, bytes: 0 };

  #count(): void {
    const proxy = this.#objects;
    if (!proxy) return;
    const bytes = proxy.passed.up + proxy.passed.down;
    this.moved += bytes - (this.#counted.proxy === proxy ? this.#counted.bytes : 0);
    this.#counted = { proxy, bytes };
  }

  /** A file in the soak's folder. */
  file(name: string): string {
    return join(this.folder, name);
  }

  /** Keeps what a command said, for whoever looks into a fault. */
  async note(name: string, text: string): Promise<void> {
    await mkdir(this.file('faults'), { recursive: true });
    await writeFile(this.file(`faults/${name}`), text);
  }
}
