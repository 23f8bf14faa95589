/** Planning what prune does, over 100,000 backups: `node test/bench/retention.ts`. */
import { cpus } from 'node:os';
import type { RetentionEdge } from '../../catalog/chain/retention/edge.ts';
import { digestOf, planRetention } from '../../catalog/chain/retention/plan.ts';
import { type LineageId, newUuid7, parseBackupId, type SourceId } from '../../catalog/words.ts';
import { BACKUPS, guid, POLICY, START, timed } from './histories.ts';

/** A new full backup after so many. */
const RENEWED = 1000;

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
  let acts = 0;
  const figures = await timed(() => {
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
    acts = rows.filter(({ fate }) => fate === 'mark').length;
  });
  process.stdout.write(`plan, ${BACKUPS} backups, ${what}, ${acts} go: ${figures}\n`);
}
