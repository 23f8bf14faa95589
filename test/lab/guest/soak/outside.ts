/**
 * The soak beside the guest: zkeep, the service, the store and the judges run on this machine,
 * and only ZFS in the guest, over the bridge. `test/lab/soak` runs it; events on standard output,
 * a line of JSON each.
 */
import { existsSync, writeSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { CLONE } from '../parts/clone.ts';
import { eventually, type Running, run } from '../parts/command.ts';
import type { Method } from './journal.ts';
import { baseFile, type Kind } from './kinds.ts';
import { inGuest, Soak } from './soak.ts';
import { summaryOf, tableOf } from './summary.ts';

/** A boot takes twenty seconds: one cut in thirty is of the power. */
const METHODS: readonly [Method, ...Method[]] = [
  'power',
  ...times(9, 'agent'),
  ...times(4, 'stop'),
  ...times(6, 'child'),
  ...times(3, 'service'),
  ...times(4, 'tcp'),
  ...times(3, 'store'),
];
/** Raw bytes of a segment: a stream of some MiB has several. */
const SEGMENT = 2 * 2 ** 20;
/** Rounds between two looks of others at the counts. */
const TELL = 10;

const { values } = parseArgs({
  options: {
    guest: { type: 'string', default: 'soak' },
    suite: { type: 'string', default: 'trixie' },
    folder: { type: 'string', default: '' },
    result: { type: 'string', default: '' },
    port: { type: 'string', default: '18470' },
    commit: { type: 'string', default: '' },
    seed: { type: 'string', default: '1' },
    mebibytes: { type: 'string', default: '4' },
    kinds: { type: 'string', default: '' },
    backups: { type: 'string', default: '1000000' },
    /** Of each backup. */
    restores: { type: 'string', default: '1' },
    /** Seconds since 1970. */
    until: { type: 'string', default: String(2 ** 40) },
  },
});

/** Longest that making all sources may take, milliseconds: the guest has what others leave of this machine. */
const LONGEST_MAKING = 3_600_000;
const LONGEST_BOOT = 900_000;
const IN_GUEST = '/var/tmp/soak';
const LAB = join(CLONE, 'test/lab');
process.env['ZKEEP_SOAK_SEGMENT'] = String(SEGMENT);
const COUNTS = join(values.folder, 'counts');
await mkdir(COUNTS, { recursive: true });
process.env['LAB_BRIDGE_COUNTS'] = COUNTS;
process.env['NODE_OPTIONS'] = `--import ${join(import.meta.dirname, 'small-segments.ts')}`;

const tell = (event: object) =>
  void writeSync(1, `${JSON.stringify({ at: new Date().toISOString(), ...event })}\n`);
const mebibytes = Number(values.mebibytes);
const usual = inGuest(values.folder);
let ends = false;
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.on(signal, () => {
    ends = true;
  });

const soak = await Soak.open({
  ...usual,
  place: { folder: values.folder, pools: `${IN_GUEST}/pools`, port: Number(values.port), cutPower },
  pace: { pauses: 0.1, segment: SEGMENT, look: 8, counts: COUNTS },
  cuts: 2,
  epoch: 100,
  commit: values.commit,
  seed: values.seed,
  mebibytes,
  kinds: values.kinds.split(',').filter(Boolean),
  methods: METHODS,
  restores: Number(values.restores),
  tell,
  make,
});
while (!ends && soak.state.rounds < Number(values.backups) && Date.now() / 1000 < Number(values.until)) {
  await soak.round();
  if (soak.state.rounds % TELL === 0) await report();
}
await report();
await soak.close();
process.stdout.write(`${tableOf(soak.state)}\n`);
process.exitCode = soak.state.faults.length === 0 ? 0 : 1;

async function report(): Promise<void> {
  const { state } = soak;
  const summary = { suite: values.suite, ...summaryOf(state), state, table: tableOf(state) };
  await writeFile(values.result, `${JSON.stringify(summary)}\n`);
}

/** In the guest, by the same program as there; the streams of the bases are fetched. */
async function make(kinds: readonly Kind[]): Promise<void> {
  const names = kinds.map(({ name }) => name).join(',');
  const args = ['--folder', IN_GUEST, '--kinds', names, '--mebibytes', values.mebibytes];
  const command = ['in-guest', 'node', '/srv/zkeep/test/lab/guest/soak/making.ts', ...args];
  const made = await run(command, { longest: LONGEST_MAKING });
  if (made.exit !== 0) throw new Error(`nothing was made to back up: ${made.stderr}`);
  for (const kind of kinds) {
    if (!kind.base) continue;
    const { exit, stdout, stderr } = await run(['in-guest', 'cat', baseFile(IN_GUEST, kind)]);
    if (exit !== 0) throw new Error(`there is no base of ${kind.name}: ${stderr}`);
    await writeFile(baseFile(values.folder, kind), stdout);
  }
}

/** The guest goes, and zkeep with it, as if it had run there; the service and the store stay. */
async function cutPower(agent: Running): Promise<void> {
  const machine = Number(await readFile(join(dirname(values.result), 'pid'), 'utf8'));
  process.kill(machine, 'SIGKILL');
  agent.kill('SIGKILL');
  // Also as a process that has ended and that nobody has asked about yet.
  await eventually('the guest to be gone', async () => !existsSync(`/proc/${machine}`));
  const booted = await run([join(LAB, 'bridge/open'), values.guest, values.suite], { longest: LONGEST_BOOT });
  if (booted.exit !== 0) throw new Error(`the power did not come back: ${booted.stderr}`);
}

function times(count: number, method: Method): Method[] {
  return Array.from({ length: count }, () => method);
}
