/** What the service does to plan a prune of 100,000 backups, out of an index on disk: `node test/bench/prune.ts`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { CatalogIndex } from '../../catalog/index/catalog-index.ts';
import type { KeptBackup } from '../../catalog/index/tables/backup.ts';
import { newUuid7, parseBackupId } from '../../catalog/words.ts';
import { plan } from '../../server/jobs/prune/planning.ts';
import { BACKUPS, guid, POLICY, START, timed } from './histories.ts';

const BATCH = 10_000;

/** An hour lies between two snapshots of a dataset; each `renewed` of them begins a chain. */
function backup(number: number, depth: number, renewed: number): KeptBackup {
  const [dataset, at] = [Math.floor(number / depth), number % depth];
  const created = START + at * 3600;
  return {
    backup: parseBackupId(newUuid7(1_700_000_000_000 + number, new Uint8Array(10))),
    from: at % renewed === 0 ? null : guid(dataset, at - 1),
    base_name: at % renewed === 0 ? null : `zkeep-${at - 1}`,
    to: guid(dataset, at),
    flags: { raw: false, large_blocks: true },
    bytes: 2_000_000,
    stored: 1_000_000,
    committed: new Date((created + 60) * 1000).toISOString(),
    set: null,
    host: `host${dataset % 500}.example.org`,
    dataset: `tank/projects/volume-${dataset}`,
    source: null,
    name: `zkeep-${at}`,
    created,
    attributes: null,
    segments: 1,
    encrypted: false,
  };
}

async function measure(what: string, datasets: number, renewed: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'zkeep-bench-'));
  const index = new CatalogIndex(join(folder, 'index.db'));
  try {
    const depth = BACKUPS / datasets;
    for (let first = 0; first < BACKUPS; first += BATCH) {
      index.addAll(Array.from({ length: BATCH }, (_, at) => backup(first + at, depth, renewed)));
    }
    const question = {
      scope: {},
      inUse: { backups: new Set<never>(), bases: [] },
      now: (START + depth * 3600) * 1000,
      grace: 7 * 86_400_000,
      policies: [POLICY],
    };
    let marked = 0;
    const figures = await timed(async () => {
      const { totals } = await plan(index, question, () => false);
      marked = totals['mark']?.backups ?? 0;
    });
    process.stdout.write(`plan out of the index, ${BACKUPS} backups, ${what}, ${marked} go: ${figures}\n`);
  } finally {
    index.close();
    rmSync(folder, { recursive: true });
  }
}

process.stdout.write(`${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}\n\n`);
await measure('one lineage', 1, BACKUPS);
await measure('one dataset, a full backup every 1000', 1, 1000);
await measure('2000 datasets', 2000, BACKUPS);
