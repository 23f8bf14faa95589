/** `zkeep show`: one backup, its manifest, its attributes. */
import type { Command } from 'commander';
import type { Attributes, CommandOutput } from '../../catalog/attributes/attributes.ts';
import type { DamageRow } from '../../catalog/protocol/events.ts';
import type { BackupSummary } from '../../catalog/protocol/protocol.ts';
import type { Manifest } from '../../catalog/repository/manifest.ts';
import { parseBackupId } from '../../catalog/words.ts';
import type { CommonOptions } from '../settings.ts';
import type { CatalogView } from '../view/view.ts';
import { common, fromRepository, type Outcome, perform, type Surroundings } from './command.ts';
import { withView } from './connect.ts';

interface ShowOptions extends CommonOptions {
  readonly host?: string;
  readonly attributes?: boolean;
  readonly raw?: boolean;
}

const EXAMPLE = `zkeep show tank/home                   the newest snapshot
zkeep show tank/home@daily-1 --attributes
zkeep show tank/home --attributes --raw
zkeep show 01980c4e-7f3a-7c11-9d3e-5b1f2a6c8e90 --json`;

export function addShow(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('show')
    .description('show one backup')
    .argument('<what>', 'the id of a backup, or dataset[@snapshot]')
    .option('--attributes', 'with the attributes of dataset, snapshot, pool and host')
    .option('--raw', 'with --attributes: as the commands printed them')
    .option('--host <name>', 'the host that it is from, where several have a dataset of that name');
  common(fromRepository(command), EXAMPLE).action(async (what: string, options: ShowOptions) => {
    exit(await perform('show', options, async (surroundings) => await show(what, surroundings)));
  });
}

async function show(what: string, surroundings: Surroundings<ShowOptions>): Promise<Outcome> {
  const { options } = surroundings;
  return await withView(surroundings, async (view) => {
    const backup = await backupMeant(what, options.host, view);
    const manifest = await view.manifest(backup);
    const digest = options.attributes === true ? backup.attributes : null;
    const attributes = digest === null ? null : await view.attributes(digest);
    const told = attributes === null ? '' : await attributesText(attributes, backup, options.raw === true);
    const { dataset, host } = backup;
    const damage = (await view.damage({ dataset, host })).find((row) => row.backup === backup.backup) ?? null;
    const text = [await inWords(backup, manifest, damage), ...(told === '' ? [] : [told])].join('\n\n');
    return { document: { backup, manifest, attributes, damage }, text };
  });
}

/** An id, as no dataset can be called: it begins with a digit. Of several backups to a snapshot, the newest. */
async function backupMeant(
  what: string,
  host: string | undefined,
  view: CatalogView,
): Promise<BackupSummary> {
  if (/^[0-9]/.test(what)) return await view.backup(parseBackupId(what));
  const { findWanted, wantedBy } = await import('../view/wanted.ts');
  const [dataset = '', snapshot] = what.split('@', 2);
  const options = {
    ...(host === undefined ? {} : { host }),
    ...(snapshot === undefined ? {} : { snapshot }),
  };
  const { backups } = await findWanted(view, wantedBy(dataset, options), { drift: true });
  const [newest] = backups;
  if (!newest) throw new Error('a snapshot was found without a backup');
  return newest;
}

async function inWords(backup: BackupSummary, manifest: Manifest, damage: DamageRow | null): Promise<string> {
  const { counted, momentInWords, printable, sizeInWords } = await import('../output/words.ts');
  const { begin, records } = manifest.stream;
  const rows: [string, string][] = [
    ['backup', backup.backup],
    ['dataset', `${backup.dataset} on ${backup.host}`],
    ['snapshot', `@${backup.name}, GUID ${backup.to}, created ${momentInWords(backup.created)}`],
    [
      'base',
      manifest.from ? `${manifest.from.name ?? ''} GUID ${manifest.from.guid}`.trim() : 'none: a full stream',
    ],
    [
      'stream',
      `${sizeInWords(backup.bytes)} (${backup.bytes} bytes), ${begin.type === 3 ? 'volume' : 'file system'}`,
    ],
    ['sent', manifest.send_flags ? `zfs send ${manifest.send_flags.join(' ')}` : 'imported'],
    [
      'records',
      Object.entries(records)
        .map(([type, count]) => `${count} ${type}`)
        .join(', '),
    ],
    [
      'stored',
      `${sizeInWords(backup.stored)} in ${counted(backup.segments, 'segment')}${backup.encrypted ? ', encrypted' : ''}`,
    ],
    ['committed', backup.committed],
    ['set', backup.set ?? 'none'],
    ['lineage', backup.lineage],
    ['attributes', backup.attributes ?? 'none'],
    ['drift', driftInWords(backup.drift)],
    ...(damage ? [['damaged', damageInWords(damage)] satisfies [string, string]] : []),
  ];
  return rows.map(([name, value]) => `${name.padEnd(11)} ${printable(value)}`).join('\n');
}

/** Taken apart, unless nothing could be, or the outputs themselves are asked for. */
async function attributesText(
  { dataset, outputs, parsed }: Attributes,
  { name }: BackupSummary,
  raw: boolean,
): Promise<string> {
  if (parsed === null || raw) return await outputsInWords(outputs);
  const { attributesInWords } = await import('../output/attributes.ts');
  return attributesInWords(parsed, `${dataset}@${name}`);
}

async function outputsInWords(outputs: readonly CommandOutput[]): Promise<string> {
  const { printable } = await import('../output/words.ts');
  const tabbed = (line: string) => line.split('\t').map(printable).join('\t');
  return outputs
    .map(({ command, exit, output, encoding, error }) => {
      const lines = (encoding === 'utf8' ? output : '(not text: see --json)').trimEnd().split('\n');
      const note = error === undefined ? [] : [`${exit === 0 ? 'note' : 'failed'}: ${printable(error)}`];
      return [`$ ${printable(command.join(' '))}`, ...lines.map(tabbed), ...note].join('\n');
    })
    .join('\n\n');
}

function damageInWords({ repaired, lost_count: lost, problems: [first] }: DamageRow): string {
  const cost = repaired
    ? 'repaired by a later backup'
    : `${lost} ${lost === 1 ? 'snapshot' : 'snapshots'} lost`;
  return `${first?.message ?? 'yes'}; ${cost} (zkeep damage)`;
}

function driftInWords(drift: number | null): string {
  if (drift === null) return 'not known';
  if (drift === 0) return 'none: what is set is as in the backup before';
  return `${drift} ${drift === 1 ? 'setting differs' : 'settings differ'} from the backup before (zkeep attributes --diff)`;
}
