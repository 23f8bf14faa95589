/** What a soak counted, as a table. */
import { newRow, type Row, type State } from './journal.ts';

export interface Summary {
  readonly rounds: number;
  readonly backups: Row;
  readonly restores: Row;
  readonly faults: readonly string[];
}

export function summaryOf({ rounds, backups, restores, faults }: State): Summary {
  return { rounds, backups: sumOf(Object.values(backups)), restores: sumOf(Object.values(restores)), faults };
}

export function tableOf(state: State): string {
  const head = [
    '',
    'kind',
    'rounds',
    'cuts',
    'tries',
    'resumed',
    'again',
    'twice MiB',
    'worst MiB a cut',
    'said MiB',
    'fetched twice MiB',
    'worst MiB a cut',
    's',
  ];
  const directions = [
    ['backup', state.backups],
    ['restore', state.restores],
  ] as const;
  const lines = directions.flatMap(([direction, rows]) => [
    ...Object.entries(rows).map(([kind, row]) => lineOf(direction, kind, row)),
    lineOf(direction, 'all', sumOf(Object.values(rows))),
  ]);
  const table = [head, ...lines];
  const widths = head.map((_, column) => Math.max(...table.map((line) => String(line[column]).length)));
  const text = table.map((line) => line.map((cell, column) => pad(cell, widths[column] ?? 0)).join('  '));
  const sums = summaryOf(state);
  const told = directions.flatMap(([direction]) => {
    const { cuts, errors, reasons } = direction === 'backup' ? sums.backups : sums.restores;
    return [
      `${direction}s cut by ${say(cuts)}`,
      `${direction}s that ended after a cut: ${say(errors)}`,
      ...Object.entries(reasons).map(([reason, times]) => `${direction}, ${times} times: ${reason}`),
    ];
  });
  return [...text, '', ...told, '', `faults: ${sums.faults.length}`, ...sums.faults].join('\n');
}

function lineOf(direction: string, kind: string, row: Row): (string | number)[] {
  const cuts = Object.values(row.cuts).reduce((sum, one) => sum + one, 0);
  const { rounds, tries, resumed, again, twice, worst, said, fetched, fetchedWorst, seconds } = row;
  return [
    direction,
    kind,
    rounds,
    cuts,
    tries,
    resumed,
    again,
    mebi(twice),
    mebi(worst),
    mebi(said),
    mebi(fetched),
    mebi(fetchedWorst),
    Math.round(seconds),
  ];
}

function sumOf(rows: readonly Row[]): Row {
  const sum = newRow();
  for (const row of rows) {
    for (const key of ['rounds', 'tries', 'resumed', 'again', 'twice', 'said', 'fetched', 'seconds'] as const)
      sum[key] += row[key];
    sum.worst = Math.max(sum.worst, row.worst);
    sum.fetchedWorst = Math.max(sum.fetchedWorst, row.fetchedWorst);
    for (const key of ['cuts', 'errors', 'reasons'] as const) add(sum[key], row[key]);
  }
  return sum;
}

function add(to: Record<string, number>, from: Readonly<Record<string, number>>): void {
  for (const [key, value] of Object.entries(from)) to[key] = (to[key] ?? 0) + value;
}

function mebi(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}

function pad(cell: string | number, width: number): string {
  return typeof cell === 'number' || /^[0-9]/.test(cell) ? String(cell).padStart(width) : cell.padEnd(width);
}

function say(counts: Readonly<Record<string, number>>): string {
  const words = Object.entries(counts).map(([what, times]) => `${what} ${times}`);
  return words.length === 0 ? 'nothing' : words.join(', ');
}
