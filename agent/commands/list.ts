/** `zkeep list`: what is kept. */
import type { Command } from 'commander';
import type { DamageRow } from '../../catalog/protocol/events.ts';
import type { BackupSummary, Dataset } from '../../catalog/protocol/protocol.ts';
import type { CommonOptions } from '../settings.ts';
import type { CatalogView } from '../view/view.ts';
import { common, fromRepository, type Outcome, perform, type Surroundings } from './command.ts';
import { withView } from './connect.ts';
import { nothingKept } from './kept.ts';

interface ListOptions extends CommonOptions {
  readonly host?: string;
}

const EXAMPLE = `zkeep list
zkeep list tank/home
zkeep list --repository /mnt/backups --json`;

export function addList(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('list')
    .description('list what is kept: all datasets, or the snapshots of one')
    .argument('[dataset]', 'as it was called where it was backed up')
    .option('--host <name>', 'only what is from this host');
  common(fromRepository(command), EXAMPLE).action(
    async (dataset: string | undefined, options: ListOptions) => {
      exit(await perform('list', options, async (surroundings) => await list(dataset, surroundings)));
    },
  );
}

async function list(dataset: string | undefined, surroundings: Surroundings<ListOptions>): Promise<Outcome> {
  const meant = ofHost(surroundings.options);
  return await withView(surroundings, async (view) =>
    dataset === undefined
      ? await listDatasets(view, meant)
      : await listSnapshots(view, { dataset, ...meant }),
  );
}

function ofHost({ host }: { readonly host?: string }): { host?: string } {
  return host === undefined ? {} : { host };
}

/** Below a table: what is damaged, and not repaired. */
function told(damage: readonly DamageRow[]): string {
  const broken = damage.filter(({ repaired }) => !repaired).length;
  if (broken === 0) return '';
  return `\n${broken === 1 ? '1 backup is' : `${broken} backups are`} damaged: zkeep damage says what is lost`;
}

async function listDatasets(view: CatalogView, meant: { host?: string }): Promise<Outcome> {
  const datasets: Dataset[] = [];
  for await (const one of view.datasets(meant)) datasets.push(one);
  const damage = await view.damage(meant);
  return { document: { datasets, damage }, text: `${await datasetTable(datasets)}${told(damage)}` };
}

async function listSnapshots(view: CatalogView, meant: { dataset: string; host?: string }): Promise<Outcome> {
  const { parseDataset } = await import('../zfs/names.ts');
  const dataset = parseDataset(meant.dataset);
  const snapshots: BackupSummary[] = [];
  for await (const one of view.backups({ ...meant, drift: true })) snapshots.push(one);
  if (snapshots.length === 0) throw nothingKept({ ...meant, dataset });
  snapshots.sort((one, other) => one.created - other.created || (one.backup < other.backup ? -1 : 1));
  const damage = await view.damage({ dataset, ...ofHost(meant) });
  const text = `${await snapshotTable(snapshots, damage)}${told(damage)}`;
  return { document: { dataset, snapshots, damage }, text };
}

async function datasetTable(datasets: readonly Dataset[]): Promise<string> {
  if (datasets.length === 0) return 'nothing is kept yet';
  const { table } = await import('../output/table.ts');
  const { momentInWords, sizeInWords } = await import('../output/words.ts');
  return table(
    [
      { title: 'host' },
      { title: 'dataset' },
      { title: 'snapshots', right: true },
      { title: 'stored', right: true },
      { title: 'oldest' },
      { title: 'newest' },
    ],
    datasets.map(({ host, dataset, snapshots, stored, oldest, newest }) => [
      host,
      dataset,
      String(snapshots),
      sizeInWords(stored),
      momentInWords(oldest),
      momentInWords(newest),
    ]),
  );
}

async function snapshotTable(
  backups: readonly BackupSummary[],
  damage: readonly DamageRow[],
): Promise<string> {
  const { table } = await import('../output/table.ts');
  const { momentInWords, sizeInWords } = await import('../output/words.ts');
  const names = new Map(backups.map(({ to, name }) => [to, `@${name}`]));
  const damaged = new Set(damage.map(({ backup }) => backup));
  const lost = new Set(damage.flatMap((row) => row.lost.map(({ guid }) => guid)));
  const state = ({ backup, to }: BackupSummary) =>
    damaged.has(backup) ? 'damaged' : lost.has(to) ? 'lost' : '';
  return table(
    [
      { title: 'created' },
      { title: 'snapshot' },
      { title: 'from' },
      { title: 'size', right: true },
      { title: 'stored', right: true },
      { title: 'drift', right: true },
      { title: 'guid' },
      { title: 'backup' },
      { title: 'host' },
      ...(damage.length > 0 ? [{ title: 'state' }] : []),
    ],
    backups.map((summary) => {
      const { created, name, from, bytes, stored, drift, to, backup, host } = summary;
      return [
        momentInWords(created),
        `@${name}`,
        from === null ? 'full' : (names.get(from) ?? from),
        sizeInWords(bytes),
        sizeInWords(stored),
        drift === null ? '-' : String(drift),
        to,
        backup,
        host,
        ...(damage.length > 0 ? [state(summary)] : []),
      ];
    }),
  );
}
