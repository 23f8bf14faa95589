/** One step of a restore: a stored stream, whole or its rest, fed to `zfs receive`, with every byte accounted for. */
import { systemClock } from '../../../catalog/clock.ts';
import { messageOf, ZkeepError } from '../../../catalog/errors.ts';
import type { Manifest } from '../../../catalog/repository/manifest.ts';
import { RECORD_SIZE } from '../../../catalog/stream/record.ts';
import type { Sent } from '../../../catalog/stream/resuming/stream.ts';
import type { ResumeToken } from '../../../catalog/stream/token.ts';
import { wrapStream } from '../../../catalog/stream/wrap.ts';
import type { Progress } from '../../output/progress.ts';
import type { CatalogView } from '../../view/view.ts';
import { abortReceiveCommand, receiveStream } from '../../zfs/receive.ts';
import { run } from '../../zfs/run.ts';
import type { RestoreStep } from '../plan.ts';
import type { Wrap } from '../settings.ts';
import { coveredEnd } from './coverage.ts';
import { checkAccounted, LedgerEntry, type Ledgers } from './ledger.ts';
import { restPosition, resumingOf, wholeOf } from './stream.ts';

/** What the run works with. */
export interface RestoreTools {
  readonly view: CatalogView;
  readonly identities: readonly string[];
  readonly progress: Progress;
  /** Where it is counted what was sent. */
  readonly ledgers: Ledgers;
  readonly signal: AbortSignal;
}

/** What a step that went on with an interrupted receive was spared. */
export interface Resumed {
  /** Bytes of the stored stream that were not sent again. */
  readonly kept: number;
  /** Bytes that were sent again. */
  readonly sent_again: number;
}

/**
 * Receives one stream; goes on with an interrupted receive where the step says so.
 * What ZFS does not take as the rest is thrown away, and the stream sent from its
 * first byte.
 *
 * @param wrap properties that the stream is to bring as received ones.
 * @returns what it was spared; `null` when it was sent from its first byte.
 * @throws {ZkeepError} what the stream, its store or ZFS was at fault for; `failed`, code
 *   `restore.unaccounted`, when a byte of the stream would be sent in no try.
 */
export async function receiveStep(
  target: string,
  step: RestoreStep,
  tools: RestoreTools,
  wrap?: Wrap,
): Promise<Resumed | null> {
  try {
    return await receive(target, step, tools, wrap);
  } catch (thrown) {
    if (!step.resume || !isNoRest(thrown)) throw thrown;
    const { progress, ledgers, signal } = tools;
    progress.note(
      `${target}: the interrupted receive is thrown away and begins again, because it cannot be gone on with: ${messageOf(thrown)}`,
    );
    await run(abortReceiveCommand(target), { signal });
    await ledgers.remove(target);
    return await receive(target, { ...step, resume: null }, tools, wrap);
  }
}

/** Codes of what says that this stream is not the rest of what is there; ZFS calls itself too old then (EINVAL). */
const NO_REST = new Set(['zfs.too-old', 'resume.begin', 'resume.entry']);

function isNoRest(thrown: unknown): boolean {
  return thrown instanceof ZkeepError && NO_REST.has(thrown.code);
}

async function receive(
  target: string,
  { backup, command, resume }: RestoreStep,
  tools: RestoreTools,
  wrap: Wrap | undefined,
): Promise<Resumed | null> {
  const { view, progress, ledgers, signal } = tools;
  const manifest = await view.manifest(backup);
  const { bytes, begin } = manifest.stream;
  const key = { target, backup: backup.backup };
  const before = resume ? await ledgers.read(key) : [];
  const source = resume ? resumingOf(manifest, resume, coveredEnd(before), tools) : wholeOf(manifest, tools);
  const ledger = await LedgerEntry.begin(ledgers, key, { before, from: source.from }, (thrown) =>
    progress.note(
      `what is sent to ${target} cannot be noted (${messageOf(thrown)}): broken off, it would begin again`,
    ),
  );
  const stream = taken(source.sent, (reached) => {
    progress.tell({ bytes: reached, total: bytes });
    return ledger.sent(reached, systemClock.now());
  });
  const [name, guid] = [begin.toName, BigInt(`0x${begin.toGuid}`)];
  try {
    await receiveStream(command, wrap ? wrapStream(stream, { name, guid, ...wrap }) : stream, { signal });
  } finally {
    await ledger.end();
  }
  checkAccounted(ledger.intervals, bytes, key);
  if (!resume) return null;
  const reached = Math.max(coveredEnd(before), receivedBefore(manifest, resume));
  return { kept: source.from, sent_again: reached - source.from };
}

/**
 * Bytes of the stored stream that the target had, about: between two entry points, and there
 * by the bytes that the token counts, which are too many where some were sent twice.
 */
function receivedBefore(
  { stream, segments }: Pick<Manifest, 'stream' | 'segments'>,
  token: ResumeToken,
): number {
  const from = restPosition({ stream, segments }, token);
  const next = segments.find(({ entry }) => entry && entry.position > from)?.entry?.position;
  return Math.min(next ?? stream.bytes, Math.max(from, Number(token.bytes) + RECORD_SIZE));
}

/** The bytes; told of each piece once it was taken, and waited for before the next. */
async function* taken(
  sent: AsyncIterable<Sent>,
  onTaken: (reached: number) => Promise<void> | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const { bytes, reached } of sent) {
    yield bytes;
    await onTaken(reached);
  }
}
