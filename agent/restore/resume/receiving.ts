/** One step of a restore: a stored stream, whole or its rest, fed to `zfs receive`, with every byte accounted for. */
import { systemClock } from '../../../catalog/clock.ts';
import { messageOf } from '../../../catalog/errors.ts';
import type { Manifest } from '../../../catalog/repository/manifest.ts';
import { RECORD_SIZE } from '../../../catalog/stream/record.ts';
import type { Sent } from '../../../catalog/stream/resuming/stream.ts';
import type { ResumeToken } from '../../../catalog/stream/resuming/token.ts';
import { wrapStream } from '../../../catalog/stream/wrap.ts';
import type { Progress } from '../../output/progress.ts';
import type { CatalogView } from '../../view/view.ts';
import { abortReceiveCommand, receiveStream } from '../../zfs/receive.ts';
import { run } from '../../zfs/run.ts';
import type { RestoreStep } from '../plan.ts';
import type { Wrap } from '../settings.ts';
import { lookAtTarget } from '../target.ts';
import type { Fetches } from './fetches.ts';
import {
  checkAccounted,
  checkBrought,
  LedgerEntry,
  type LedgerKey,
  type Ledgers,
  MOST_BEGIN,
} from './ledger.ts';
import { isOfRest, type NextTry, nextTry } from './next-try.ts';
import { restPosition } from './stream.ts';
import { type Ready, Streams } from './streams.ts';

/** What the run works with. */
export interface RestoreTools {
  readonly view: CatalogView;
  readonly identities: readonly string[];
  readonly progress: Progress;
  /** Where it is counted what was sent. */
  readonly ledgers: Ledgers;
  readonly signal: AbortSignal;
}

/** How a step went. */
export interface ReceivedStep {
  /** What it was spared; `null` when it was sent from its first byte. */
  readonly resumed: Resumed | null;
  /** Stored bytes that were fetched more than once, over all tries, as far as that was noted. */
  readonly fetched_again: number;
}

/** What a step that went on with an interrupted receive was spared. */
export interface Resumed {
  /** Bytes of the stored stream that were not sent again. */
  readonly kept: number;
  /** Bytes that were sent again. */
  readonly sent_again: number;
}

/**
 * Receives one stream; goes on with an interrupted receive where the step says so. A receive
 * that was killed and has not ended yet is waited for.
 * What ZFS does not take as the rest is thrown away, and the stream sent from its
 * first byte.
 *
 * @param wrap properties that the stream is to bring as received ones.
 * @throws {ZkeepError} what the stream, its store or ZFS was at fault for; `failed`, code
 *   `restore.unaccounted`, when a byte of the stream would be sent in no try.
 */
export async function receiveStep(
  target: string,
  step: RestoreStep,
  tools: RestoreTools,
  wrap?: Wrap,
): Promise<ReceivedStep> {
  const key = { target, backup: step.backup.backup, to: step.backup.to };
  const { ledgers, view } = tools;
  const manifest = () => view.manifest(step.backup);
  const streams = new Streams({ key, ledgers, reading: tools, manifest });
  try {
    const resumed = await receiveInTries(key, step, streams, tools, wrap);
    return { resumed, fetched_again: streams.fetches.again };
  } finally {
    await streams.close();
  }
}

async function receiveInTries(
  key: LedgerKey,
  { backup: { to, bytes }, command, resume }: RestoreStep,
  streams: Streams,
  tools: RestoreTools,
  wrap: Wrap | undefined,
): Promise<Resumed | null> {
  const { ledgers, progress, signal } = tools;
  const { target } = key;
  const began = systemClock.now();
  const noted = resume ? await ledgers.read(key) : undefined;
  let tried = resume;
  for (let tries = 1; ; tries++) {
    try {
      return await receive(key, command, await streams.open(tried), streams.fetches, tools, wrap);
    } catch (thrown) {
      if (!tried || !isOfRest(thrown)) throw thrown;
      signal.throwIfAborted();
      const there = await lookAtTarget(target, signal);
      const waited = systemClock.now() - began;
      const next = nextTry(thrown, { tried, to, there, tries, waited });
      if (next.kind === 'give-up') throw thrown;
      if (next.kind === 'done') {
        checkBrought(noted, await ledgers.read(key), key);
        return { kept: bytes, sent_again: 0 };
      }
      if (next.kind === 'wait' && tries === 1)
        progress.note(`${target}: another receive is still at it, and is waited for`);
      if (next.kind === 'wait') await systemClock.sleep(next.pause, signal);
      if (next.kind === 'again') await throwAway(target, thrown, tools);
      tried = await tokenFor(next, tried, target, signal);
    }
  }
}

/** The token by which it is tried again; `null`: from the first byte. */
async function tokenFor(
  next: NextTry,
  tried: ResumeToken,
  target: string,
  signal: AbortSignal,
): Promise<ResumeToken | null> {
  if (next.kind === 'resume') return next.token;
  if (next.kind === 'again') return null;
  // Where there is none any more, the next try finds out what that means.
  return (await lookAtTarget(target, signal)).partial?.token ?? tried;
}

async function throwAway(
  target: string,
  why: unknown,
  { progress, ledgers, signal }: RestoreTools,
): Promise<void> {
  progress.note(
    `${target}: the interrupted receive is thrown away and begins again, because it cannot be gone on with: ${messageOf(why)}`,
  );
  await run(abortReceiveCommand(target), { signal });
  await ledgers.remove(target);
}

async function receive(
  key: LedgerKey,
  command: readonly string[],
  { resume, manifest, before, covered, from, sent }: Ready,
  fetches: Fetches,
  { progress, ledgers, signal }: RestoreTools,
  wrap: Wrap | undefined,
): Promise<Resumed | null> {
  const { bytes, begin } = manifest.stream;
  const first = resume ? undefined : new FirstBytes(RECORD_SIZE + begin.payload);
  const beside = () => {
    const known = first ? first.text : before?.begin;
    return { fetched: fetches.intervals, ...(known === undefined ? {} : { begin: known }) };
  };
  const ledger = await LedgerEntry.begin(ledgers, key, { before, from, beside }, (thrown) =>
    progress.note(
      `what is sent to ${key.target} cannot be noted (${messageOf(thrown)}): broken off, it would begin again`,
    ),
  );
  const stream = taken(sent.given(), {
    before: (piece, reached) => {
      first?.add(piece);
      return reached >= bytes ? ledger.ending() : undefined;
    },
    after: (reached) => {
      progress.tell({ bytes: reached, total: bytes });
      return ledger.sent(reached, systemClock.now());
    },
  });
  const [name, guid] = [begin.toName, BigInt(`0x${begin.toGuid}`)];
  try {
    await receiveStream(command, wrap ? wrapStream(stream, { name, guid, ...wrap }) : stream, { signal });
  } catch (thrown) {
    await (resume && isOfRest(thrown) ? ledger.refused() : ledger.end());
    throw thrown;
  }
  await ledger.end();
  checkAccounted(ledger.intervals, bytes, key);
  if (!resume) return null;
  const reached = Math.max(covered, receivedBefore(manifest, resume));
  return { kept: from, sent_again: reached - from };
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

/** The first bytes of a stream, as long as they are few: its BEGIN. */
class FirstBytes {
  readonly #size: number;
  #bytes = Buffer.alloc(0);

  constructor(size: number) {
    this.#size = size;
  }

  add(piece: Uint8Array): void {
    const lacking = this.#size - this.#bytes.length;
    if (lacking > 0 && this.#size <= MOST_BEGIN)
      this.#bytes = Buffer.concat([this.#bytes, piece.subarray(0, lacking)]);
  }

  /** All of them in base64; `undefined`: not all have come, or they are too many. */
  get text(): string | undefined {
    return this.#bytes.length === this.#size ? this.#bytes.toString('base64') : undefined;
  }
}

/** What is done before a piece is given and once it was taken; waited for before it goes on. */
interface Notes {
  before(piece: Uint8Array, reached: number): Promise<void> | undefined;
  after(reached: number): Promise<void> | undefined;
}

/** The bytes, with their notes. */
async function* taken(sent: AsyncIterable<Sent>, notes: Notes): AsyncGenerator<Uint8Array> {
  for await (const { bytes, reached } of sent) {
    await notes.before(bytes, reached);
    yield bytes;
    await notes.after(reached);
  }
}
