/** `zkeep plan`: what must be received, in which order, to stand at a snapshot. */
import type { Command } from 'commander';
import type { RestorePlan } from '../../catalog/protocol/protocol.ts';
import { guidsMeant } from '../../catalog/words.ts';
import type { CommonOptions } from '../settings.ts';
import type { WantedOptions } from '../view/wanted.ts';
import {
  common,
  fromRepository,
  type Outcome,
  perform,
  type Surroundings,
  whichSnapshot,
} from './command.ts';
import { withView } from './connect.ts';

interface PlanOptions extends CommonOptions, WantedOptions {
  readonly have: readonly string[];
  readonly to?: string;
}

const EXAMPLE = `zkeep plan tank/home --at '2026-11-20 09:00'
zkeep plan tank/home --have 9837016721292671144
zkeep plan mdtpool/mdt0 --to newpool/mdt0     with the runbook for a Lustre target`;

export function addPlan(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('plan')
    .description('what a restore would receive, in order; needs no ZFS')
    .argument('<dataset>', 'as it was called where it was backed up')
    .option(
      '--have <guid>',
      'a snapshot that the target has, the newest first (may be repeated)',
      collect,
      [],
    )
    .option('--to <dataset>', 'where it is to be restored, for the runbook of a Lustre target');
  fromRepository(whichSnapshot(command));
  common(command, EXAMPLE).action(async (dataset: string, options: PlanOptions) => {
    exit(await perform('plan', options, async (surroundings) => await plan(dataset, surroundings)));
  });
}

async function plan(dataset: string, surroundings: Surroundings<PlanOptions>): Promise<Outcome> {
  const { options, progress } = surroundings;
  const { wantedBy } = await import('../view/wanted.ts');
  const wanted = wantedBy(dataset, options);
  const have = options.have.flatMap(guidsMeant);
  return await withView(surroundings, async (view) => {
    const found = await view.plan({ wanted, have, rollback: false });
    const { runbookOfPlan } = await import('../lustre/runbook.ts');
    const onProblem = (words: string) => progress.note(words);
    const runbook = await runbookOfPlan(found, { target: options.to ?? dataset }, { view, onProblem });
    const { runbookText } = await import('../../catalog/lustre/runbook.ts');
    const after = runbook.length > 0 ? `\n\nAfter the restore:\n${runbookText(runbook)}` : '';
    return { document: { plan: found, runbook }, text: `${await inWords(found)}${after}` };
  });
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

async function inWords({ wanted, base, steps, bytes, stored }: RestorePlan): Promise<string> {
  const { counted, momentInWords, sizeInWords } = await import('../output/words.ts');
  const where = `@${wanted.name} of ${wanted.dataset} on ${wanted.host}, ${momentInWords(wanted.created)}`;
  if (steps.length === 0) return `${where}: the target stands there already`;
  const { table } = await import('../output/table.ts');
  const rows = steps.map((step, index) => [
    String(index + 1),
    `@${step.name}`,
    momentInWords(step.created),
    step.from === null ? 'full' : step.from,
    step.to,
    sizeInWords(step.bytes),
    step.backup,
  ]);
  const titles = ['', 'snapshot', 'created', 'from', 'to', 'size', 'backup'].map((title) => ({ title }));
  const sum = `${counted(steps.length, 'stream')}, ${sizeInWords(bytes)}, stored as ${sizeInWords(stored)}`;
  const start = base === null ? 'onto nothing' : `onto snapshot ${base}`;
  return `${where}\n${table(titles, rows)}\n${sum}, ${start}`;
}
