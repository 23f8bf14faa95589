/** A prune plan in words: why each snapshot stays, which backups stay only for others, what goes. */
import type { Fate, PrunePlan, PruneRow, RemovedAnswer } from '../../catalog/protocol/keeping.ts';
import { type Column, table } from '../output/table.ts';
import { counted, momentInWords, printable, sizeInWords } from '../output/words.ts';

/** What the fates mean, in the order in which totals are told. */
const MEANING: Readonly<Record<Fate, string>> = {
  kept: 'stay: their snapshots are wanted',
  needed: 'stay only because others hang on them',
  'in-use': 'stay as long as they are in use',
  marked: 'are marked, and go when their grace is over',
  mark: 'are to be marked now',
  unmark: 'were marked, and are wanted again',
  remove: 'go now: their grace is over',
};

const COLUMNS: Column[] = [
  { title: 'created' },
  { title: 'snapshot' },
  { title: 'host' },
  { title: 'from' },
  { title: 'stored', right: true },
  { title: 'fate' },
  { title: 'why' },
];

/**
 * A table of all rows, then the totals.
 *
 * @param done what was done of it; `undefined`: it is only shown.
 */
export function pruneInWords(plan: PrunePlan, done?: RemovedAnswer): string {
  // Of a base that has no row of its own only the GUID is known here.
  const names = new Map(plan.rows.map(({ to, name }) => [to, `@${name}`]));
  const rows = plan.rows.map((row) => [
    momentInWords(row.created),
    `${row.dataset}@${row.name}`,
    row.host,
    row.from === null ? 'full' : (names.get(row.from) ?? row.from),
    sizeInWords(row.stored),
    row.fate,
    whyOf(row),
  ]);
  const more =
    plan.left_out > 0 ? [`${counted(plan.left_out, 'more backup')}: name a dataset to see them`] : [];
  return [
    ...(rows.length > 0 ? [table(COLUMNS, rows), ''] : []),
    ...more,
    ...totalsInWords(plan),
    ...(done ? [doneInWords(done)] : []),
  ].join('\n');
}

/** Why a backup stays, or when it goes. */
function whyOf({ fate, because, needed_by: by, until }: PruneRow): string {
  const grace = until === null ? '' : momentInWords(Date.parse(until) / 1000);
  if (fate === 'marked') return `no policy keeps it; goes at ${grace}`;
  if (fate === 'mark') return 'no policy keeps it';
  if (fate === 'remove') return `its grace was over at ${grace}`;
  if (fate === 'in-use') return 'a backup, a restore or a verification uses it';
  if (by) {
    const others = by.count > 1 ? ` and ${by.count - 1} more` : '';
    return printable(`needed by ${by.example}${others}`);
  }
  return because
    .map(({ reason, policy }) => (policy === null ? (REASONS[reason] ?? reason) : `${reason} (${policy})`))
    .join(', ');
}

const REASONS: Readonly<Record<string, string>> = {
  newest: 'the newest',
  'no-policy': 'no policy is for it',
  legal: 'legal hold',
};

function totalsInWords({ totals }: PrunePlan): string[] {
  const told = Object.entries(MEANING).flatMap(([fate, meaning]) => {
    const total = totals[fate];
    return total ? [`${counted(total.backups, 'backup')}, ${sizeInWords(total.stored)}, ${meaning}`] : [];
  });
  return told.length > 0 ? told : ['there is nothing that it is about'];
}

function doneInWords({ marked, unmarked, removed, freed }: RemovedAnswer): string {
  return `done: ${marked} marked, ${unmarked} unmarked, ${removed} removed, ${sizeInWords(freed)} freed`;
}
