/** The rest of a stream from `zfs send -t`, proven to be the rest of the one that is stored. */
import { ZkeepError } from '../../../catalog/errors.ts';
import type { PackStart } from '../../../catalog/repository/segment/pack.ts';
import { spliceStream } from '../../../catalog/stream/resuming/splice.ts';
import { poolOf } from '../../zfs/names.ts';
import { sendRestCommand, sendStream } from '../../zfs/send.ts';

/** What comes is not the rest of what is stored, or nothing comes: the stream has to be sent from its start. */
export class NotTheRest extends Error {
  constructor(cause: ZkeepError) {
    super(cause.message, { cause });
    this.name = new.target.name;
  }
}

/** How `zfs send -t` ends that does not know the token's snapshot, base or object (any more). */
const REFUSED = new Set(['zfs.failed', 'zfs.token-refused', 'zfs.base-gone', 'zfs.no-dataset']);

/**
 * The stored stream from the byte behind its last segment to its end. The first byte comes
 * once all before it was made again and was the same.
 *
 * @param dataset as it is called now.
 * @throws {NotTheRest} when the sender refuses the token or sends something else; anything else is an interruption.
 */
export async function* restOf(
  dataset: string,
  token: string,
  { begin, point, after }: PackStart,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (point === null) throw new RangeError('a stream without a point has no rest');
  const sent = sendStream(sendRestCommand(token), signal, poolOf(dataset));
  let proven = false;
  try {
    for await (const bytes of spliceStream(sent, { begin, point, after })) {
      proven = true;
      yield bytes;
    }
  } catch (thrown) {
    if (!proven && isRefusal(thrown)) throw new NotTheRest(thrown);
    throw thrown;
  }
}

function isRefusal(thrown: unknown): thrown is ZkeepError {
  if (!(thrown instanceof ZkeepError)) return false;
  // One that was killed says nothing about the token.
  return thrown.code.startsWith('resume.') || (REFUSED.has(thrown.code) && !('signal' in thrown.facts));
}
