/** What interrupted work left, as findings: the same that `zkeep leftovers` lists, with what it does meanwhile. */
import { isRefresh } from '../backup/tidy/names.ts';
import type { Leftover, LeftoverKind } from '../leftovers/leftover.ts';
import { showCommand } from '../zfs/failure.ts';
import { HOLD_TAG } from '../zfs/snapshot.ts';
import type { Finding, FindingCode } from './finding.ts';

/** Whether a dataset is one of these, or below one; of none, all are meant. */
export function isMeant(dataset: string, scope: readonly string[]): boolean {
  return scope.length === 0 || scope.some((root) => dataset === root || dataset.startsWith(`${root}/`));
}

/** @returns none for what somebody is at. */
export function ofLeftover(left: Leftover): Finding[] {
  if (left.running) return [];
  const { kind, dataset, name, what, continues, clear } = left;
  const temporary = kind === 'snapshot' && isTemporary(name);
  return [
    {
      code: temporary ? 'left-temporary' : CODES[kind],
      dataset,
      what: `${kind === 'open-backup' ? dataset : name}: ${what}`,
      why: temporary ? 'it keeps all blocks that were freed since' : WHY[kind],
      mend: continues && !temporary && kind !== 'hold' ? [continues] : clear,
      advice: continues && !temporary ? adviceOn(left, showCommand(continues)) : null,
      // A bookmark costs nothing, and may be the base of what another repository keeps.
      safe: temporary || isLeakedHold(left),
    },
  ];
}

/** Of a hold the command that clears it is shown, of all else that which goes on with it; this tells of the other way. */
function adviceOn({ kind, dataset }: Leftover, goingOn: string): string {
  if (kind === 'hold') return `first try whether its backup goes on: ${goingOn}`;
  return `where it is not to go on: zkeep leftovers ${dataset} shows what clears it`;
}

const CODES: Readonly<Record<LeftoverKind, FindingCode>> = {
  'open-backup': 'open-backup',
  'partial-receive': 'partial-receive',
  drill: 'left-drill',
  snapshot: 'left-snapshot',
  hold: 'leaked-hold',
  bookmark: 'stale-bookmark',
};
const WHY: Readonly<Record<LeftoverKind, string>> = {
  'open-backup': 'its snapshot stays held, and what is stored of it takes room in the store',
  'partial-receive': 'it takes room on the pool, and no other stream can be received there',
  drill: 'it takes room on the scratch pool',
  snapshot: 'it keeps all blocks that were freed since, and is no backup',
  hold: 'the snapshot cannot be destroyed, and keeps all blocks that were freed since',
  bookmark: 'no backup can go on from it; very many make every listing slow',
};

/** One of zkeep's own on what is stored; any other may belong to a run that is at work. */
function isLeakedHold({ kind, continues, clear }: Leftover): boolean {
  return kind === 'hold' && continues === null && clear.every((command) => command[2] === HOLD_TAG);
}

function isTemporary(name: string): boolean {
  return isRefresh(name.slice(name.indexOf('@') + 1));
}
