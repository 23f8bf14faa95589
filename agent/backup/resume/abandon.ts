/** Ends open backups that nobody is to go on with, and takes back what their runs did to the snapshots. */
import { hostname } from 'node:os';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { OpenBackupRow } from '../../../catalog/protocol/protocol.ts';
import { type BackupId, type Guid, parseBackupId } from '../../../catalog/words.ts';
import type { Progress } from '../../output/progress.ts';
import type { ServiceClient } from '../../service/client.ts';
import { listSource, type SourceFacts } from '../../zfs/list.ts';
import { destroyCommand, releaseCommand, snapshotOf } from '../../zfs/snapshot.ts';
import { type DatasetPlan, planAgain } from '../plan.ts';
import { undoSnapshot } from '../snapshots.ts';
import { lookAtSources } from '../sources.ts';
import { isWriting } from '../writer.ts';
import { findOpen, type Match } from './find.ts';

/** One open backup that is to be ended. */
export interface AbandonPlan {
  readonly backup: BackupId;
  /** `undefined`: the service does not list it. */
  readonly row: OpenBackupRow | undefined;
  /** What is done to its snapshot; `undefined`: nothing, it is gone, elsewhere, or in use. */
  readonly item: DatasetPlan | undefined;
}

/** Who is asked, and who is told. */
export interface AbandonTools {
  readonly client: ServiceClient;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

const BACKUP_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Plans the end of open backups, each named by its id or by its dataset.
 *
 * @param recursive the datasets stand for all below them.
 * @throws {ZkeepError} `missing` with code `backup.none-open` when nothing is open of what was named,
 *   `busy` when a dataset's backup is being written: only its id ends that.
 */
export async function planAbandon(
  names: readonly string[],
  recursive: boolean,
  tools: AbandonTools,
): Promise<AbandonPlan[]> {
  const ids = names.filter((name) => BACKUP_ID.test(name)).map(parseBackupId);
  const datasets = names.filter((name) => !BACKUP_ID.test(name));
  const rows = ids.length === 0 ? [] : await tools.client.openBackups({}, tools.signal);
  const byId = ids.map((id) => ({ id, row: rows.find(({ backup }) => backup === id) }));
  const matches = datasets.length === 0 ? [] : await openOf(datasets, recursive, tools);
  const running = matches.find(({ row }) => isWriting(row));
  if (running) throw beingWritten(running.row);
  const found = [
    ...(await Promise.all(
      byId.map(async ({ id, row }) => ({ id, row, source: await sourceOf(row, tools) })),
    )),
    ...matches.map(({ row, source }) => ({ id: row.backup, row, source })),
  ];
  const guids = found.flatMap(({ row }) => (row ? [row.to] : []));
  const known = guids.length === 0 ? [] : await tools.client.known(guids, tools.signal);
  const stored = new Set(known.map(({ guid }) => guid));
  return found.map(({ id, row, source }) => planOne(id, row, source, stored));
}

/** Decides what becomes of the snapshot: one that zkeep took for this backup alone is destroyed. */
export function planOne(
  backup: BackupId,
  row: OpenBackupRow | undefined,
  source: SourceFacts | undefined,
  stored: ReadonlySet<Guid>,
): AbandonPlan {
  const target = source?.points.find(({ kind, guid }) => kind === 'snapshot' && guid === row?.to);
  // Whoever still writes it undoes by itself what it did.
  if (!row || !source || !target || isWriting(row)) return { backup, row, item: undefined };
  const told = { reason: 'it is abandoned', stored: stored.has(row.to) };
  return { backup, row, item: planAgain(source, { target, base: null, flags: [] }, told) };
}

/** The commands that it runs. */
export function abandonCommandsOf({ item }: AbandonPlan): string[][] {
  if (!item || item.undo === 'nothing') return [];
  const snapshot = snapshotOf(item.dataset, item.snapshot);
  return [releaseCommand(snapshot), ...(item.undo === 'destroy' ? [destroyCommand(snapshot)] : [])];
}

/** Does it. */
export async function abandon(
  { backup, item }: AbandonPlan,
  { client, progress, signal }: AbandonTools,
): Promise<void> {
  await client.abandon({ backup }, signal);
  if (item) await undoSnapshot(item, progress);
}

async function openOf(
  datasets: readonly string[],
  recursive: boolean,
  tools: AbandonTools,
): Promise<Match[]> {
  const { client, signal } = tools;
  try {
    const found = await findOpen(await lookAtSources(datasets, { recursive, signal }), {
      recursive,
      client,
      signal,
    });
    if (found.length > 0) return found;
  } catch (thrown) {
    // A dataset that is gone has left its backup open all the same.
    if (!(thrown instanceof ZkeepError) || thrown.kind !== 'missing') throw thrown;
  }
  const rows = await client.openBackups({ host: hostname() }, signal);
  const named = rows.filter(({ source }) => datasets.includes(source.dataset));
  if (named.length === 0) throw noneOpen(datasets);
  return named.map((row) => ({ row, source: undefined, moved: false }));
}

/** The dataset of a backup that was named by its id, if it is one of this host. */
async function sourceOf(
  row: OpenBackupRow | undefined,
  { signal }: AbandonTools,
): Promise<SourceFacts | undefined> {
  if (row?.source.host !== hostname()) return undefined;
  try {
    return await listSource(row.source.dataset, signal);
  } catch (thrown) {
    if (thrown instanceof ZkeepError && thrown.kind === 'missing') return undefined;
    throw thrown;
  }
}

function beingWritten({ backup, writer, source }: OpenBackupRow): ZkeepError {
  const who = `process ${writer.process} on ${writer.host}`;
  return new ZkeepError('busy', 'backup.busy', `${who} is backing up ${source.dataset}`, {
    advice: `end that process first; zkeep backup --abandon ${backup} takes the backup away from it`,
    facts: { backup, host: writer.host, process: writer.process, dataset: source.dataset },
  });
}

function noneOpen(datasets: readonly string[]): ZkeepError {
  return new ZkeepError('missing', 'backup.none-open', `no backup of ${datasets.join(', ')} is open`, {
    advice: 'zkeep leftovers shows what interrupted work left on this host',
    facts: { datasets: [...datasets] },
  });
}
