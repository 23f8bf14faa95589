/** A stored stream as bytes: whole, or from where a receive of it broke off. */
import { ZkeepError } from '../../../catalog/errors.ts';
import type { Manifest } from '../../../catalog/repository/manifest.ts';
import { type FetchSegment, unpackPart, unpackStream } from '../../../catalog/repository/segment/unpack.ts';
import { planResuming } from '../../../catalog/stream/resuming/plan.ts';
import { resumingStream, type Sent } from '../../../catalog/stream/resuming/stream.ts';
import type { ResumeToken } from '../../../catalog/stream/resuming/token.ts';
import type { CatalogView } from '../../view/view.ts';

/** What reading takes. */
export interface Reading {
  readonly view: Pick<CatalogView, 'segment'>;
  readonly identities: readonly string[];
  readonly signal: AbortSignal;
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
 */
export function resumingOf(
  manifest: Manifest,
  token: ResumeToken,
  covered: number,
  reading: Reading,
): Source {
  const { begin } = manifest.stream;
  const plan = planResuming({ begin, pieces: manifest.segments, token, covered });
  const fetch = fetchFor(manifest, reading);
  const { identities, signal } = reading;
  const sent = resumingStream(plan, { begin, token }, (pass, watch) =>
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

async function* counted(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Sent> {
  let reached = 0;
  for await (const bytes of stream) {
    reached += bytes.length;
    yield { bytes, reached };
  }
}

function fetchFor(manifest: Manifest, { view }: Reading): FetchSegment {
  return async (number, fetching, into) => {
    try {
      return await view.segment(manifest, number, fetching, into);
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
