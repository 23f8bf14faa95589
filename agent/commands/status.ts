/** `zkeep status`: whether everything is well, at a glance. */
import type { Command } from 'commander';
import { systemClock } from '../../catalog/clock.ts';
import type { DatasetStatus, StatusAnswer } from '../../catalog/protocol/agents.ts';
import type { CommonOptions } from '../settings.ts';
import { common, type Outcome, perform, type Surroundings } from './command.ts';
import { accessOf } from './connect.ts';
import { nothingKept } from './kept.ts';

interface StatusOptions extends CommonOptions {
  readonly host?: string;
}

const EXAMPLE = `zkeep status
zkeep status tank/home
zkeep status --json || mail -s 'backups' root < /dev/null`;

/** Of this command alone: for those who watch by its exit code. */
const EXITS: Readonly<Record<StatusAnswer['state'], number>> = { well: 0, late: 1, broken: 2 };

export function addStatus(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('status')
    .description('how all datasets stand, the worst first; exits 0 when all is well, 1 late, 2 broken')
    .argument('[dataset]', 'only this one')
    .option('--host <name>', 'only what is from this host');
  common(command, EXAMPLE).action(async (dataset: string | undefined, options: StatusOptions) => {
    exit(await perform('status', options, async (surroundings) => await status(dataset, surroundings)));
  });
}

async function status(
  dataset: string | undefined,
  surroundings: Surroundings<StatusOptions>,
): Promise<Outcome> {
  const { askStatus } = await import('../service/status.ts');
  const { host } = surroundings.options;
  const meant = { ...(dataset === undefined ? {} : { dataset }), ...(host === undefined ? {} : { host }) };
  const answer = await askStatus(await accessOf(surroundings), meant, surroundings.signal);
  // Who watches by the exit code must not be told for ever that a name he mistyped is well.
  if (answer.datasets.length === 0 && (dataset ?? host) !== undefined) throw nothingKept(meant);
  return { document: { ...answer }, text: await inWords(answer), exit: EXITS[answer.state] };
}

async function inWords(answer: StatusAnswer): Promise<string> {
  const { printable } = await import('../output/words.ts');
  const { datasets, problems } = answer;
  const rows = datasets.length === 0 ? 'nothing is kept yet' : await tableOf(datasets);
  const reasons = [...datasets.flatMap(reasonsOf), ...problems].map(printable);
  return [rows, '', ...reasons, await summaryOf(answer)].join('\n').trim();
}

async function summaryOf({ datasets, problems, state }: StatusAnswer): Promise<string> {
  const { counted } = await import('../output/words.ts');
  const all = counted(datasets.length, 'dataset');
  const count = (wanted: DatasetStatus['state']) => datasets.filter((one) => one.state === wanted).length;
  const [broken, late] = [count('broken'), count('late')];
  if (broken + late > 0) return `of ${all}, ${broken} broken and ${late} late`;
  if (problems.length === 0) return `all is well: ${all}`;
  const beside = counted(problems.length, 'problem');
  return `${all}, none broken or late; ${state === 'well' ? beside : `late all the same: ${beside}`}`;
}

async function tableOf(datasets: readonly DatasetStatus[]): Promise<string> {
  const { table } = await import('../output/table.ts');
  const { durationInWords, sizeInWords, spanInWords } = await import('../output/words.ts');
  const now = systemClock.now() / 1000;
  const span = (seconds: number | null) => (seconds === null ? '-' : spanInWords(seconds));
  const since = (time: string | null) => (time === null ? '-' : spanInWords(now - Date.parse(time) / 1000));
  const until = (time: string | null | undefined) =>
    time ? spanInWords(Math.max(0, Date.parse(time) / 1000 - now)) : '-';
  return table(
    [
      { title: 'state' },
      { title: 'dataset' },
      { title: 'host' },
      { title: 'newest', right: true },
      { title: 'allowed', right: true },
      { title: 'points', right: true },
      { title: 'stored', right: true },
      { title: 'chain', right: true },
      { title: 'restore', right: true },
      { title: 'seen', right: true },
      { title: 'read', right: true },
      { title: 'drill', right: true },
      { title: 'next run', right: true },
    ],
    datasets.map((one) => [
      one.state,
      one.dataset,
      one.host,
      span(one.age),
      span(one.objective),
      String(one.snapshots),
      sizeInWords(one.stored),
      one.chain ? String(one.chain.steps) : '-',
      one.recovery === null ? '-' : durationInWords(one.recovery),
      since(one.proven.light),
      since(one.proven.deep),
      since(one.drill?.at ?? null),
      until(one.covered?.next),
    ]),
  );
}

/** Why one is not well, and what to do. */
function reasonsOf(one: DatasetStatus): string[] {
  const { state, dataset, host, reasons } = one;
  if (state === 'well') return [];
  return [
    `${dataset} on ${host} is ${state}: ${reasons.join('; ')}`,
    ...whatToDo(one).map((line) => `  what to do: ${line}`),
  ];
}

function whatToDo({ state, dataset, host, newest, lost, damaged, drill, covered }: DatasetStatus): string[] {
  const isDamaged = lost > 0 || (newest === null && damaged > 0);
  const hasFailedDrill = drill !== null && !drill.passed;
  const backUp = `on ${host}: zkeep backup ${dataset}${covered ? ', or look at its agent' : ''}`;
  return [
    ...(isDamaged
      ? [damaged > 0 ? `zkeep damage ${dataset}` : `zkeep verify ${dataset} names what is missing`]
      : []),
    ...(hasFailedDrill
      ? [
          `zkeep drill --list ${dataset} says what was wrong; zkeep verify ${dataset} --deep --report looks for damage`,
        ]
      : []),
    ...(state === 'late' || (newest === null && !isDamaged) ? [backUp] : []),
    ...(state === 'late' && newest !== null && covered === null ? [exceptIt(dataset)] : []),
  ];
}

/** A dataset that was destroyed, or that goes on elsewhere without a sign of it, is late for ever otherwise. */
function exceptIt(dataset: string): string {
  return `if no more is to come of it: except it from its policies (zkeep policy list), with '!${dataset}' last among their --datasets`;
}
