/** Does what `plan.ts` decided: snapshots, then one dataset after the other. */
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import type { SetId } from '../../catalog/words.ts';
import { Ahead } from '../capture/ahead.ts';
import { Capture } from '../capture/capture.ts';
import { snapshotOf } from '../zfs/snapshot.ts';
import { sendingOf } from './commands.ts';
import { type BackupTools, backUp, type DatasetResult, failed, type Piece } from './dataset.ts';
import type { BackupPlan, DatasetPlan } from './plan.ts';
import type { NotedMember } from './runs/notes.ts';
import { stillHeld } from './runs/settle.ts';
import { type TakenTogether, takeSnapshots } from './snapshots.ts';
import { whileAtWork } from './tidy/at-work.ts';
import { tidy } from './tidy/tidy.ts';
import { Interrupted } from './upload/interruption.ts';

/** So many datasets' attributes are captured before their turn comes: properties may change while others are sent. */
const CAPTURED_AHEAD = 32;

/**
 * Runs a plan. A dataset that fails does not keep the others from being stored.
 *
 * @param begun sets of which something is stored already.
 * @throws {ZkeepError} when not even the snapshots could be taken.
 */
export async function runBackup(
  plan: BackupPlan,
  tools: BackupTools,
  begun: ReadonlySet<SetId> = new Set(),
): Promise<DatasetResult[]> {
  for (const left of plan.temporary) await tidy(left, tools.progress);
  const snapshots = plan.datasets.map(({ dataset, snapshot }) => snapshotOf(dataset, snapshot));
  return await whileAtWork(snapshots, async () => await noted(plan, tools, begun));
}

/** It is noted what the run takes: should it be killed, the next one stores what is owed then. */
async function noted(
  plan: BackupPlan,
  tools: BackupTools,
  begun: ReadonlySet<SetId>,
): Promise<DatasetResult[]> {
  const wanted = plan.datasets.filter(({ kind }) => kind !== 'already');
  if (wanted.length === 0) return await storeAll(plan, tools, begun);
  const names = wanted.map(({ dataset, snapshot }) => snapshotOf(dataset, snapshot));
  const note = await tools.notes.begin(tools.repository.id, names, (thrown) =>
    tools.progress.note(
      `what this run takes cannot be noted (${messageOf(thrown)}): killed, it leaves a part`,
    ),
  );
  let members: NotedMember[] = [];
  let left: readonly NotedMember[] = [];
  const onTaken = async (together: TakenTogether) => {
    members = membersOf(plan, together);
    await note.taken(members);
  };
  try {
    const results = await storeAll(plan, { ...tools, onTaken }, begun);
    const failed = new Set(results.flatMap((one) => (one.outcome === 'failed' ? nameOf(one) : [])));
    left = await stillHeld(members.filter(({ snapshot }) => failed.has(snapshot)));
    return results;
  } finally {
    await note.end(left);
  }
}

function membersOf({ datasets }: BackupPlan, { taken, sets }: TakenTogether): NotedMember[] {
  return datasets.flatMap(({ dataset, snapshot }): NotedMember[] => {
    const there = taken.get(dataset);
    if (!there) return [];
    return [{ snapshot: snapshotOf(dataset, snapshot), guid: there.guid, set: sets.get(dataset) ?? null }];
  });
}

function nameOf({ dataset, snapshot }: DatasetResult): string[] {
  return snapshot === null ? [] : [snapshotOf(dataset, snapshot)];
}

interface StoringTools extends BackupTools {
  readonly onTaken?: (together: TakenTogether) => Promise<void>;
}

async function storeAll(
  plan: BackupPlan,
  tools: StoringTools,
  begun: ReadonlySet<SetId>,
): Promise<DatasetResult[]> {
  const { taken, sets } = await takeSnapshots(plan, tools);
  const over = new AbortController();
  const attributes = captureAhead(plan.datasets, AbortSignal.any([tools.signal, over.signal]));
  try {
    const pieceOf = (item: DatasetPlan) => ({
      snapshot: taken.get(item.dataset),
      set: sets.get(item.dataset) ?? null,
      attributes: () => attributes(item),
    });
    return await backUpAll(plan.datasets, pieceOf, begun, tools);
  } finally {
    over.abort();
  }
}

/** Captures the attributes of all that will be sent, in their order. */
function captureAhead(datasets: readonly DatasetPlan[], signal: AbortSignal) {
  const sent = datasets.filter(({ kind }) => kind !== 'already');
  const capture = new Capture({ signal });
  const ahead = new Ahead(
    sent.map((item) => async () => await capture.of(item.dataset, sendingOf(item).to)),
    CAPTURED_AHEAD,
  );
  return async (item: DatasetPlan) => await ahead.at(sent.indexOf(item));
}

async function backUpAll(
  datasets: readonly DatasetPlan[],
  pieceOf: (item: DatasetPlan) => Omit<Piece, 'isAwaited'>,
  before: ReadonlySet<SetId>,
  tools: BackupTools,
): Promise<DatasetResult[]> {
  const results: DatasetResult[] = [];
  /** Sets of which something is stored, or will be by a later run: that stores the others then, too. */
  const begun = new Set(before);
  let hopeless: unknown;
  for (const item of datasets) {
    const given = pieceOf(item);
    const { set } = given;
    const piece = { ...given, isAwaited: set !== null && begun.has(set) };
    const result =
      hopeless === undefined
        ? await backUp(item, piece, tools)
        : await notTried(item, piece, hopeless, tools);
    if (tools.signal.aborted) hopeless ??= tools.signal.reason;
    else if (isLost(result.failure)) hopeless ??= result.failure;
    const isBegun = result.outcome !== 'failed' || result.failure instanceof Interrupted;
    if (isBegun && set !== null) begun.add(set);
    results.push(result);
  }
  return results;
}

async function notTried(
  item: DatasetPlan,
  piece: Piece,
  hopeless: unknown,
  tools: BackupTools,
): Promise<DatasetResult> {
  const stays = item.kind !== 'already' && piece.isAwaited;
  if (stays) tools.progress.note(`${snapshotOf(item.dataset, item.snapshot)} stays, for the same set`);
  const left: DatasetPlan = stays ? { ...item, undo: 'nothing' } : item;
  return await failed(left, piece, hopeless, 0, tools);
}

/** A service that was away for a minute already will not be waited for at every further dataset. */
function isLost(failure: unknown): boolean {
  return failure instanceof ZkeepError && failure.code === 'service.unreachable';
}
