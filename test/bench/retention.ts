/** Planning what prune does, over 100,000 backups: `node test/bench/retention.ts`. */
import { cpus } from 'node:os';
import type { RetentionEdge } from '../../catalog/chain/retention/edge.ts';
import { digestOf, planRetention } from '../../catalog/chain/retention/plan.ts';
import type { Policy } from '../../catalog/chain/retention/policy.ts';
import {
  type Guid,
  guidOf,
  type LineageId,
  newUuid7,
  parseBackupId,
  type SourceId,
} from '../../catalog/words.ts';

const BACKUPS = 100_000;
const RUNS = 7;
const START = 1_600_000_000;
/** A new full backup after so many. */
const RENEWED = 1000;

const POLICY: Policy = {
  name: 'usual',
  datasets: ['tank/**'],
  hosts: [],
  lineages: [],
  keep: { last: 10, hourly: 24, daily: 14, weekly: 8, monthly: 12, yearly: 5 },
  zone: 'Europe/Berlin',
};

/** GUIDs are random in life; here they are a scrambled count, so that they can be named again. */
function guid(dataset: number, snapshot: number): Guid {
  return guidOf(BigInt.asUintN(64, BigInt(dataset * 1_000_003 + snapshot) * 0x9e3779b97f4a7c15n));
}

/** An hour lies between two snapshots of a dataset. */
function history(datasets: number, renewed: number): RetentionEdge[] {
  const depth = BACKUPS / datasets;
  return Array.from({ length: BACKUPS }, (_, number) => {
    const [dataset, at] = [Math.floor(number / depth), number % depth];
    const created = START + at * 3600;
    return {
      backup: parseBackupId(newUuid7(1_700_000_000_000 + number, new Uint8Array(10))),
      from: at % renewed === 0 ? null : guid(dataset, at - 1),
      to: guid(dataset, at),
      flags: { raw: false, large_blocks: true },
      bytes: 2_000_000,
      stored: 1_000_000,
      committed: new Date((created + 60) * 1000).toISOString(),
      host: `host${dataset % 500}.example.org`,
      dataset: `tank/projects/volume-${dataset}`,
      source: `${guid(0, 0)}/${guid(dataset, 0)}/host` as SourceId,
      name: `zkeep-${at}`,
      created,
      lineage: newUuid7(1_700_000_000_000 + dataset, new Uint8Array(10)) as LineageId,
    };
  });
}

process.stdout.write(`${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}\n\n`);
for (const [what, datasets, renewed] of [
  ['one lineage', 1, BACKUPS],
  [`one dataset, a full backup every ${RENEWED}`, 1, RENEWED],
  ['2000 datasets', 2000, BACKUPS],
] as const) {
  const edges = history(datasets, renewed);
  const took: { elapsed: number; cpu: number }[] = [];
  let acts = 0;
  for (let run = 0; run < RUNS; run++) {
    const [began, before] = [performance.now(), process.cpuUsage()];
    const rows = planRetention({
      edges,
      policies: [POLICY],
      pins: [],
      marks: [],
      damaged: new Set(),
      inUse: { backups: new Set(), bases: [] },
      now: (START + BACKUPS * 3600) * 1000,
      grace: 7 * 86_400_000,
    });
    digestOf(rows);
    const cpu = process.cpuUsage(before);
    took.push({ elapsed: performance.now() - began, cpu: (cpu.user + cpu.system) / 1000 });
    acts = rows.filter(({ fate }) => fate === 'mark').length;
  }
  const median = (of: 'elapsed' | 'cpu') =>
    Math.round(took.map((one) => one[of]).sort((a, b) => a - b)[RUNS >> 1] ?? 0);
  const figures = `${median('elapsed')} ms (the first ${Math.round(took[0]?.elapsed ?? 0)}), CPU ${median('cpu')} ms`;
  process.stdout.write(`plan, ${BACKUPS} backups, ${what}, ${acts} go: ${figures}\n`);
}
