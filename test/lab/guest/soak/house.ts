/** What the soak stands on: pools that outlive a power cut, a service, and the two lines that lead to it. */
import { copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FaultProxy, startFaultProxy } from '../../../fault-proxy.ts';
import { CLONE, ENVIRONMENT } from '../parts/clone.ts';
import { type Ended, must, type Running, run, start } from '../parts/command.ts';
import { Service } from '../parts/service.ts';

const POOLS = ['tank', 'fresh'];
/** Longest that a start of zkeep may take, milliseconds: it waits for a service or a store that is away. */
const LONGEST = 1_200_000;
/** Files with streams that are kept of faults. */
const MOST_STREAMS = 12;
const ZKEEP = join(CLONE, 'bin/zkeep');

/** Where the soak stands. */
export interface Place {
  /** On a disk that outlives a power cut, where there are any. */
  readonly folder: string;
  /** The folder of the pools' files, on the machine that has the pools. */
  readonly pools: string;
  /** Of the service; the two lines to it take the next ones: calls go one way and objects the other. */
  readonly port: number;
  /** Cuts the power of the machine that has the pools, and ends what it ended; comes back when the power is back. */
  readonly cutPower: (agent: Running) => Promise<void>;
}

export class House {
  readonly folder: string;
  readonly #place: Place;
  /** Bytes of objects that went to the store and from it. */
  moved = 0;
  #service: Service | undefined;
  #calls: FaultProxy | undefined;
  #objects: FaultProxy | undefined;

  constructor(place: Place) {
    this.folder = place.folder;
    this.#place = place;
  }

  get service(): Service {
    if (!this.#service) throw new Error('there is no service yet');
    return this.#service;
  }

  /** Makes the pools where they are not there. */
  async makePools(mebibytes: number): Promise<void> {
    const { folder, pools } = this.#place;
    await mkdir(pools, { recursive: true });
    for (const pool of await this.findPools()) {
      const file = join(pools, pool);
      await must('truncate', '-s', `${mebibytes}M`, file);
      const quiet = ['-o', 'cachefile=none', '-O', 'atime=off', '-m', join(folder, pool)];
      await must('zpool', 'create', '-f', ...quiet, pool, file);
    }
  }

  /** Finds the pools again after a power cut; gives those that are not there. */
  async findPools(): Promise<string[]> {
    const missing: string[] = [];
    for (const pool of POOLS) {
      if ((await run(['zpool', 'list', pool])).exit === 0) continue;
      const where = ['-o', 'cachefile=none', '-d', this.#place.pools];
      const found = await run(['zpool', 'import', '-N', '-f', ...where, pool]);
      if (found.exit !== 0) missing.push(pool);
    }
    return missing;
  }

  /** As {@link Place.cutPower}; the pools are there again then. */
  async cutPower(agent: Running): Promise<void> {
    await this.#place.cutPower(agent);
    const missing = await this.findPools();
    if (missing.length > 0) throw new Error(`after the power cut there is no ${missing.join(' and ')}`);
  }

  /** Starts the service on a folder of this name. */
  async openService(name: string, token: string): Promise<void> {
    const data = join(this.folder, name);
    await mkdir(data, { recursive: true });
    const { port } = this.#place;
    this.#service = new Service(data, port, `http://127.0.0.1:${port + 2}`);
    this.#service.token = token;
    await this.#service.start();
    this.#calls ??= await this.#callsLine();
    this.#objects ??= await this.#objectsLine();
  }

  /** Ends the service and throws away all that it kept. */
  async dropService(name: string): Promise<void> {
    await this.#service?.stop();
    for (const end of ['', '.log', '.toml'])
      await rm(join(this.folder, name + end), { recursive: true, force: true });
  }

  /** Ends the service; all that it keeps stays. */
  async close(): Promise<void> {
    await this.#service?.stop();
    await this.#calls?.stop();
    await this.#objects?.stop();
  }

  /** Takes everything away. */
  async destroy(): Promise<void> {
    await this.close();
    for (const pool of POOLS) await run(['zpool', 'destroy', '-f', pool]);
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Starts `zkeep --json`, which reaches the service through the proxies. */
  start(args: readonly string[], inputFile?: string): Running {
    const env = {
      ...ENVIRONMENT,
      ZKEEP_SERVICE: `http://127.0.0.1:${this.#place.port + 1}`,
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
    this.#calls = await this.#callsLine();
  }

  /** The store is gone for some milliseconds: what was on its way there breaks. */
  async cutStore(pause: number): Promise<void> {
    this.#count();
    await this.#objects?.stop();
    this.#objects = undefined;
    await sleep(pause);
    this.#objects = await this.#objectsLine();
  }

  /** Nothing bad happens to the lines any more; gives the bytes of objects since the last time it was asked. */
  async calm(): Promise<number> {
    this.#objects?.clear();
    this.#count();
    const { moved } = this;
    this.moved = 0;
    return moved;
  }

  async #callsLine(): Promise<FaultProxy> {
    return await startFaultProxy(this.#place.port, this.#place.port + 1);
  }

  async #objectsLine(): Promise<FaultProxy> {
    return await startFaultProxy(this.#place.port, this.#place.port + 2);
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

  /** Keeps the streams that were compared last, until there are too many of them. */
  async noteStreams(name: string): Promise<void> {
    const folder = this.file('faults/streams');
    await mkdir(folder, { recursive: true });
    if ((await readdir(folder)).length >= MOST_STREAMS) return;
    for (const stream of ['sent', 'source', 'restored'])
      await copyFile(this.file(`${stream}.zfs`), join(folder, `${name}-${stream}.zfs`)).catch(
        () => undefined,
      );
  }

  /** Keeps what a command said, for whoever looks into a fault. */
  async note(name: string, text: string): Promise<void> {
    await mkdir(this.file('faults'), { recursive: true });
    await writeFile(this.file(`faults/${name}`), text);
  }
}
