/** Reads what a drill restored, all of it: as a stream that is proven record by record, and kept nowhere. */
import { ZkeepError } from '../../catalog/errors.ts';
import { StreamReader } from '../../catalog/stream/reader.ts';
import type { Guid } from '../../catalog/words.ts';

/** What was read. */
export interface Content {
  /** Of the stream. */
  readonly bytes: number;
  /** Objects of a file system (files, folders, ...); of a volume the records of its blocks. */
  readonly objects: number;
}

/**
 * Reads a full stream to its end.
 *
 * @param guid of the snapshot that it must be of.
 * @param tell told of the bytes read so far.
 * @throws {ZkeepError} what is wrong with the stream, or the command that gives it; `failed` with code
 *   `drill.content` when it is of another snapshot or holds nothing.
 */
export async function readContent(
  stream: AsyncIterable<Uint8Array>,
  { guid, type }: { readonly guid: Guid; readonly type: 'filesystem' | 'volume' },
  tell: (bytes: number) => void = () => undefined,
): Promise<Content> {
  const reader = new StreamReader();
  for await (const bytes of stream) {
    reader.write(bytes);
    tell(reader.position);
  }
  const { begin, bytes, records } = reader.end();
  if (begin.toGuid !== guid || begin.fromGuid !== null) throw otherContent(guid, begin.toGuid);
  const counted = (...names: string[]) => names.reduce((sum, name) => sum + (records[name] ?? 0), 0);
  return { bytes, objects: type === 'volume' ? counted('WRITE', 'WRITE_EMBEDDED') : counted('OBJECT') };
}

function otherContent(wanted: Guid, found: string): ZkeepError {
  return new ZkeepError('failed', 'drill.content', `what was restored is sent as snapshot ${found}`, {
    advice: `snapshot ${wanted} was restored: nobody else may change what a drill makes`,
    facts: { wanted, found },
  });
}
