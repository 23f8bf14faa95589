/** Does what `plan.ts` decided: snapshots, then one dataset after the other. */
import { ZkeepError } from '../../catalog/errors.ts';
import type { SetId } from '../../catalog/words.ts';
import { Ahead } from '../capture/ahead.ts';
import { Capture } from '../capture/capture.ts';
import { snapshotOf } from '../zfs/snapshot.ts';
import { sendingOf } from './commands.ts';
import { type BackupTools, backUp, type DatasetResult, failed, type Piece } from './dataset.ts';
import type { BackupPlan, DatasetPlan } from './plan.ts';
import { takeSnapshots } from './snapshots.ts';
import { whileAtWork } from './tidy/at-work.ts';
import { tidy } from './tidy/tidy.ts';
import { Interrupted } from './upload/interruption.ts';

/** So many datasets' attributes are captured before their turn comes: properties may change while others are sent. */
const CAPTURED_AHEAD = 32;

/**
 * Runs a plan. A dataset that fails does not keep the others from being stored.
 *
 * @throws {ZkeepError} when not even the snapshots could be taken.
 */
export async function runBackup(plan: BackupPlan, tools: BackupTools): Promise<DatasetResult[]> {
  for (const left of plan.temporary) await tidy(left, tools.progress);
  const snapshots = plan.datasets.map(({ dataset, snapshot }) => snapshotOf(dataset, snapshot));
  return await whileAtWork(snapshots, async () => await storeAll(plan, tools));
}

async function storeAll(plan: BackupPlan, tools: BackupTools): Promise<DatasetResult[]> {
  const { taken, sets } = await takeSnapshots(plan, tools);
  const over = new AbortController();
  const attributes = captureAhead(plan.datasets, AbortSignal.any([tools.signal, over.signal]));
  try {
    const pieceOf = (item: DatasetPlan) => ({
      snapshot: taken.get(item.dataset),
      set: sets.get(item.dataset) ?? null,
      attributes: () => attributes(item),
    });
    return await backUpAll(plan.datasets, pieceOf, tools);
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
  pieceOf: (item: DatasetPlan) => Piece,
  tools: BackupTools,
): Promise<DatasetResult[]> {
  const results: DatasetResult[] = [];
  /** Sets of which a later run goes on with a member: the others are to be stored then, too. */
  const unfinished = new Set<SetId>();
  let hopeless: unknown;
  for (const item of datasets) {
    const piece = pieceOf(item);
    const result =
      hopeless === undefined
        ? await backUp(item, piece, tools)
        : await notTried(item, piece, hopeless, unfinished, tools);
    if (tools.signal.aborted) hopeless ??= tools.signal.reason;
    else if (isLost(result.failure)) hopeless ??= result.failure;
    if (result.failure instanceof Interrupted && piece.set) unfinished.add(piece.set);
    results.push(result);
  }
  return results;
}

async function notTried(
  item: DatasetPlan,
  piece: Piece,
  hopeless: unknown,
  unfinished: ReadonlySet<SetId>,
  tools: BackupTools,
): Promise<DatasetResult> {
  const { set } = piece;
  const stays = item.kind !== 'already' && set !== null && unfinished.has(set);
  if (stays) tools.progress.note(`${snapshotOf(item.dataset, item.snapshot)} stays, for the same set`);
  const left: DatasetPlan = stays ? { ...item, undo: 'nothing' } : item;
  return await failed(left, piece, hopeless, 0, tools);
}

/** A service that was away for a minute already will not be waited for at every further dataset. */
function isLost(failure: unknown): boolean {
  return failure instanceof ZkeepError && failure.code === 'service.unreachable';
}
