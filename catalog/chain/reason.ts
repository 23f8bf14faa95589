/** Why no path leads to a snapshot, in words that say what is missing and what to do. */
import { ZkeepError } from '../errors.ts';
import type { Guid, LineageId } from '../words.ts';
import { mayFollow, sayFlags } from './flags.ts';
import { findGaps, sayGap } from './gap.ts';
import type { BackupEdge, ChainFlags } from './graph.ts';
import { type NamedSnapshot, type NameSource, sayName } from './names.ts';
import { cheapestPath, type Entering, findPath, walkBack } from './path.ts';

/** A restore for which there is no path. */
export interface Impasse {
  readonly entering: Entering<BackupEdge>;
  /** Of these, those that are not damaged. */
  readonly whole: Entering<BackupEdge>;
  readonly wanted: Guid;
  /** Snapshots of the target, the newest first. */
  readonly have: readonly Guid[];
  readonly names: NameSource;
  /** The path that a rollback of the target would open. */
  readonly rolled: readonly BackupEdge[] | undefined;
}

/**
 * The first that holds, from what the target is in the way of to what the repository lacks.
 *
 * @param findBroken finds the damaged backups of the path that there would be if they were whole.
 */
export function whyNoPath(impasse: Impasse, findBroken: () => readonly BackupEdge[]): ZkeepError {
  const { entering, whole, wanted, have, names, rolled } = impasse;
  if (entering(wanted).length === 0 && !names.get(wanted)) return unknownSnapshot(wanted);
  if (rolled) return targetHasNewer(impasse, rolled);
  if (have.length > 0) {
    const mixed = pathFromTarget(impasse);
    if (mixed) return flagsMixed(impasse, mixed);
    if (names.get(wanted)?.restorable ?? findPath(whole, wanted, [])) return targetInTheWay(impasse);
  }
  const broken = findBroken();
  if (broken.length > 0) return damagedOnTheWay(impasse, broken);
  const mixedFromNothing = pathOfAnyFlags(impasse, ({ from }) => from === null);
  return mixedFromNothing ? flagsMixed(impasse, mixedFromNothing) : gap(impasse);
}

function pathFromTarget(impasse: Impasse): BackupEdge[] | undefined {
  const { whole, wanted, have } = impasse;
  const passed = walkBack(whole, wanted);
  const starts = new Set(have.filter((guid) => passed.has(guid)));
  if (starts.size === 0) return undefined;
  return pathOfAnyFlags({ entering: whole, wanted }, ({ from }) => from !== null && starts.has(from));
}

function pathOfAnyFlags(
  { entering, wanted }: Pick<Impasse, 'entering' | 'wanted'>,
  mayBegin: (edge: BackupEdge) => boolean,
): BackupEdge[] | undefined {
  return cheapestPath({ wanted, entering, mayBegin, mayJoin: () => true });
}

/** Most damaged backups that are told of one snapshot. */
const MOST_DAMAGED = 5;

function damagedOnTheWay({ wanted, names }: Impasse, broken: readonly BackupEdge[]): ZkeepError {
  const some = broken.slice(0, MOST_DAMAGED).map((edge) => `${sayStep(edge, names)}, ${edge.backup}`);
  const more = broken.length > some.length ? `; and ${broken.length - some.length} more` : '';
  const are = broken.length === 1 ? 'is damaged' : 'are damaged';
  const words = `no whole chain leads to ${sayName(names, wanted)}: ${some.join('; ')}${more} ${are}`;
  const goal = names.get(wanted);
  const before = goal && typeof goal.created === 'number' ? goal : undefined;
  const [instead] = before ? restorableBefore(names, before.dataset, before.created ?? 0) : [];
  const last = instead ? `; the last one before it that can be restored is ${sayName(names, instead)}` : '';
  return new ZkeepError('damaged', 'chain.damaged', words, {
    advice: `the next backup of the dataset begins a new chain while the source still has it; zkeep damage says what is wrong${last}`,
    facts: { wanted, backups: broken.map(({ backup }) => backup) },
  });
}

function restorableBefore(names: NameSource, dataset: string, created: number): Guid[] {
  return [...names.until(dataset, created)].flatMap(({ guid, restorable }) => (restorable ? [guid] : []));
}

function unknownSnapshot(wanted: Guid): ZkeepError {
  return new ZkeepError('missing', 'chain.unknown-snapshot', `the repository has no snapshot ${wanted}`, {
    advice: 'zkeep list shows the snapshots that are kept',
    facts: { wanted },
  });
}

function targetHasNewer({ wanted, have, names }: Impasse, rolled: readonly BackupEdge[]): ZkeepError {
  const [newest] = have;
  const base = rolled[0]?.from ?? wanted;
  const newer = have.indexOf(base);
  const stands = newest === undefined ? '' : `the target stands at ${sayName(names, newest)}, `;
  const behind = base === wanted ? 'the wanted' : 'the last one that a chain leads on from,';
  const count = newer === 1 ? 'one snapshot' : `${newer} snapshots`;
  const words = `${stands}${count} after ${behind} ${sayName(names, base)}`;
  return new ZkeepError('refused', 'chain.target-has-newer', words, {
    advice:
      'restore into a new dataset, or allow the rollback (--force), which destroys what the target has since then',
    facts: { wanted, newest: newest ?? null, base, newer },
  });
}

function targetInTheWay({ wanted, have, names }: Impasse): ZkeepError {
  const [newest = null] = have;
  const goal = names.get(wanted);
  const related = firstOfLineage(have, names, goal?.lineage);
  const advice =
    'restore into a new dataset: a full stream can only become a dataset that does not exist yet';
  const facts = { wanted, newest };
  if (!related) {
    const words = `the target has snapshots, but none of the lineage of ${sayName(names, wanted)}`;
    return new ZkeepError('refused', 'chain.target-unrelated', words, { advice, facts });
  }
  const has = sayName(names, related.guid);
  if ((related.created ?? 0) > (goal?.created ?? Number.POSITIVE_INFINITY)) {
    const words = `the target has ${has}, which is newer than ${sayName(names, wanted)}, and nothing older to go on from`;
    return new ZkeepError('refused', 'chain.target-has-newer', words, { advice, facts });
  }
  const words = `no chain leads from ${has}, which the target has, to ${sayName(names, wanted)}; one leads there from nothing, but the target is not empty`;
  return new ZkeepError('refused', 'chain.target-not-empty', words, { advice, facts });
}

/** The newest that is known, and not as another lineage's. */
function firstOfLineage(
  have: readonly Guid[],
  names: NameSource,
  lineage: LineageId | undefined,
): NamedSnapshot | undefined {
  for (const guid of have) {
    const node = names.get(guid);
    if (node && (node.lineage ?? lineage) === (lineage ?? node.lineage)) return node;
  }
  return undefined;
}

function flagsMixed({ entering, wanted, names }: Impasse, path: readonly BackupEdge[]): ZkeepError {
  const change = firstChange(entering, path);
  const where = change
    ? `: ${sayStep(change.next, names)} is ${sayFlags(change.next.flags)}, what comes before it is ${sayFlags(change.before)}`
    : '';
  const words = `the backups that lead to ${sayName(names, wanted)} do not go together${where}`;
  return new ZkeepError('refused', 'chain.flags-mixed', words, {
    advice:
      'no receiver takes such a chain: restore a snapshot from before the change, or make a full backup',
    facts: { wanted, backup: change?.next.backup ?? null },
  });
}

/** Where a path that is none changes its flags. */
function firstChange(
  entering: Entering<BackupEdge>,
  path: readonly BackupEdge[],
): { before: ChainFlags; next: BackupEdge } | undefined {
  const start = path[0]?.from ?? null;
  let standing = start === null ? [] : entering(start).map(({ flags }) => flags);
  for (const next of path) {
    const [before] = standing;
    if (before && !standing.some((flags) => mayFollow(flags, next.flags))) return { before, next };
    standing = [next.flags];
  }
  return undefined;
}

function sayStep({ from, to }: BackupEdge, names: NameSource): string {
  return from === null
    ? `the full backup of ${sayName(names, to)}`
    : `the backup from ${sayName(names, from)} to ${sayName(names, to)}`;
}

function gap({ entering, wanted, names }: Impasse): ZkeepError {
  const gaps = findGaps(entering, wanted, names);
  const all = gaps.map((missing) => sayGap(missing, names));
  const what = all.length === 1 ? `${all[0]} is missing` : `one of these is missing: ${all.join('; ')}`;
  const start = gaps.find(({ from }) => from !== null)?.from;
  const instead = start ? `; the last one before it that can be restored is ${sayName(names, start)}` : '';
  return new ZkeepError('missing', 'chain.gap', `no chain leads to ${sayName(names, wanted)}: ${what}`, {
    advice: `make a full backup while the source still has it${instead}`,
    facts: { wanted, missing: gaps.map(({ from, to }) => `${from ?? 'nothing'} -> ${to}`) },
  });
}
