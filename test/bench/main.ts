/**
 * `npm run bench`: the road of a backup from a pipe into a folder and into a
 * loopback S3 server, and back, beside others on the same stream in the same
 * run. Prints tables of medians with ratios; README.md keeps a copy.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { arch, cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { KINDS, type Kind, writeStream } from './data.ts';
import { type Measured, warmMemory } from './measure.ts';
import { has, type Peer, peersHere } from './peers.ts';
import { type StoreChoice, startBenchStore } from './s3.ts';
import { bareRoad, zkeep } from './zkeep.ts';

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '1024' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
    folder: { type: 'string', default: tmpdir() },
  },
});
const size = Number(values.size) * 1024 * 1024;
const rounds = Number(values.rounds);
const kinds = KINDS.filter((kind) => values.only === undefined || values.only === kind);
const folder = mkdtempSync(join(values.folder, 'zkeep-bench-'));
const MIB = 1024 * 1024;
/** Bytes of memory that a contender takes, about. */
const ROOM = 512 * MIB;
const ROAD = 'zkeep, the road alone';

try {
  console.log(
    `${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB, ` +
      `${release()} ${arch()}, Node ${process.version}, load before ${loadavg()[0]?.toFixed(1)}; ` +
      `streams of ${values.size} MiB, medians of ${rounds} rounds\n`,
  );
  const s3 = has('radosgw') ? await startBenchStore() : undefined;
  try {
    for (const kind of kinds) await bench(kind, s3?.store);
    await benchSmall();
  } finally {
    await s3?.stop();
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** All contenders on one kind of stream, in turn, so that a drift of the machine meets them alike. */
async function bench(kind: Kind, store: StoreChoice | undefined): Promise<void> {
  const stream = join(folder, 'stream');
  await writeStream(stream, kind, size);
  const contenders = [
    bareRoad(ROAD, folder),
    zkeep('zkeep import, service with a folder', folder),
    ...(store ? [zkeep('zkeep import, service with Ceph RGW', folder, store)] : []),
    ...peersHere(folder),
  ];
  const kept = new Map<string, Measured[]>();
  const given = new Map<string, Measured[]>();
  for (let round = 0; round < rounds; round++) {
    // Whoever is first after a pause pays for the machine's waking up: each time it is another.
    for (const contender of rotated(contenders, round)) {
      warmMemory(folder, size + ROOM);
      push(kept, contender.name, await contender.keep(stream));
      warmMemory(folder, ROOM);
      push(given, contender.name, await contender.back('/dev/null'));
      if (round === 0) await compare(contender, stream);
      await contender.clean();
    }
  }
  const bytes = statSync(stream).size;
  console.log(`### ${kind}\n`);
  print(bytes, kept, given);
  rmSync(stream);
}

/** Whether it gives what it was given: in a run that is not timed. */
async function compare(contender: Peer, stream: string): Promise<void> {
  const back = join(folder, 'back');
  await contender.back(back);
  const { status } = spawnSync('cmp', [back, stream], { stdio: 'inherit' });
  if (status !== 0) throw new Error(`${contender.name} gave other bytes`);
  rmSync(back);
}

/** The price of a small backup: what is beyond the bytes. */
async function benchSmall(): Promise<void> {
  const stream = join(folder, 'small');
  await writeStream(stream, 'incompressible', 4 * MIB);
  const runs: Measured[] = [];
  const returns: Measured[] = [];
  for (let round = 0; round < Math.max(5, rounds); round++) {
    const contender = zkeep('zkeep', folder);
    runs.push(await contender.keep(stream));
    returns.push(await contender.back('/dev/null'));
    await contender.clean();
  }
  console.log('### a stream of 4 MiB (an MGT), whole command\n');
  console.log(
    `backup ${median(runs, 'seconds').toFixed(2)} s, restore ${median(returns, 'seconds').toFixed(2)} s\n`,
  );
}

function print(bytes: number, kept: Map<string, Measured[]>, given: Map<string, Measured[]>): void {
  const road = kept.get(ROAD) ?? [];
  console.log(
    '| | in MB/s | back MB/s | the road is so many times as fast | in CPU s/GB | back CPU s/GB | peak MiB |',
  );
  console.log('|---|---|---|---|---|---|---|');
  for (const [name, runs] of kept) {
    const returns = given.get(name) ?? [];
    // Pair by pair: the two ran next to each other.
    const ratios = runs
      .map((run, round) => run.seconds / (road[round]?.seconds ?? Number.NaN))
      .sort((a, b) => a - b);
    const cells = [
      name,
      (bytes / 1e6 / median(runs, 'seconds')).toFixed(0),
      (bytes / 1e6 / median(returns, 'seconds')).toFixed(0),
      (ratios[Math.floor(ratios.length / 2)] ?? Number.NaN).toFixed(2),
      (median(runs, 'cpu') / (bytes / 1e9)).toFixed(2),
      (median(returns, 'cpu') / (bytes / 1e9)).toFixed(2),
      (Math.max(...[...runs, ...returns].map(({ peak }) => peak)) / MIB).toFixed(0),
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
  console.log();
}

function rotated<T>(contenders: readonly T[], round: number): T[] {
  const first = (2 * round) % contenders.length;
  return [...contenders.slice(first), ...contenders.slice(0, first)];
}

function push(map: Map<string, Measured[]>, name: string, measured: Measured): void {
  map.set(name, [...(map.get(name) ?? []), measured]);
}

function median(runs: readonly Measured[], field: keyof Measured): number {
  const sorted = runs.map((run) => run[field]).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
