/** The rest of a stream that was cut off, from `zfs send -t`: checked before it is passed on. */
import { ZkeepError } from '../../catalog/errors.ts';
import { hasFeature } from '../../catalog/stream/features.ts';
import { StreamReader } from '../../catalog/stream/reader.ts';
import { decodeToken, type ResumeToken } from '../../catalog/stream/resuming/token.ts';
import type { Begin } from '../../catalog/stream/state.ts';

/**
 * The same bytes. BEGIN must be that of the stream which was cut off: a sender that goes on
 * with other flags sends another kind of stream, decrypted for one, and exits 0 (seen on
 * OpenZFS 2.3). Where it begins, `zfs send -t` alone knows.
 *
 * @param token what the target's `receive_resume_token` says.
 * @throws {ZkeepError} `refused`, code `migrate.other-rest`, before anything is passed on; code
 *   `migrate.token` when the token cannot be read.
 * @throws {StreamError} at the first record that is not what it must be.
 */
export async function* checkedRest(
  stream: AsyncIterable<Uint8Array>,
  token: string,
): AsyncGenerator<Uint8Array> {
  const wanted = readToken(token);
  const reader = new StreamReader({ expect: 'rest' });
  const held: Uint8Array[] = [];
  let known = false;
  for await (const bytes of stream) {
    reader.write(bytes);
    if (!known && reader.begin) checkBegin(reader.begin, wanted);
    held.push(bytes);
    known = reader.begin !== undefined;
    if (known) yield* held.splice(0);
  }
  reader.end();
}

function readToken(token: string): ResumeToken {
  try {
    return decodeToken(token);
  } catch (cause) {
    const message = 'what the interrupted receive left cannot be read, so its rest could not be checked';
    throw new ZkeepError('refused', 'migrate.token', message, { advice: ADVICE, cause });
  }
}

/** @throws {ZkeepError} `refused` with what differs. */
export function checkBegin(begin: Begin, token: ResumeToken): void {
  const wanted = kindOf(token);
  const found: typeof wanted = {
    toguid: begin.toGuid,
    fromguid: begin.fromGuid ?? 'none',
    'large blocks': hasFeature(begin, 'LARGE_BLOCKS'),
    'embedded blocks': hasFeature(begin, 'EMBED_DATA'),
    'compressed blocks': hasFeature(begin, 'COMPRESSED'),
    raw: hasFeature(begin, 'RAW'),
    redacted: hasFeature(begin, 'REDACTED'),
    resuming: hasFeature(begin, 'RESUMING'),
  };
  const differing = Object.entries(wanted).filter(([what, value]) => found[what] !== value);
  if (differing.length === 0) return;
  const words = differing.map(([what, value]) => `${what}: ${found[what]} instead of ${value}`);
  const message = `zfs send goes on with another stream than the one that was interrupted (${words.join(', ')})`;
  throw new ZkeepError('refused', 'migrate.other-rest', message, {
    advice: ADVICE,
    facts: { differs: words },
  });
}

const ADVICE = 'throw away what has arrived (zfs receive -A TARGET), then start the migration again';

/** A token that stands at nothing gives the stream from its beginning. */
function kindOf(token: ResumeToken): Record<string, string | boolean> {
  return {
    toguid: token.toguid,
    fromguid: token.fromguid ?? 'none',
    'large blocks': token.largeBlocks,
    'embedded blocks': token.embedded,
    'compressed blocks': token.compressed,
    raw: token.raw,
    redacted: token.redactSnaps !== null,
    resuming: token.object !== 0n || token.offset !== 0n,
  };
}
