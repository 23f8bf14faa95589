/** Asks what is needed to know what runs that were killed owe: nothing at all where there is no trace of one. */
import type { OpenBackupRow } from '../../../catalog/protocol/protocol.ts';
import type { Guid, SetId } from '../../../catalog/words.ts';
import type { ServiceClient } from '../../service/client.ts';
import type { PointFacts, SourceFacts } from '../../zfs/list.ts';
import { poolOf } from '../../zfs/names.ts';
import { snapshotOf } from '../../zfs/snapshot.ts';
import { type Finished, type MissingMembers, missingMembers } from '../resume/members.ts';
import { isWriting } from '../writer.ts';
import type { NotedRun } from './notes.ts';
import { areConcerned, forsaken, notedMembers, type OwedFacts, siblingsOf } from './owed.ts';

/** Most moments of which the repository is asked whether it has others: a question or a few each. */
const MOST_MOMENTS = 50;
/** Of one moment so many stored snapshots are asked for their set. */
const MOST_SIBLINGS = 3;

/** Where to look. */
export interface OwedQuestion {
  readonly sources: readonly SourceFacts[];
  /** All that is open. */
  readonly rows: readonly OpenBackupRow[];
  readonly runs: readonly NotedRun[];
  /** Snapshots of one name are of one moment. */
  readonly isOneMoment: boolean;
}

/** What is owed. */
export interface OwedFound {
  readonly owed: readonly MissingMembers[];
  /** Of the snapshots in notes, and of those of their moments, those that the repository has. */
  readonly stored: ReadonlySet<Guid>;
}

/** What is owed of these datasets: what the notes say, then what the repository tells. */
export async function findOwed(
  { sources, rows, runs, isOneMoment }: OwedQuestion,
  client: Pick<ServiceClient, 'known' | 'backups'>,
  signal: AbortSignal,
): Promise<OwedFound> {
  const open = new Set(rows.map(({ to }) => to));
  const atWork = atWorkOf(sources, rows, runs);
  const unasked: OwedFacts = { sources, open, atWork, stored: new Set() };
  const noted = runs.filter(({ lives }) => !lives).flatMap(({ members }) => members);
  const held = forsaken(unasked);
  const moments = momentsOf(held, sources, isOneMoment);
  const guids = new Set([
    ...(areConcerned(sources, runs) ? noted.flatMap(({ guid }) => guid ?? []) : []),
    ...moments.flat().map(({ guid }) => guid),
  ]);
  if (guids.size === 0) return { owed: [], stored: new Set() };
  const stored = new Set((await client.known([...guids], signal)).map(({ guid }) => guid));
  const byNotes = notedMembers(noted, { ...unasked, stored });
  const claimed = new Set(byNotes.flatMap(guidsIn));
  const left = held.filter(({ guid }) => !stored.has(guid) && !claimed.has(guid));
  const finished = await finishedOf(left, moments, stored, { client, signal });
  // Nothing but what is left: another one of the moment may have failed for good.
  const lefts = new Set(left);
  const those = sources.map((source) => ({
    ...source,
    points: source.points.filter((one) => lefts.has(one)),
  }));
  return {
    owed: [...byNotes, ...missingMembers({ finished, sources: those, stored, open, isOneMoment })],
    stored,
  };
}

/** Snapshots that a run is at: by its note, and where that is not to be seen from here, by what it writes at the moment. */
function atWorkOf(
  sources: readonly SourceFacts[],
  rows: readonly OpenBackupRow[],
  runs: readonly NotedRun[],
): ReadonlySet<string> {
  const written = new Set(rows.filter((row) => isWriting(row)).map(({ to }) => to));
  const points = sources.flatMap((source) => source.points.filter(({ kind }) => kind === 'snapshot'));
  const names = new Set(points.flatMap(({ guid, name }) => (written.has(guid) ? [name] : [])));
  return new Set([
    ...atWorkBy(runs),
    ...points.filter(({ name }) => names.has(name)).map(({ dataset, name }) => snapshotOf(dataset, name)),
  ]);
}

/** Full names of the snapshots that living runs are at. */
export function atWorkBy(runs: readonly NotedRun[]): string[] {
  return runs.flatMap(({ lives, members }) => (lives ? members.map(({ snapshot }) => snapshot) : []));
}

/** Of each moment all that these datasets have of it. */
function momentsOf(
  held: readonly PointFacts[],
  sources: readonly SourceFacts[],
  isOneMoment: boolean,
): PointFacts[][] {
  const firsts = new Map(held.map((point) => [keyOf(point, isOneMoment), point]));
  return [...firsts.values()].slice(0, MOST_MOMENTS).map((point) => siblingsOf(point, sources, isOneMoment));
}

function keyOf({ dataset, name, createtxg }: PointFacts, isOneMoment: boolean): string {
  return isOneMoment ? name : `${poolOf(dataset)} ${createtxg}`;
}

/** One snapshot of each moment of which the repository has a set. */
async function finishedOf(
  left: readonly PointFacts[],
  moments: readonly (readonly PointFacts[])[],
  stored: ReadonlySet<Guid>,
  { client, signal }: { client: Pick<ServiceClient, 'backups'>; signal: AbortSignal },
): Promise<Finished[]> {
  const found: Finished[] = [];
  for (const siblings of moments) {
    const point = left.find((one) => siblings.includes(one));
    if (!point) continue;
    const there = [...new Set(siblings.map(({ guid }) => guid))].filter((guid) => stored.has(guid));
    const set = await setOf(there.slice(0, MOST_SIBLINGS), client, signal);
    if (set !== null) found.push({ dataset: point.dataset, snapshot: point.name, set });
  }
  return found;
}

async function setOf(
  guids: readonly Guid[],
  client: Pick<ServiceClient, 'backups'>,
  signal: AbortSignal,
): Promise<SetId | null> {
  for (const to of guids) {
    for await (const { set } of client.backups({ to }, signal)) if (set !== null) return set;
  }
  return null;
}

function guidsIn({ snapshot, sources }: MissingMembers): Guid[] {
  return sources.flatMap(({ points }) =>
    points.filter(({ kind, name }) => kind === 'snapshot' && name === snapshot).map(({ guid }) => guid),
  );
}
