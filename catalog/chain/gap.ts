/** What is missing where a chain breaks off. */
import type { Guid } from '../words.ts';
import type { BackupEdge } from './graph.ts';
import { type NameSource, sayName } from './names.ts';
import { type Entering, walkBack } from './path.ts';

/** A backup that would close a gap: from the likely start, or full. */
export interface Gap {
  readonly from: Guid | null;
  readonly to: Guid;
}

/** Most gaps that are told of one snapshot. */
const MAX_GAPS = 5;

/**
 * Walks back from the wanted snapshot to the snapshots that nothing leads to,
 * and guesses what led there once: a backup from the newest restorable snapshot
 * of the same dataset before it, or a full one.
 *
 * @returns at least one, at most {@link MAX_GAPS}; closing any of them helps.
 */
export function findGaps(entering: Entering<BackupEdge>, wanted: Guid, names: NameSource): Gap[] {
  const walk = walkBack(entering, wanted);
  const ends = [...walk.keys()].filter((guid) => entering(guid).length === 0).slice(0, MAX_GAPS);
  const dead = new Set(walk.keys());
  // Without an end the backups form a circle, which only foreign bytes can.
  return (ends.length > 0 ? ends : [wanted]).map((to) => ({
    from: likelyStart(entering, { to, next: walk.get(to) ?? wanted, wanted }, names, dead),
    to,
  }));
}

/** A missing backup in words. */
export function sayGap({ from, to }: Gap, names: NameSource): string {
  return from === null
    ? `a full backup of ${sayName(names, to)}`
    : `the backup from ${sayName(names, from)} to ${sayName(names, to)}`;
}

/** @param dead snapshots that no chain leads to; more are added as they are found. */
function likelyStart(
  entering: Entering<BackupEdge>,
  { to, next, wanted }: { to: Guid; next: Guid; wanted: Guid },
  names: NameSource,
  dead: Set<Guid>,
): Guid | null {
  const dataset = names.get(to)?.dataset ?? names.get(next)?.dataset ?? names.get(wanted)?.dataset;
  const end = names.get(to)?.created ?? names.get(next)?.created ?? names.get(wanted)?.created;
  if (dataset === undefined || typeof end !== 'number') return null;
  for (const { guid, restorable } of names.until(dataset, end)) {
    if (dead.has(guid)) continue;
    if (restorable ?? leadsFromNothing(entering, guid, dead)) return guid;
  }
  return null;
}

function leadsFromNothing(entering: Entering<BackupEdge>, guid: Guid, dead: Set<Guid>): boolean {
  const walk = walkBack(entering, guid, dead);
  for (const passed of walk.keys()) if (entering(passed).some(({ from }) => from === null)) return true;
  for (const passed of walk.keys()) dead.add(passed);
  return false;
}
