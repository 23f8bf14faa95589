/** Does what `plan.ts` decided: receives stream after stream, and proves what arrived. */
import { systemClock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { BackupSummary } from '../../catalog/protocol/protocol.ts';
import type { BackupId, Guid } from '../../catalog/words.ts';
import { listSource } from '../zfs/list.ts';
import { run } from '../zfs/run.ts';
import { snapshotOf } from '../zfs/snapshot.ts';
import type { RestoreActions, RestoreStep } from './plan.ts';
import { wasEnding } from './resume/ledger.ts';
import { type RestoreTools, type Resumed, receiveStep } from './resume/receiving.ts';
import type { Wrap } from './settings.ts';

/** One stream that was received. */
export interface Received {
  readonly backup: BackupId;
  readonly guid: Guid;
  readonly bytes: number;
  readonly seconds: number;
  /** What was spared by going on with an interrupted receive; `null`: it was sent from its first byte. */
  readonly resumed: Resumed | null;
  /** Stored bytes that were fetched more than once, over all tries, as far as that was noted. */
  readonly fetched_again: number;
}

/**
 * Runs the commands and feeds the streams. After every step the target's newest
 * snapshot is the one that the step brings.
 *
 * @param wraps properties that a stream is to bring as received ones.
 * @throws {ZkeepError} what ZFS, the service, the store or the stream was at fault for; what was
 *   received before stays, and the same restore goes on from there.
 */
export async function runRestore(
  actions: RestoreActions,
  tools: RestoreTools,
  wraps: ReadonlyMap<BackupId, Wrap> = new Map(),
): Promise<Received[]> {
  const { target, before, steps, again } = actions;
  await lookBack(target, steps, tools);
  if (again !== null) tools.progress.note(`${target}: an interrupted receive is thrown away: ${again}`);
  for (const command of before) await run(command, { signal: tools.signal });
  const received: Received[] = [];
  for (const [index, step] of steps.entries()) {
    tools.progress.begin(`${target} ${index + 1}/${steps.length} @${step.backup.name}`);
    const started = systemClock.now();
    const { resumed, fetched_again } = await receiveStep(target, step, tools, wraps.get(step.backup.backup));
    await prove(target, step.backup.to, tools.signal);
    await tools.ledgers.remove(target);
    const { backup, to: guid, bytes } = step.backup;
    const seconds = (systemClock.now() - started) / 1000;
    received.push({ backup, guid, bytes, seconds, resumed, fetched_again });
  }
  return received;
}

/**
 * A `zfs receive` that outlived the zkeep that fed it may have brought its snapshot before anybody looked again:
 * then it is said whether it had all of its stream, and what was noted of it goes.
 */
async function lookBack(
  target: string,
  steps: readonly RestoreStep[],
  { ledgers, progress, signal }: RestoreTools,
): Promise<void> {
  const last = await ledgers.last(target);
  if (!last || steps.some(({ backup: { backup } }) => backup === last.backup)) return;
  const brought = await snapshotWith(target, last.to, signal);
  if (brought === undefined) return;
  if (!wasEnding(last))
    progress.note(
      `${snapshotOf(target, brought)} was not received to its end by zkeep restore: ZFS checked it, but that all of its stream was sent was not counted`,
    );
  await ledgers.remove(target);
}

async function snapshotWith(target: string, guid: Guid, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { points } = await listSource(target, signal);
    return points.find((point) => point.kind === 'snapshot' && point.guid === guid)?.name;
  } catch (thrown) {
    if (thrown instanceof ZkeepError && thrown.code === 'zfs.no-dataset') return undefined;
    throw thrown;
  }
}

/**
 * Whether the target stands at a snapshot: its newest one has the GUID.
 *
 * @throws {ZkeepError} `failed` with code `restore.proof` when it does not.
 */
export async function prove(target: string, guid: Guid, signal: AbortSignal): Promise<void> {
  const { points } = await listSource(target, signal);
  const newest = points.findLast(({ kind }) => kind === 'snapshot');
  if (newest?.guid === guid) return;
  throw new ZkeepError(
    'failed',
    'restore.proof',
    `${target} does not stand at snapshot ${guid} as it should`,
    {
      advice: 'something else receives into it or takes snapshots of it: restore into another name',
      facts: { target, wanted: guid, found: newest?.guid ?? null },
    },
  );
}

/**
 * Refuses what could not be decrypted, before anything is done.
 *
 * @throws {ZkeepError} `denied`.
 */
export function checkIdentities(backups: readonly BackupSummary[], identities: readonly string[]): void {
  if (identities.length > 0 || !backups.some(({ encrypted }) => encrypted)) return;
  throw new ZkeepError('denied', 'restore.no-identity', 'these backups are encrypted', {
    advice: 'name the file with the age identity of one of the recipients: --identity FILE',
  });
}
