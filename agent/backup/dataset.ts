/** The backup of one dataset: its stream sent and stored, what remains to be done then, and what is undone otherwise. */
import type { Attributes } from '../../catalog/attributes/attributes.ts';
import { systemClock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { BackupSummary, RepositoryInfo } from '../../catalog/protocol/protocol.ts';
import type { BackupId, Guid, SetId } from '../../catalog/words.ts';
import type { Progress } from '../output/progress.ts';
import type { ServiceClient } from '../service/client.ts';
import { isStillThere } from '../zfs/list.ts';
import { estimateSend, sendCommand, sendStream } from '../zfs/send.ts';
import { bookmark, bookmarkCommand, release, snapshotOf } from '../zfs/snapshot.ts';
import { SUSPENDED } from '../zfs/stall.ts';
import { sendingOf } from './commands.ts';
import type { DatasetPlan } from './plan.ts';
import { failedResult, type StoredResult } from './results.ts';
import type { RunNotes } from './runs/notes.ts';
import { type Around, type Moment, type Taken, undoSnapshot } from './snapshots.ts';
import { type HostFacts, sourceOf } from './sources.ts';
import { isRefresh } from './tidy/names.ts';
import { tidy } from './tidy/tidy.ts';
import { Interrupted, isLeftAlone } from './upload/interruption.ts';
import type { Throttle } from './upload/throttle.ts';
import { type UploadOptions, uploadStream } from './upload/upload.ts';

/** How one that was interrupted before came to be a backup. Sizes are raw bytes. */
export interface ResumedFacts {
  /** Behind what was stored; from the start, comparing; or it was one already, whose commit had been asked for. */
  readonly how: 'resumed' | 'again' | 'committed';
  /** Why so, in words. */
  readonly reason: string;
  /** What was in the store before and was not sent. */
  readonly kept: number;
  /** What had been sent, in whole or in part, and was sent once more. */
  readonly sent_again: number;
}

/** How one dataset's backup went. */
export interface DatasetResult extends StoredResult {
  readonly reason: string;
  readonly set: SetId | null;
  /** `null` for one that this run began. */
  readonly resumed: ResumedFacts | null;
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
  /** What is done right before and after the snapshots are taken. */
  readonly around?: Around | undefined;
  /** Where it is noted what the run is at. */
  readonly notes: RunNotes;
  /** Bounds how fast all streams of the run go into the store. */
  readonly throttle?: Throttle | undefined;
}

/** What one dataset's backup is made of, besides its plan. */
export interface Piece {
  /** `undefined` when it is not there. */
  readonly snapshot: Pick<Taken, 'guid'> | undefined;
  readonly set: SetId | null;
  /** Of its set something is stored: where only the world is at fault, a later run stores this, too. */
  readonly isAwaited: boolean;
  /** Asks for the attributes, or waits for what was asked ahead. */
  readonly attributes: () => Promise<Attributes>;
}

/** What a way of sending gives. */
export interface Sent {
  readonly summary: BackupSummary;
  readonly resumed: ResumedFacts | null;
}

/** Brings the stream of a plan into the repository. */
export type Way = (item: DatasetPlan, piece: Piece, tools: BackupTools) => Promise<Sent>;

/**
 * Backs up one dataset. What fails is taken back, unless a later run can go on with it: its open backup, its
 * hold, and its snapshot if zkeep took it.
 *
 * @returns how it went: it does not throw.
 */
export async function backUp(
  item: DatasetPlan,
  piece: Piece,
  tools: BackupTools,
  way: Way = sendWhole,
): Promise<DatasetResult> {
  const started = systemClock.now();
  const seconds = () => (systemClock.now() - started) / 1000;
  const { set } = piece;
  try {
    if (item.kind === 'already')
      return await alreadyStored(item, await storedBackup(item, tools), piece, tools);
    if (!piece.snapshot) throw vanished(item);
    await secure(item, tools);
    const { summary, resumed } = await way(item, piece, tools);
    await settle(item, piece.snapshot.guid, tools);
    return storedResult(item, summary, { set, resumed, seconds: seconds() });
  } catch (thrown) {
    if (thrown instanceof ZkeepError && thrown.code === 'backup.already') {
      return await alreadyStored(item, thrown.facts['backup'], piece, tools);
    }
    return await failed(item, piece, thrown, seconds(), tools);
  }
}

/**
 * Sends the whole stream, and opens a backup for it. A base whose snapshot was destroyed since it was
 * planned, by another run or anybody, is as good by its bookmark.
 */
export async function sendWhole(item: DatasetPlan, piece: Piece, tools: BackupTools): Promise<Sent> {
  let captured: Promise<Attributes> | undefined;
  const attributes = async () => {
    captured ??= piece.attributes();
    return await captured;
  };
  try {
    return await sendOnce(item, { ...piece, attributes }, tools);
  } catch (thrown) {
    const { from, remembered } = item;
    const gone = thrown instanceof ZkeepError && thrown.code === 'zfs.base-gone';
    if (!gone || from?.kind !== 'snapshot' || remembered === null) throw thrown;
    tools.progress.note(`${snapshotOf(item.dataset, from.name)} was destroyed: its bookmark is the base`);
    return await sendOnce(
      { ...item, from: { ...from, kind: 'bookmark', name: remembered } },
      { ...piece, attributes },
      tools,
    );
  }
}

async function sendOnce(item: DatasetPlan, piece: Piece, tools: BackupTools): Promise<Sent> {
  const { dataset, from, flags } = item;
  const attributes = piece.attributes();
  // It is awaited by the upload, unless something else fails before.
  attributes.catch(() => undefined);
  if (!piece.snapshot) throw vanished(item);
  const upload = {
    source: sourceOf(dataset, tools.host),
    set: piece.set,
    from: from && { guid: from.guid, name: from.name },
    to: { guid: piece.snapshot.guid, name: item.snapshot },
    send_flags: [...flags],
  };
  const stream = sendStream(sendCommand(sendingOf(item)), tools.signal);
  const { summary } = await uploadStream(stream, upload, { ...uploadOptions(item, tools), attributes });
  return { summary, resumed: null };
}

/**
 * What every upload of a dataset's stream is given; its progress begins here.
 *
 * @param from raw bytes that are stored before it begins.
 */
export function uploadOptions(
  item: DatasetPlan,
  { client, repository, progress, signal, throttle }: BackupTools,
  from = 0,
): UploadOptions {
  const sending = sendingOf(item);
  progress.begin(sending.to, from);
  let total: number | undefined;
  if (!progress.silent) {
    // Why a send fails, the send itself says; without an estimate there is only no time left to tell.
    const estimated = estimateSend(sending, signal).catch(() => undefined);
    void estimated.then((bytes) => {
      total = bytes;
    });
  }
  const onProgress = (amount: { bytes: number; stored: number }) => progress.tell({ ...amount, total });
  const again = `zkeep backup ${item.dataset}`;
  return { client, repository, onProgress, signal, source: 'zfs', again, throttle };
}

/**
 * What remains to be done once it is stored; should it fail, the backup is one all the same. Where the name is
 * another snapshot's by now, or nobody's, nothing is done: the next backup finds the dataset wherever it is.
 *
 * @param guid of the snapshot that is stored.
 */
export async function settle(
  item: DatasetPlan,
  guid: Guid,
  { progress }: Pick<BackupTools, 'progress'>,
): Promise<void> {
  const { dataset, snapshot, tidying } = item;
  try {
    if (!(await isStillThere(snapshotOf(dataset, snapshot), guid))) {
      progress.note(`${snapshotOf(dataset, snapshot)} is stored, but is not there any more`);
      return;
    }
    await bookmark(bookmarkCommand(dataset, snapshot, item.bookmark));
    for (const held of item.release) await release(snapshotOf(dataset, held));
    await tidy(tidying, progress, guid);
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError)) throw thrown;
    progress.note(`${snapshotOf(dataset, snapshot)} is stored, but: ${thrown.message}`);
    if (thrown.code === SUSPENDED) return;
    // Without its bookmark a snapshot stays held, as the base of the next backup; a temporary one goes in any case.
    const destroy = tidying.destroy.filter((going) => going.snapshot === snapshot && isRefresh(snapshot));
    await tidy({ dataset, destroy, forget: [], stays: [] }, progress, guid);
  }
}

/** Sees that the base can be found again by its bookmark, if its snapshot should go while it is sent. */
async function secure({ dataset, from, remembered, secures }: DatasetPlan, { progress }: BackupTools) {
  if (!secures || !from || remembered === null) return;
  try {
    await bookmark(bookmarkCommand(dataset, from.name, remembered));
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError) || thrown.code === SUSPENDED) throw thrown;
    progress.note(`${snapshotOf(dataset, from.name)} has no bookmark: ${thrown.message}`);
  }
}

/** The result of a dataset that is stored now. */
export function storedResult(
  item: DatasetPlan,
  { backup, to, bytes, stored }: BackupSummary,
  { set, resumed, seconds }: Pick<DatasetResult, 'set' | 'resumed' | 'seconds'>,
): DatasetResult {
  const labels = { ...labelsOf(item), ...reasonOf(item, set), outcome: 'stored' as const };
  return { ...labels, resumed, backup, to, bytes, stored, seconds, failure: undefined };
}

/**
 * The result of one that failed, after what it left was taken back; not what a later run goes on
 * with, and not where it would only be waited for.
 */
export async function failed(
  item: DatasetPlan,
  { set, snapshot, isAwaited }: Pick<Piece, 'set' | 'snapshot' | 'isAwaited'>,
  thrown: unknown,
  seconds: number,
  { signal, progress }: Pick<BackupTools, 'signal' | 'progress'>,
): Promise<DatasetResult> {
  const isUntimely = signal.aborted || (thrown instanceof ZkeepError && UNTIMELY.has(thrown.kind));
  const isGoneOnWith = thrown instanceof Interrupted || isLeftAlone(thrown);
  const stays = isGoneOnWith || (isAwaited && isUntimely);
  // On a suspended pool nothing can be undone; it would only be waited for.
  const suspended = thrown instanceof ZkeepError && thrown.code === SUSPENDED;
  if (item.kind !== 'already' && !stays && !suspended && !isOthers(item.guid ?? snapshot?.guid, thrown)) {
    await undoSnapshot(item, progress, snapshot?.guid);
  }
  const failure: unknown = signal.aborted && !isGoneOnWith ? signal.reason : thrown;
  return { ...failedResult({ ...labelsOf(item), seconds }, failure), ...reasonOf(item, set), resumed: null };
}

/** Another run stores this very snapshot: it stands on the same hold as ours. */
function isOthers(guid: Guid | undefined, thrown: unknown): boolean {
  if (!(thrown instanceof ZkeepError) || thrown.code !== 'backup.busy') return false;
  return guid !== undefined && thrown.facts['to'] === guid;
}

/** Failures for which neither the dataset nor its stream can do anything. */
const UNTIMELY: ReadonlySet<ZkeepError['kind']> = new Set(['unavailable', 'full']);

async function storedBackup(
  item: DatasetPlan,
  { client, signal }: BackupTools,
): Promise<BackupId | undefined> {
  if (item.guid === null) return undefined;
  for await (const { backup } of client.backups({ to: item.guid }, signal)) return backup;
  return undefined;
}

/** Of what another run has stored meanwhile the same remains to be done. */
async function alreadyStored(
  item: DatasetPlan,
  backup: unknown,
  { snapshot }: Pick<Piece, 'snapshot'>,
  tools: BackupTools,
): Promise<DatasetResult> {
  if (item.kind !== 'already' && snapshot) await settle(item, snapshot.guid, tools);
  const named = typeof backup === 'string' ? backup : null;
  return {
    ...failedResult(labelsOf(item), undefined),
    ...reasonOf(item, null),
    outcome: 'already',
    backup: named,
    resumed: null,
  };
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
