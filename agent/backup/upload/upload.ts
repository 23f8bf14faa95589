/**
 * A stream into the repository, by way of the service: open, put segments by
 * grants, commit. What fails before the commit is left for a later run to go on
 * with, or abandoned where going on is of no use.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Attributes } from '../../../catalog/attributes/attributes.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type {
  BackupSummary,
  OpenBackup,
  OpenRequest,
  RepositoryInfo,
  ResumeOffer,
  Writing,
} from '../../../catalog/protocol/protocol.ts';
import { DEFAULT_LEVEL, FRAME_SIZE } from '../../../catalog/repository/segment/frames.ts';
import { type PackStart, packStream } from '../../../catalog/repository/segment/pack.ts';
import { isUnavailable } from '../../../catalog/retry.ts';
import type { Begin } from '../../../catalog/stream/state.ts';
import type { Digest } from '../../../catalog/words.ts';
import type { ServiceClient } from '../../service/client.ts';
import { deadRival, thisWriter } from '../writer.ts';
import { goesOn, Interrupted, isLeftAlone } from './interruption.ts';
import { Lease } from './lease.ts';
import { type Earlier, Segments } from './segments.ts';
import type { Throttle } from './throttle.ts';

/** What is stored, besides what its BEGIN record says. */
export type Upload = Pick<OpenRequest, 'source' | 'set' | 'from' | 'to' | 'send_flags'>;

/** Where it goes, and who is told. */
export interface UploadOptions {
  readonly client: ServiceClient;
  readonly repository: RepositoryInfo;
  /** Stored soon after the backup was opened; what it throws ends the backup. */
  readonly attributes?: Promise<Attributes>;
  /** Raw bytes of the stream so far, with those that were stored before; stored bytes of this run. */
  readonly onProgress: (progress: { bytes: number; stored: number }) => void;
  readonly signal: AbortSignal;
  /** Where the stream comes from: what was damaged in a file comes no better the next time. */
  readonly source: 'zfs' | 'file';
  /** What goes on with it once it was interrupted: a command, or words. */
  readonly again: string;
  /** Bounds how fast it goes into the store. */
  readonly throttle?: Throttle | undefined;
}

/** A stream that is a backup now. */
export interface Uploaded {
  readonly summary: BackupSummary;
  /** Raw bytes of segments that were in the store before and were not sent. */
  readonly kept: number;
  /** Raw bytes of segments that an interrupted run had begun to send and that were sent once more. */
  readonly again: number;
}

/** Code of the refusal of a stream that does not begin as the stored one does. */
export const OTHER_BEGIN = 'backup.other-begin';

const NOTHING_EARLIER: Earlier = { segments: 0, bytes: 0, begun: 0 };

/**
 * Stores one stream from its first byte on. When it resolves, it is a backup; when it
 * rejects, it is none, with one exception: code `backup.commit-unknown`, when the answer
 * to the commit never came.
 *
 * @throws {Interrupted} when a later run can go on with it, else what was wrong with the stream, the
 *   service or the store; `refused` with code `backup.already` when it is stored already.
 */
export async function uploadStream(
  stream: AsyncIterable<Uint8Array>,
  upload: Upload,
  options: UploadOptions,
): Promise<Uploaded> {
  return await new UploadRun(options).whole(stream, upload);
}

/**
 * Stores a stream whose backup is open already, from its first byte on: what equals the
 * segments that are stored is not sent.
 *
 * @param begun raw bytes of the segments that the interrupted run had begun to send.
 * @throws as {@link uploadStream}; `refused` with code `grant.stored` when it is not the same stream,
 *   and then the backup is not open any more.
 */
export async function uploadAgain(
  stream: AsyncIterable<Uint8Array>,
  offer: ResumeOffer,
  begun: number,
  options: UploadOptions,
): Promise<Uploaded> {
  return await new UploadRun(options).again(stream, offer, begun);
}

/**
 * Goes on with an open backup whose first segments are durable.
 *
 * @param rest the stream from the byte behind the last of these on.
 * @param start where that is.
 * @throws as {@link uploadStream}; what `isOurs` says is the caller's affair leaves the backup open.
 */
export async function uploadRest(
  rest: AsyncIterable<Uint8Array>,
  offer: ResumeOffer,
  rests: { readonly start: PackStart; readonly begun: number; readonly isOurs: (thrown: unknown) => boolean },
  options: UploadOptions,
): Promise<Uploaded> {
  return await new UploadRun(options).rest(rest, offer, rests);
}

class UploadRun {
  readonly #options: UploadOptions;
  readonly #lease: Lease;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  #segments: Segments;
  #digest: Promise<Digest | null> = Promise.resolve(null);

  constructor(options: UploadOptions) {
    this.#options = options;
    this.#lease = new Lease(options.client);
    this.#signal = AbortSignal.any([options.signal, this.#lease.lost, this.#stop.signal]);
    this.#segments = new Segments(options.client, NOTHING_EARLIER, 0, options.throttle);
  }

  async whole(stream: AsyncIterable<Uint8Array>, upload: Upload): Promise<Uploaded> {
    return await this.#store(stream, {
      onBegin: async (begin) => {
        checkBegin(begin, upload);
        const open = await openBackup(this.#options.client, upload, begin, this.#signal);
        // The service may answer with an interrupted one of the same stream: what equals its segments is not sent.
        const { segments, bytes: begun } = open;
        this.#segments = this.#segmentsFrom({ segments, bytes: 0, begun }, 0);
        this.#keep(open, null);
      },
    });
  }

  async again(stream: AsyncIterable<Uint8Array>, offer: ResumeOffer, begun: number): Promise<Uploaded> {
    this.#goOn(offer, begun, 0);
    const onBegin = async (begin: Begin) => checkSame(begin, offer.request.begin);
    return await this.#store(stream, { onBegin, level: offer.request.compression.level });
  }

  async rest(
    rest: AsyncIterable<Uint8Array>,
    offer: ResumeOffer,
    { start, begun, isOurs }: Parameters<typeof uploadRest>[2],
  ): Promise<Uploaded> {
    this.#goOn(offer, begun, start.after.at);
    return await this.#store(rest, { start, level: offer.request.compression.level }, isOurs);
  }

  #goOn(offer: ResumeOffer, begun: number, from: number): void {
    const { segments, bytes } = offer;
    this.#segments = this.#segmentsFrom({ segments, bytes, begun }, from);
    this.#keep(offer, offer.attributes);
  }

  #segmentsFrom(earlier: Earlier, from: number): Segments {
    const { client, throttle } = this.#options;
    return new Segments(client, earlier, from, throttle);
  }

  /** Attributes are of the snapshot's moment: they are stored at once, and those of an interrupted run stay. */
  #keep(writing: Writing, digest: Digest | null): void {
    this.#lease.keep(writing);
    this.#digest = digest === null ? this.#putAttributes() : Promise.resolve(digest);
    // Without attributes it will be no backup: that is not found out after hours of sending.
    this.#digest.catch((thrown: unknown) => this.#stop.abort(thrown));
  }

  async #putAttributes(): Promise<Digest | null> {
    const captured = await this.#options.attributes;
    if (!captured) return null;
    return await this.#options.client.putAttributes(this.#lease.writing, captured, this.#signal);
  }

  async #store(
    stream: AsyncIterable<Uint8Array>,
    how: { onBegin?: (begin: Begin) => Promise<void>; start?: PackStart; level?: number },
    isCallers: (thrown: unknown) => boolean = () => false,
  ): Promise<Uploaded> {
    const { client, repository, onProgress } = this.#options;
    const before = how.start?.after.at ?? 0;
    let count = how.start?.number ?? 0;
    try {
      const packed = await packStream(stream, {
        ...how,
        recipients: repository.recipients,
        send: async (part, sending) => {
          count = Math.max(count, part.number + 1);
          await this.#segments.send(this.#lease.writing, part, sending);
        },
        onProgress: ({ bytes, stored }) => onProgress({ bytes: before + bytes, stored }),
        signal: this.#signal,
      });
      const attributes = await this.#digest;
      this.#signal.throwIfAborted();
      const request = { stream: packed, attributes, segments: count };
      const summary = await commit(client, this.#lease.writing, request, this.#options.signal);
      return { summary, kept: summary.bytes - this.#segments.put, again: this.#segments.again };
    } catch (thrown) {
      if (isCallers(thrown)) throw thrown;
      throw await this.#failed(thrown);
    } finally {
      this.#lease.end();
    }
  }

  /** Leaves the open backup for a later run, or ends it; gives what is to be thrown. */
  async #failed(failure: unknown): Promise<unknown> {
    const { signal, source, again } = this.#options;
    const thrown: unknown = signal.aborted ? signal.reason : failure;
    if (this.#lease.isEmpty || isLeftAlone(thrown)) return thrown;
    const { granted, durable: bytes } = this.#segments;
    if (!goesOn(thrown, { granted, source })) {
      await this.#lease.abandon();
      return thrown;
    }
    const { backup } = this.#lease.writing;
    return new Interrupted(thrown, { backup, bytes, again, end: `zkeep backup --abandon ${backup}` });
  }
}

async function openBackup(
  client: ServiceClient,
  upload: Upload,
  begin: Begin,
  signal: AbortSignal,
): Promise<OpenBackup> {
  const compression = { method: 'zstd', level: DEFAULT_LEVEL, frame: FRAME_SIZE } as const;
  const request: OpenRequest = { ...upload, writer: thisWriter(), begin, compression, takeover: null };
  try {
    return await client.open(request, signal);
  } catch (thrown) {
    const dead = deadRival(thrown);
    if (dead === undefined) throw thrown;
    return await client.open({ ...request, takeover: dead }, signal);
  }
}

/**
 * A commit is not interrupted: half asked for, nobody would know whether it is a backup.
 *
 * @param waiting ends only the wait for a service that is away.
 */
async function commit(
  client: ServiceClient,
  writing: Writing,
  request: Parameters<ServiceClient['commit']>[1],
  waiting: AbortSignal,
): Promise<BackupSummary> {
  try {
    return await client.commit(writing, request, waiting);
  } catch (thrown) {
    if (!isUnavailable(thrown)) throw thrown;
    const { backup } = writing;
    throw new ZkeepError('unavailable', 'backup.commit-unknown', `nobody answered the commit of ${backup}`, {
      advice: 'when the service is back, the same command finds out whether it is stored, and goes on if not',
      facts: { backup },
      cause: thrown,
    });
  }
}

function checkBegin(begin: Begin, { from, to }: Upload): void {
  if (begin.toGuid === to.guid && begin.fromGuid === (from?.guid ?? null)) return;
  throw new ZkeepError(
    'refused',
    'backup.other-stream',
    'zfs sent another snapshot than the one that was planned',
    {
      advice: 'a snapshot was destroyed or renamed meanwhile: start the backup again',
      facts: { to: to.guid, from: from?.guid ?? null, sent: begin.toGuid, sent_from: begin.fromGuid },
    },
  );
}

/** Another name in BEGIN, or other flags, and no checksum behind it is what it was. */
function checkSame(begin: Begin, stored: Begin): void {
  if (isDeepStrictEqual(begin, stored)) return;
  const renamed = begin.toName !== stored.toName;
  const what = renamed
    ? `it is called ${begin.toName} now, and was ${stored.toName}`
    : 'it is sent in another way';
  throw new ZkeepError('refused', OTHER_BEGIN, `zfs send does not give the same stream again: ${what}`, {
    advice: 'start the backup again',
    facts: { to: stored.toGuid, stored: stored.toName, sent: begin.toName },
  });
}
