/** A stream on its way from one pool to another: every record is checked before it is passed on. */
import { endianness } from 'node:os';
import { ZkeepError } from '../../catalog/errors.ts';
import { StreamReader } from '../../catalog/stream/reader.ts';
import type { Begin } from '../../catalog/stream/state.ts';
import type { Guid } from '../../catalog/words.ts';

/** This machine is big-endian: its streams cannot be put into a package. */
export const SWAPPED = endianness() !== 'LE';

/**
 * The same bytes.
 *
 * @param to GUID of the snapshot that it must lead to.
 * @throws {StreamError} at the first record that is not what it must be.
 * @throws {ZkeepError} `refused` when it is a stream of another snapshot.
 */
export async function* checkedStream(
  stream: AsyncIterable<Uint8Array>,
  to: Guid,
): AsyncGenerator<Uint8Array> {
  const reader = new StreamReader();
  let known = false;
  for await (const bytes of stream) {
    reader.write(bytes);
    if (!known && reader.begin) {
      checkBegin(reader.begin, to);
      known = true;
    }
    yield bytes;
  }
  reader.end();
}

function checkBegin({ toGuid }: Begin, to: Guid): void {
  if (toGuid === to) return;
  const message = 'zfs sent another snapshot than the one that was taken';
  throw new ZkeepError('refused', 'migrate.other-stream', message, {
    advice: 'a snapshot was destroyed or renamed meanwhile: start the migration again',
    facts: { to, sent: toGuid },
  });
}
