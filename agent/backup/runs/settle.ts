/** What the notes of runs that are over still say once somebody has come for them. */
import { ZkeepError } from '../../../catalog/errors.ts';
import type { Guid } from '../../../catalog/words.ts';
import type { SourceFacts } from '../../zfs/list.ts';
import { listSnapshots } from '../../zfs/list.ts';
import { snapshotOf } from '../../zfs/snapshot.ts';
import type { NotedMember, NotedRun, RunNotes } from './notes.ts';
import { datasetOf, holderOf } from './owed.ts';

/** What became of them. */
export interface Settling {
  /** The datasets that were asked for, as they were looked at before. */
  readonly sources: readonly SourceFacts[];
  /** Snapshots that the repository has by now. */
  readonly stored: ReadonlySet<Guid>;
  /** Full names of those that this run tried to store, and could not. */
  readonly failed: ReadonlySet<string>;
  /** Told of each that was to be stored, and is gone. */
  readonly onGone: (snapshot: string) => void;
  /** Told of a note that cannot be written: the next run looks at it once more. */
  readonly onTrouble: (thrown: unknown) => void;
}

/**
 * Those of them that are there still, the same ones, and held: a later run can come to them. All of them where
 * ZFS does not tell.
 */
export async function stillHeld(members: readonly NotedMember[]): Promise<readonly NotedMember[]> {
  if (members.length === 0) return members;
  try {
    const found = await listSnapshots(members.map(({ snapshot }) => snapshot));
    const held = new Set(
      found.flatMap(({ dataset, name, guid, references }) =>
        references > 0 ? [`${snapshotOf(dataset, name)} ${guid}`] : [],
      ),
    );
    return members.filter(({ snapshot, guid }) => held.has(`${snapshot} ${guid}`));
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError)) throw thrown;
    return thrown.kind === 'missing' ? [] : members;
  }
}

/** Takes out of the notes of dead runs what is stored, gone or given up; what they say of other datasets stays. */
export async function settleNotes(
  notes: Pick<RunNotes, 'leave'>,
  dead: readonly NotedRun[],
  settling: Settling,
): Promise<void> {
  for (const note of dead) {
    const left = await leftOf(note, settling);
    const isSame = left.length === note.members.length;
    if (!isSame) await notes.leave(note, left).catch(settling.onTrouble);
  }
}

async function leftOf(
  { members }: NotedRun,
  { sources, stored, failed, onGone }: Settling,
): Promise<NotedMember[]> {
  const untried: NotedMember[] = [];
  const tried: NotedMember[] = [];
  for (const member of members) {
    const { guid, set, snapshot } = member;
    if (guid === null || stored.has(guid)) continue;
    const found = holderOf(member, sources);
    if (!found) {
      if (sources.some(({ dataset }) => dataset === datasetOf(snapshot))) onGone(snapshot);
      else untried.push(member);
      continue;
    }
    const now = { guid, set, snapshot: snapshotOf(found.source.dataset, found.point.name) };
    (failed.has(now.snapshot) ? tried : untried).push(now);
  }
  return [...untried, ...(await stillHeld(tried))];
}
