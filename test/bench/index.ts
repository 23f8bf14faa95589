/**
 * The index at a million backups: builds it in a temporary file, measures, and
 * prints a table. Run it with `node test/bench/index.ts [datasets]`.
 */
import { hash } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Attributes } from '../../catalog/attributes/attributes.ts';
import { CatalogIndex } from '../../catalog/index/catalog-index.ts';
import type { KeptBackup } from '../../catalog/index/tables/backup.ts';
import { settingsIn } from '../../catalog/index/tables/settings.ts';
import {
  type Digest,
  type Guid,
  newUuid7,
  parseBackupId,
  parseDigest,
  type SourceId,
} from '../../catalog/words.ts';
import { guid } from './histories.ts';

const DATASETS = Number(process.argv[2] ?? 20_000);
/** Snapshots of each dataset. */
const DEPTH = 50;
/** Snapshots of each of the two long lineages. */
const LONG = 100_000;
/** In the grown lineage, a backup spans so many snapshots at once: a month of hours. */
const SPAN = 720;
const BATCH = 10_000;

let made = 0;
/** The record size that the attribute manifests of the grown lineage tell, by digest: another one every 1000 snapshots. */
const CHANGING = new Map<Digest, number>();

function backup(dataset: number, from: number | null, to: number, stored = 1_000_000): KeptBackup {
  const number = made++;
  const attributes = dataset === GROWN ? parseDigest(hash('sha256', String(number))) : null;
  if (attributes) CHANGING.set(attributes, 131_072 << (Math.floor(to / 1000) % 4));
  return {
    backup: parseBackupId(newUuid7(1_700_000_000_000 + number)),
    from: from === null ? null : guid(dataset, from),
    base_name: from === null ? null : `zkeep-${from}`,
    to: guid(dataset, to),
    flags: { raw: false, large_blocks: true },
    bytes: stored * 2,
    stored,
    committed: new Date(1_700_000_000_000 + number * 1000).toISOString(),
    set: null,
    host: `host${String(dataset % 500).padStart(4, '0')}.example.org`,
    dataset: nameOf(dataset),
    source: `${guid(0, 0)}/${guid(dataset, 0)}/host` as SourceId,
    name: `zkeep-${to}`,
    created: 1_600_000_000 + to * 3600,
    attributes,
    segments: 1,
    encrypted: false,
  };
}

function nameOf(dataset: number): string {
  return `tank/projects/volume-${String(dataset).padStart(6, '0')}`;
}

const [GROWN, BARE] = [DATASETS, DATASETS + 1];

/** As they come in life: every dataset once an hour. */
function* everything(): Generator<KeptBackup> {
  for (let at = 0; at < DEPTH; at++) {
    for (let dataset = 0; dataset < DATASETS; dataset++) yield backup(dataset, at === 0 ? null : at - 1, at);
  }
  for (let at = 0; at < LONG; at++) {
    yield backup(GROWN, at === 0 ? null : at - 1, at);
    if (at > 0 && at % SPAN === 0) yield backup(GROWN, at - SPAN, at, 50_000_000);
    yield backup(BARE, at === 0 ? null : at - 1, at);
  }
}

const results: [what: string, figure: string][] = [];

function report(what: string, figure: string): void {
  results.push([what, figure]);
  process.stderr.write(`${what}: ${figure}\n`);
}

/** Median and longest of so many runs. */
function time(what: string, runs: number, work: (run: number) => unknown): void {
  const took: number[] = [];
  for (let run = 0; run < runs; run++) {
    const began = performance.now();
    work(run);
    took.push(performance.now() - began);
  }
  took.sort((a, b) => a - b);
  const [median = 0, longest = 0] = [took[runs >> 1], took[runs - 1]];
  report(
    what,
    runs === 1 ? `${longest.toFixed(1)} ms` : `${median.toFixed(2)} ms (longest ${longest.toFixed(1)})`,
  );
}

function build(path: string): void {
  const index = new CatalogIndex(path);
  const began = performance.now();
  let batch: KeptBackup[] = [];
  for (const one of everything()) {
    batch.push(one);
    if (batch.length < BATCH) continue;
    index.addAll(batch);
    batch = [];
  }
  index.addAll(batch);
  const seconds = (performance.now() - began) / 1000;
  report(
    `adding ${made} backups, ${BATCH} at once`,
    `${Math.round(made / seconds)}/s (${seconds.toFixed(0)} s)`,
  );
  learn(index);
  index.close();
  report('size of the file', `${Math.round(statSync(path).size / 1024 / 1024)} MiB`);
}

/** What the attribute manifests of the grown lineage say: a property changes now and then. */
function learn(index: CatalogIndex): void {
  const began = performance.now();
  let learnt = 0;
  for (let page = index.unread(200); page.length > 0; page = index.unread(200, page.at(-1))) {
    const said = page.map((digest) => settingsIn(digest, attributesWith(CHANGING.get(digest) ?? 0)));
    index.learn(said);
    learnt += said.length;
  }
  const seconds = (performance.now() - began) / 1000;
  report(
    `learning ${learnt} attribute manifests`,
    `${Math.round(learnt / seconds)}/s (${seconds.toFixed(0)} s)`,
  );
}

/** A hundred properties, one of which is this. */
function attributesWith(recordsize: number): Attributes {
  const property = (value: number) => ({ value: String(value), source: 'local' as const });
  const names = Array.from({ length: 100 }, (_, at) => [`org.example:${at}`, property(at)] as const);
  const properties = { ...Object.fromEntries(names), recordsize: property(recordsize) };
  const objects = [{ name: nameOf(GROWN), kind: 'filesystem' as const, properties }];
  return { format: 1, dataset: nameOf(GROWN), outputs: [], parsed: { objects, pool: null, host: null } };
}

function ask(index: CatalogIndex): void {
  const some = (run: number) => (run * 7919) % DATASETS;
  const plan = (dataset: number, more: object = {}, have: Guid[] = []) =>
    index.plan({ wanted: { dataset: nameOf(dataset), ...more }, have, rollback: false });
  const refused = (work: () => unknown) => {
    try {
      work();
    } catch {
      return;
    }
    throw new Error('this should have been refused');
  };
  const hour = (at: number) => ({ at: 1_600_000_000 + at * 3600 });

  time(`plan: newest of one of ${DATASETS} datasets (${DEPTH} steps)`, 200, (run) => plan(some(run)));
  time('plan: such a one at a moment', 200, (run) => plan(some(run), hour(run % DEPTH)));
  time('plan: such a one onto a target that has half of it', 200, (run) =>
    plan(some(run), {}, [guid(some(run), DEPTH / 2)]),
  );
  const steps = plan(GROWN).steps.length;
  time(`plan: newest of the lineage of ${LONG}, fresh target (${steps} steps)`, 20, () => plan(GROWN));
  time('plan: at moments in it, fresh target', 50, (run) => plan(GROWN, hour(run * 1997)));
  time('plan: 100 steps on from what the target has', 50, (run) =>
    plan(GROWN, hour(run * 1997 + 100), [guid(GROWN, run * 1997)]),
  );
  time('plan: half of it on from what the target has', 5, () => plan(GROWN, {}, [guid(GROWN, LONG / 2)]));
  time('plan: refused, the target has newer', 3, () =>
    refused(() => plan(GROWN, hour(LONG / 2), [guid(GROWN, LONG - 1)])),
  );
  time('plan: refused, the target is a stranger', 3, () =>
    refused(() => plan(GROWN, {}, [guid(GROWN, LONG + 7)])),
  );
  time(`plan: a chain of ${LONG} without any shortcut`, 1, () => plan(BARE));

  time('known: 200 snapshots', 50, (run) =>
    index.known(Array.from({ length: 200 }, (_, at) => guid(some(run + at), at % DEPTH))),
  );
  time('known: 20,000 snapshots', 3, (run) =>
    index.known(Array.from({ length: 20_000 }, (_, at) => guid(GROWN, (at * 31 + run) % LONG))),
  );

  const grown = { dataset: nameOf(GROWN) };
  time(`history of a property of ${LONG} snapshots`, 20, () =>
    index.history({ ...grown, property: 'recordsize', limit: 1000 }),
  );
  time('what was set at moments in it', 20, (run) => index.settings({ ...grown, ...hour(run * 1997) }));

  const limit = 1000;
  time('page of 1000 datasets', 20, () => index.datasets({ limit }));
  time('page of 1000 lineages', 20, () => index.lineages({ limit }));
  time('page of 1000 backups', 20, () => index.backups({ limit }));
  time('page of 1000 snapshots', 20, () => index.snapshots({ limit }));
  time('page of 1000 snapshots of the long lineage', 20, () =>
    index.snapshots({ dataset: nameOf(GROWN), limit }),
  );
  let after = {};
  time('20 pages of 100 snapshots of a host', 1, () => {
    for (let page = 0; page < 20; page++) {
      const { next } = index.snapshots({ host: 'host0007.example.org', limit: 100, ...after });
      if (next !== null) after = { after: next };
    }
  });

  time('adding one backup', 200, (run) => index.add(backup(some(run), DEPTH - 1, DEPTH + run)));
  time(`removing one backup of a lineage of ${DEPTH}`, 50, (run) =>
    index.remove(index.backupsTo(guid(some(run + 300), DEPTH - 1)).map((it) => it.backup)),
  );
  time(`removing the oldest 1000 of the lineage of ${LONG}`, 1, () =>
    index.remove(
      Array.from({ length: 1000 }, (_, at) => index.backupsTo(guid(BARE, at)))
        .flat()
        .map((it) => it.backup),
    ),
  );
}

const folder = mkdtempSync(join(tmpdir(), 'zkeep-bench-'));
try {
  const path = join(folder, 'index.db');
  build(path);
  const index = new CatalogIndex(path);
  ask(index);
  index.close();
  const width = Math.max(...results.map(([what]) => what.length));
  process.stdout.write(`${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}\n\n`);
  for (const [what, figure] of results) process.stdout.write(`${what.padEnd(width)}  ${figure}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
