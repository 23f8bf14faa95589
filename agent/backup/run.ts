/** Does what `plan.ts` decided: snapshots, then one dataset after the other. */
import type { Attributes } from '../../catalog/attributes/attributes.ts';
import { systemClock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { BackupSummary, RepositoryInfo } from '../../catalog/protocol/protocol.ts';
import type { BackupId, SetId } from '../../catalog/words.ts';
import { Ahead } from '../capture/ahead.ts';
import { Capture } from '../capture/capture.ts';
import type { Progress } from '../output/progress.ts';
import type { ServiceClient } from '../service/client.ts';
import { estimateSend, sendCommand, sendStream } from '../zfs/send.ts';
import { bookmark, bookmarkCommand, release, snapshotOf } from '../zfs/snapshot.ts';
import { SUSPENDED } from '../zfs/stall.ts';
import { type BackupPlan, type DatasetPlan, sendingOf } from './plan.ts';
import { failedResult, type StoredResult } from './results.ts';
import { type Moment, type Taken, takeSnapshots, undoSnapshot } from './snapshots.ts';
import { type HostFacts, sourceOf } from './sources.ts';
import { uploadStream } from './upload.ts';

/** How one dataset's backup went. */
export interface DatasetResult extends StoredResult {
  readonly reason: string;
  readonly set: SetId | null;
}

/** What the run works with. */
export interface BackupTools {
  readonly client: ServiceClient;
  readonly repository: RepositoryInfo;
  readonly host: HostFacts;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** What makes one set of snapshots of several pools and hosts. */
  readonly moment?: Moment | undefined;
}

/** What one dataset's backup is made of, besides its plan. */
interface Piece {
  /** `undefined` when it is not there. */
  readonly snapshot: Taken | undefined;
  readonly set: SetId | null;
  /** Asks for the attributes, or waits for what was asked ahead. */
  readonly attributes: () => Promise<Attributes>;
}

/** So many datasets' attributes are captured before their turn comes: properties may change while others are sent. */
const CAPTURED_AHEAD = 32;

/**
 * Runs a plan. A dataset that fails does not keep the others from being stored;
 * what it leaves is undone: its open backup, its hold, and its snapshot if this
 * run took it.
 *
 * @throws {ZkeepError} when not even the snapshots could be taken.
 */
export async function runBackup(plan: BackupPlan, tools: BackupTools): Promise<DatasetResult[]> {
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
  let hopeless: unknown;
  for (const item of datasets) {
    const piece = pieceOf(item);
    const result =
      hopeless === undefined
        ? await backUp(item, piece, tools)
        : await failed(item, piece.set, hopeless, 0, tools);
    if (tools.signal.aborted) hopeless ??= tools.signal.reason;
    else if (isLost(result.failure)) hopeless ??= result.failure;
    results.push(result);
  }
  return results;
}

/** A service that was away for a minute already will not be waited for at every further dataset. */
function isLost(failure: unknown): boolean {
  return failure instanceof ZkeepError && failure.code === 'service.unreachable';
}

async function backUp(
  item: DatasetPlan,
  { snapshot, set, attributes }: Piece,
  tools: BackupTools,
): Promise<DatasetResult> {
  const started = systemClock.now();
  const seconds = () => (systemClock.now() - started) / 1000;
  try {
    if (item.kind === 'already') return await alreadyStored(item, await storedBackup(item, tools), tools);
    if (!snapshot) throw vanished(item);
    const summary = await send(item, { snapshot, set, attributes }, tools);
    await settle(item, tools);
    const { backup, to, bytes, stored } = summary;
    const labels = { ...labelsOf(item), ...reasonOf(item, set), outcome: 'stored' as const };
    return { ...labels, backup, to, bytes, stored, seconds: seconds(), failure: undefined };
  } catch (thrown) {
    if (thrown instanceof ZkeepError && thrown.code === 'backup.already') {
      return await alreadyStored(item, thrown.facts['backup'], tools);
    }
    return await failed(item, set, thrown, seconds(), tools);
  }
}

/** Send, check, cut, compress, store, commit. */
async function send(
  item: DatasetPlan,
  piece: Piece & { readonly snapshot: Taken },
  tools: BackupTools,
): Promise<BackupSummary> {
  const { client, repository, host, progress, signal } = tools;
  const { dataset, from, flags } = item;
  const sending = sendingOf(item);
  progress.begin(sending.to);
  let total: number | undefined;
  if (!progress.silent) {
    // Why a send fails, the send itself says; without an estimate there is only no time left to tell.
    const estimated = estimateSend(sending, signal).catch(() => undefined);
    void estimated.then((bytes) => {
      total = bytes;
    });
  }
  const attributes = piece.attributes();
  // It is awaited before the commit, unless something else fails before.
  attributes.catch(() => undefined);
  const upload = {
    source: sourceOf(dataset, host),
    set: piece.set,
    from: from && { guid: from.guid, name: from.name },
    to: { guid: piece.snapshot.guid, name: item.snapshot },
    send_flags: [...flags],
  };
  return await uploadStream(sendStream(sendCommand(sending), signal), upload, {
    client,
    repository,
    attributes,
    onProgress: (amount) => progress.tell({ ...amount, total }),
    signal,
  });
}

/** What remains to be done once it is stored; should it fail, the backup is one all the same. */
async function settle(item: DatasetPlan, { progress }: BackupTools): Promise<void> {
  try {
    await bookmark(bookmarkCommand(item.dataset, item.snapshot, item.bookmark));
    for (const held of item.release) await release(snapshotOf(item.dataset, held));
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError)) throw thrown;
    progress.note(`${snapshotOf(item.dataset, item.snapshot)} is stored, but: ${thrown.message}`);
  }
}

async function storedBackup(
  item: DatasetPlan,
  { client, signal }: BackupTools,
): Promise<BackupId | undefined> {
  if (item.guid === null) return undefined;
  for await (const { backup } of client.backups({ to: item.guid }, signal)) return backup;
  return undefined;
}

async function alreadyStored(item: DatasetPlan, backup: unknown, tools: BackupTools): Promise<DatasetResult> {
  if (item.kind !== 'already') await undoSnapshot(item, tools.progress);
  const named = typeof backup === 'string' ? backup : null;
  return {
    ...failedResult(labelsOf(item), undefined),
    ...reasonOf(item, null),
    outcome: 'already',
    backup: named,
  };
}

async function failed(
  item: DatasetPlan,
  set: SetId | null,
  thrown: unknown,
  seconds: number,
  { signal, progress }: BackupTools,
): Promise<DatasetResult> {
  const mayBeStored = thrown instanceof ZkeepError && thrown.code === 'backup.commit-unknown';
  // On a suspended pool nothing can be undone; it would only be waited for.
  const suspended = thrown instanceof ZkeepError && thrown.code === SUSPENDED;
  if (item.kind !== 'already' && !mayBeStored && !suspended) await undoSnapshot(item, progress);
  const failure: unknown = signal.aborted ? signal.reason : thrown;
  return { ...failedResult({ ...labelsOf(item), seconds }, failure), ...reasonOf(item, set) };
}

function labelsOf({ dataset, kind, snapshot, from, guid }: DatasetPlan) {
  return { dataset, kind: kind === 'already' ? null : kind, snapshot, from: from?.guid ?? null, to: guid };
}

function reasonOf({ reason }: DatasetPlan, set: SetId | null) {
  return { reason, set };
}

function vanished({ dataset, snapshot }: DatasetPlan): ZkeepError {
  return new ZkeepError('missing', 'backup.no-snapshot', `${dataset}@${snapshot} is not there`, {
    advice: 'the dataset or its snapshot was destroyed meanwhile',
    facts: { dataset, snapshot },
  });
}
