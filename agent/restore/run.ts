/** Does what `plan.ts` decided: receives stream after stream, and proves what arrived. */
import { systemClock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { BackupSummary } from '../../catalog/protocol/protocol.ts';
import type { Manifest } from '../../catalog/repository/manifest.ts';
import { unpackStream } from '../../catalog/repository/segment/unpack.ts';
import { wrapStream } from '../../catalog/stream/wrap.ts';
import type { BackupId, Guid } from '../../catalog/words.ts';
import type { Progress } from '../output/progress.ts';
import type { CatalogView } from '../view/view.ts';
import { listSource } from '../zfs/list.ts';
import { receiveStream } from '../zfs/receive.ts';
import { run } from '../zfs/run.ts';
import type { RestoreActions, RestoreStep } from './plan.ts';
import type { Wrap } from './settings.ts';

/** One stream that was received. */
export interface Received {
  readonly backup: BackupId;
  readonly guid: Guid;
  readonly bytes: number;
  readonly seconds: number;
}

/** What the run works with. */
export interface RestoreTools {
  readonly view: CatalogView;
  readonly identities: readonly string[];
  readonly progress: Progress;
  readonly signal: AbortSignal;
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
  const { target, before, steps } = actions;
  for (const command of before) await run(command, { signal: tools.signal });
  const received: Received[] = [];
  for (const [index, step] of steps.entries()) {
    tools.progress.begin(`${target} ${index + 1}/${steps.length} @${step.backup.name}`);
    const started = systemClock.now();
    await receive(step, tools, wraps.get(step.backup.backup));
    await prove(target, step.backup.to, tools.signal);
    const { backup, to: guid, bytes } = step.backup;
    received.push({ backup, guid, bytes, seconds: (systemClock.now() - started) / 1000 });
  }
  return received;
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

/** The raw stream of a backup, fetched, decrypted, decompressed and checked. */
export function streamOf(
  manifest: Manifest,
  { view, identities, signal }: Omit<RestoreTools, 'progress'>,
): AsyncGenerator<Uint8Array> {
  const fetch = async (number: number, fetching: AbortSignal): Promise<Uint8Array> => {
    try {
      return await view.segment(manifest, number, fetching);
    } catch (thrown) {
      throw thrown instanceof ZkeepError && thrown.kind === 'missing'
        ? gone(manifest, number, thrown)
        : thrown;
    }
  };
  return unpackStream(manifest, fetch, { identities, signal });
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

async function receive({ backup, command }: RestoreStep, tools: RestoreTools, wrap?: Wrap): Promise<void> {
  const manifest = await tools.view.manifest(backup);
  const { toName: name, toGuid } = manifest.stream.begin;
  const stream = streamOf(manifest, tools);
  const guid = BigInt(`0x${toGuid}`);
  let bytes = 0;
  await receiveStream(command, wrap ? wrapStream(stream, { name, guid, ...wrap }) : stream, {
    signal: tools.signal,
    onTaken: (taken) => {
      bytes += taken;
      tools.progress.tell({ bytes, total: backup.bytes });
    },
  });
}

/** That a part of a backup is not there is no slip of whoever asks: the backup is damaged. */
function gone({ backup }: Manifest, number: number, cause: ZkeepError): ZkeepError {
  return new ZkeepError('damaged', 'segment.gone', `segment ${number} of backup ${backup} is gone`, {
    advice: 'zkeep verify names all backups that are damaged; restore another snapshot, or by another chain',
    facts: { backup, segment: number },
    cause,
  });
}
