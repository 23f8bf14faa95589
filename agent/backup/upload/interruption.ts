/** A failure in the middle of an upload: whether a later run can go on behind what is stored. Decided here, purely. */
import { ZkeepError } from '../../../catalog/errors.ts';
import { StreamError } from '../../../catalog/stream/stream-error.ts';
import type { BackupId } from '../../../catalog/words.ts';
import { sizeInWords } from '../../output/words.ts';

/** What {@link goesOn} looks at besides the failure. */
export interface InterruptedFacts {
  /** Segments of it that the service knows. */
  readonly granted: number;
  /** Where the stream came from: `zfs` makes the same bytes again, whoever damaged them; a `file` is what it is. */
  readonly source: 'zfs' | 'file';
}

/** Refusals that say what is lacking: a later run brings it. */
const LACKING = new Set(['commit.absent', 'commit.size', 'commit.content', 'commit.missing']);
/** Somebody else writes it now, or this run starts it again by itself: it is not ours to end. */
const NOT_OURS = new Set(['backup.taken-over', 'backup.commit-unknown', 'backup.committing']);
/** What a stream is made of, and will be made of again. */
const SPOILT = new Set(['stream.spoilt', 'stream.package', 'stream.resuming', 'stream.not-a-stream']);

/**
 * Whether an open backup, its snapshot and the hold on it should stay after a
 * failure, for a later run to go on with. An interruption leaves them: a signal, the
 * service or the store away, `zfs send` that died, bytes damaged on the way. Where going on
 * would end the same way, or where nothing is stored yet, they are taken back.
 *
 * @example goesOn(new ZkeepError('unavailable', 'store.timeout', '…'), { granted: 3, source: 'zfs' }) // true
 */
export function goesOn(thrown: unknown, { granted, source }: InterruptedFacts): boolean {
  if (thrown instanceof ZkeepError && NOT_OURS.has(thrown.code)) return true;
  if (granted === 0) return false;
  // A defect of ours is no reason to throw away what is stored.
  if (!(thrown instanceof ZkeepError)) return true;
  const { kind, code } = thrown;
  if (code.startsWith('zfs.') || LACKING.has(code)) return true;
  if (thrown instanceof StreamError) return source === 'zfs' && !SPOILT.has(code);
  return kind !== 'refused' && kind !== 'missing' && kind !== 'usage';
}

/** Whether the failure leaves the open backup to somebody else, so that it must not be ended in any case. */
export function isLeftAlone(thrown: unknown): boolean {
  return thrown instanceof ZkeepError && NOT_OURS.has(thrown.code);
}

/** A failure after which a later run goes on: what failed is what it was, what to do about it is to run it again. */
export class Interrupted extends ZkeepError {
  /**
   * @param again what goes on with it, a command or words; `end`: the command that ends it instead.
   * @param bytes raw bytes from the first on that are stored.
   */
  constructor(
    thrown: unknown,
    { backup, bytes, again, end }: { backup: BackupId; bytes: number; again: string; end: string },
  ) {
    const known = thrown instanceof ZkeepError ? thrown : undefined;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    const where = bytes === 0 ? '' : ` from ${sizeInWords(bytes)}`;
    const next = `${again} goes on${where}; ${end} ends it`;
    super(known?.kind ?? 'failed', known?.code ?? 'agent.unforeseen', message, {
      advice: known?.advice === undefined ? next : `${known.advice}; then ${next}`,
      facts: { ...known?.facts, backup, resumes_at: bytes },
      cause: thrown,
    });
  }
}
