/** A stored stream as bytes: whole, or from where a receive of it broke off. */
import { isDeepStrictEqual } from 'node:util';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { Manifest, Segment } from '../../../catalog/repository/manifest.ts';
import { type FetchSegment, unpackPart, unpackStream } from '../../../catalog/repository/segment/unpack.ts';
import { readBegin } from '../../../catalog/stream/reading/begin.ts';
import { RECORD_SIZE } from '../../../catalog/stream/record.ts';
import { planResuming } from '../../../catalog/stream/resuming/plan.ts';
import { resumingStream, type Sent } from '../../../catalog/stream/resuming/stream.ts';
import type { ResumeToken } from '../../../catalog/stream/resuming/token.ts';
import type { Begin } from '../../../catalog/stream/state.ts';
import type { CatalogView } from '../../view/view.ts';

/** What reading takes. */
export interface Reading {
  readonly view: Pick<CatalogView, 'segment'>;
  readonly identities: readonly string[];
  readonly signal: AbortSignal;
  /** Told of each segment that was fetched. */
  readonly onFetched?: (segment: Segment) => void;
}

/** A stream that is about to be sent. */
export interface Source {
  /** Position in the stored stream from which all of it is sent. */
  readonly from: number;
  readonly sent: AsyncIterable<Sent>;
}

/** The raw stream of a backup, fetched, decrypted, decompressed and checked. */
export function streamOf(manifest: Manifest, reading: Reading): AsyncGenerator<Uint8Array> {
  const { identities, signal } = reading;
  return unpackStream(manifest, fetchFor(manifest, reading), { identities, signal });
}

/** The same, told how far it is. */
export function wholeOf(manifest: Manifest, reading: Reading): Source {
  return { from: 0, sent: counted(streamOf(manifest, reading)) };
}

/**
 * The stream with which an interrupted receive of a backup goes on: only the
 * segments that it takes are fetched, and every record is checked as always.
 *
 * @param covered bytes of the stored stream that are known to have been sent before; infinite where nobody counted.
 * @param stored the stored BEGIN with its payload, where it need not be fetched.
 */
export function resumingOf(
  manifest: Manifest,
  token: ResumeToken,
  covered: number,
  reading: Reading,
  stored?: Uint8Array,
): Source {
  const { begin } = manifest.stream;
  const hasBegin = stored !== undefined;
  const plan = planResuming({ begin, pieces: manifest.segments, token, covered, hasBegin });
  const fetch = fetchFor(manifest, reading);
  const { identities, signal } = reading;
  const sent = resumingStream(plan, { begin, token, stored }, (pass, watch) =>
    unpackPart(manifest, pass, fetch, { identities, signal, watch }),
  );
  return { from: plan.from, sent };
}

/** The same to be received by hand: nobody counted what was sent, so the token alone says what is there. */
export async function* restOf(
  manifest: Manifest,
  token: ResumeToken,
  reading: Reading,
): AsyncGenerator<Uint8Array> {
  const { sent } = resumingOf(manifest, token, Number.POSITIVE_INFINITY, reading);
  for await (const { bytes } of sent) yield bytes;
}

/** The position in the stored stream from which {@link restOf} sends all of it. */
export function restPosition(
  { stream, segments }: Pick<Manifest, 'stream' | 'segments'>,
  token: ResumeToken,
): number {
  const covered = Number.POSITIVE_INFINITY;
  return planResuming({ begin: stream.begin, pieces: segments, token, covered }).from;
}

/**
 * The BEGIN that was noted, if it is that of this stream.
 *
 * @param noted base64, with its payload.
 */
export function notedBegin(noted: string | undefined, begin: Begin): Uint8Array | undefined {
  if (noted === undefined) return undefined;
  const bytes = Buffer.from(noted, 'base64');
  if (bytes.length !== RECORD_SIZE + begin.payload) return undefined;
  try {
    return isDeepStrictEqual(readBegin(bytes)?.begin, begin) ? bytes : undefined;
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError)) throw thrown;
    return undefined;
  }
}

async function* counted(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Sent> {
  let reached = 0;
  for await (const bytes of stream) {
    reached += bytes.length;
    yield { bytes, reached };
  }
}

function fetchFor(manifest: Manifest, { view, onFetched }: Reading): FetchSegment {
  return async (number, fetching, into) => {
    try {
      const bytes = await view.segment(manifest, number, fetching, into);
      const segment = manifest.segments[number];
      if (segment) onFetched?.(segment);
      return bytes;
    } catch (thrown) {
      throw thrown instanceof ZkeepError && thrown.kind === 'missing'
        ? gone(manifest, number, thrown)
        : thrown;
    }
  };
}

/** That a part of a backup is not there is no slip of whoever asks: the backup is damaged. */
function gone({ backup }: Manifest, number: number, cause: ZkeepError): ZkeepError {
  return new ZkeepError('damaged', 'segment.gone', `segment ${number} of backup ${backup} is gone`, {
    advice: 'zkeep verify names all backups that are damaged; restore another snapshot, or by another chain',
    facts: { backup, segment: number },
    cause,
  });
}
