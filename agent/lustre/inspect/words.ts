/** What a target says about itself, as people read it. */
import type { TargetReport } from '../../../catalog/lustre/inspect/inspect.ts';
import type { LastReceived } from '../../../catalog/lustre/inspect/last-rcvd.ts';
import type { LastUsed, OrphanWindow } from '../../../catalog/lustre/inspect/object-ids.ts';
import { table } from '../../output/table.ts';
import { counted, momentInWords, printable } from '../../output/words.ts';

/** All of it but the objects above. */
export function reportInWords(report: TargetReport): string {
  const { snapshot, kind, configurations, last_received, last_used } = report;
  const rows: [string, string][] = [
    ['snapshot', `${snapshot.name}, GUID ${snapshot.guid}, created ${momentInWords(snapshot.created)}`],
    ['target', last_received ? `${kind} ${last_received.uuid}` : `${kind}, without last_rcvd`],
    ['configuration', configurations ? configurations.join(', ') || 'no logs' : 'no folder CONFIGS'],
    ...(last_received ? receivedRows(last_received) : []),
  ];
  const lines = rows.map(([name, value]) => `${name.padEnd(13)} ${printable(value)}`);
  if (!last_used) return lines.join('\n');
  return [...lines, '', 'The last object that this MDT used on each OST:', idTable(last_used)].join('\n');
}

/** What becomes of the objects above, OST by OST. */
export function orphansInWords(orphans: readonly OrphanWindow[]): string {
  const rows = orphans.map((orphan) => [
    nameOf(orphan),
    orphan.sequence === null ? '-' : `0x${orphan.sequence}`,
    orphan.id,
    orphan.last,
    OUTCOMES[orphan.outcome](orphan),
  ]);
  const titles = [
    { title: 'OST' },
    { title: 'sequence' },
    { title: 'MDT', right: true },
    { title: 'LAST_ID', right: true },
    { title: 'a plain mount' },
  ];
  const destroyed = orphans.reduce((sum, orphan) => sum + orphan.destroyed, 0);
  const sum =
    destroyed === 0
      ? 'A plain mount destroys no object on these OSTs.'
      : `A plain mount destroys ${counted(destroyed, 'object')}, with data or created ahead and empty: ` +
        'take snapshots of the OSTs first, and see the runbook (zkeep plan) for three ways out.';
  const note = 'LAST_ID must be that of the same sequence (O/<sequence> on the OST).';
  return `${table(titles, rows)}\n${sum}\n${note}`;
}

const OUTCOMES: Readonly<Record<OrphanWindow['outcome'], (orphan: OrphanWindow) => string>> = {
  destroyed: ({ destroyed }) => `destroys ${counted(destroyed, 'object')}`,
  trusted: () => 'destroys nothing: the gap is so large that the OST is trusted',
  none: () => 'destroys nothing: nothing is above',
  unknown: () => 'this MDT does not know that OST yet',
};

function receivedRows({ mounts, transaction, clients, servers }: LastReceived): [string, string][] {
  const others = servers > 0 ? `, ${servers} of them other servers` : '';
  return [
    ['mounted', `${counted(Number(mounts), 'time')}, last transaction ${transaction}`],
    ['recovery', `a mount waits for ${counted(clients, 'client')}${others}, unless abort_recov is given`],
  ];
}

function idTable(used: readonly LastUsed[]): string {
  const rows = used.map((each) => [
    nameOf(each),
    each.sequence === null ? '-' : `0x${each.sequence}`,
    each.id,
  ]);
  return table([{ title: 'OST' }, { title: 'sequence' }, { title: 'id', right: true }], rows);
}

function nameOf({ index }: LastUsed): string {
  return `OST${index.toString(16).padStart(4, '0')}`;
}
