/** `zkeep damage`: which backups are damaged, what is lost by that, and what to do. */
import type { Command } from 'commander';
import { EXIT_CODES } from '../../catalog/errors.ts';
import type { DamageRow } from '../../catalog/protocol/events.ts';
import type { CommonOptions } from '../settings.ts';
import { common, fromRepository, type Outcome, perform, type Surroundings } from './command.ts';
import { withView } from './connect.ts';
import { mustBeKept } from './kept.ts';

interface DamageOptions extends CommonOptions {
  readonly host?: string;
}

const EXAMPLE = `zkeep damage
zkeep damage tank/home --json
zkeep damage --repository s3://backups/zkeep`;

/** Most lost snapshots that the words name of one backup. */
const MOST_NAMED = 10;

export function addDamage(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('damage')
    .description('list damaged backups: what is lost by each, and what to do about it')
    .argument('[dataset]', 'only backups of this dataset')
    .option('--host <name>', 'only what is from this host');
  common(fromRepository(command), EXAMPLE).action(
    async (dataset: string | undefined, options: DamageOptions) => {
      exit(await perform('damage', options, async (surroundings) => await damage(dataset, surroundings)));
    },
  );
}

async function damage(
  dataset: string | undefined,
  surroundings: Surroundings<DamageOptions>,
): Promise<Outcome> {
  const { host } = surroundings.options;
  const meant = { ...(dataset === undefined ? {} : { dataset }), ...(host === undefined ? {} : { host }) };
  const rows = await withView(surroundings, async (view) => {
    const found = await view.damage(meant);
    if (found.length === 0) await mustBeKept(view, meant);
    return found;
  });
  const text = rows.length === 0 ? 'nothing is known to be damaged' : await Promise.all(rows.map(inWords));
  return {
    document: { damage: rows },
    text: typeof text === 'string' ? text : text.join('\n\n'),
    exit: rows.some(({ lost_count: lost }) => lost > 0) ? EXIT_CODES.damaged : 0,
  };
}

async function inWords(row: DamageRow): Promise<string> {
  const { counted, momentInWords, printable, sizeInWords } = await import('../output/words.ts');
  const found = momentInWords(Date.parse(row.found) / 1000);
  const lost = row.lost
    .slice(0, MOST_NAMED)
    .map(({ dataset, name, created }) => `  lost: ${dataset}@${name} of ${momentInWords(created)}`);
  const more = row.lost_count - lost.length;
  return [
    `backup ${row.backup} of ${row.dataset}@${row.name} on ${row.host}, ${sizeInWords(row.stored)}`,
    `  found ${found} by ${row.by ?? 'the service'}: ${counted(row.count, 'problem')}`,
    ...row.problems.map(({ code, message }) => `  ${code}: ${message}`),
    ...lost,
    ...(more > 0 ? [`  lost: ${counted(more, 'more snapshot')}`] : []),
    `  still restorable of its lineage: ${counted(row.restorable_count, 'snapshot')}`,
    ...whatToDo(row).map((line) => `  ${line}`),
  ]
    .map(printable)
    .join('\n');
}

/** What mends it, in the order in which it is worth trying. */
function whatToDo({ dataset, name, repaired, lost_count: lost }: DamageRow): string[] {
  if (repaired) return ['repaired: it was sent again, nothing is lost; the damaged one is not read any more'];
  if (lost === 0) return ['nothing is lost by it: nothing could be restored with it alone'];
  return [
    `what to do: zkeep backup ${dataset} sends what the source still has; its next backup does not stand on this one`,
    `  zkeep backup ${dataset} --snapshot ${name} sends this very snapshot again, where the source has it`,
    '  an object that is put back as it was is found by the next proof (zkeep verify --deep --report)',
  ];
}
