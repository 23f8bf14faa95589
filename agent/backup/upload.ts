/**
 * A stream into the repository, by way of the service: open, put segments by
 * grants, commit; or, when anything fails before the commit, abandon.
 */

import type { Attributes } from '../../catalog/attributes/attributes.ts';
import { systemClock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import {
  type BackupSummary,
  LEASE_MILLISECONDS,
  type OpenBackup,
  type OpenRequest,
  type RepositoryInfo,
} from '../../catalog/protocol/protocol.ts';
import { DEFAULT_LEVEL, FRAME_SIZE } from '../../catalog/repository/segment/frames.ts';
import { type PackedSegment, packStream } from '../../catalog/repository/segment/pack.ts';
import { putByGrant } from '../../catalog/repository/store/transfer.ts';
import { isUnavailable, retry } from '../../catalog/retry.ts';
import type { Begin } from '../../catalog/stream/state.ts';
import type { BackupId } from '../../catalog/words.ts';
import type { ServiceClient } from '../service/client.ts';
import { deadRival, thisWriter } from './writer.ts';

/** What is stored, besides what its BEGIN record says. */
export type Upload = Pick<OpenRequest, 'source' | 'set' | 'from' | 'to' | 'send_flags'>;

/** Where it goes, and who is told. */
export interface UploadOptions {
  readonly client: ServiceClient;
  readonly repository: RepositoryInfo;
  /** Awaited before the commit; what it throws ends the backup. */
  readonly attributes?: Promise<Attributes>;
  readonly onProgress: (progress: { bytes: number; stored: number }) => void;
  readonly signal: AbortSignal;
}

/** How long an abandoned backup's end may take, milliseconds; the service ends it by itself later. */
const ABANDON_TIMEOUT = 10_000;

/**
 * Stores one stream. When it resolves, it is a backup; when it rejects, it is
 * none, with one exception: code `backup.commit-unknown`, when the answer to the
 * commit never came.
 *
 * @throws {ZkeepError} what was wrong with the stream, the service or the store;
 *   `refused` with code `backup.already` when it is stored already.
 */
export async function uploadStream(
  stream: AsyncIterable<Uint8Array>,
  upload: Upload,
  options: UploadOptions,
): Promise<BackupSummary> {
  const { client, repository } = options;
  const lease = new Lease(client);
  const signal = AbortSignal.any([options.signal, lease.lost]);
  let segments = 0;
  try {
    const summary = await packStream(stream, {
      recipients: repository.recipients,
      onBegin: async (begin) => {
        checkBegin(begin, upload);
        lease.keep(await openBackup(client, upload, begin, signal));
      },
      send: async (part, sending) => {
        segments += 1;
        await putSegment(client, lease.backup, part, sending);
      },
      onProgress: options.onProgress,
      signal,
    });
    const captured = await options.attributes;
    const attributes = captured ? await client.putAttributes(lease.backup, captured, signal) : null;
    signal.throwIfAborted();
    return await commit(client, lease.backup, { stream: summary, attributes, segments });
  } catch (thrown) {
    await lease.abandon(thrown);
    throw thrown;
  } finally {
    lease.end();
  }
}

/** The right to write a backup that is open, renewed until it ends. */
class Lease {
  readonly #client: ServiceClient;
  readonly #lost = new AbortController();
  #open: OpenBackup | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(client: ServiceClient) {
    this.#client = client;
  }

  /** Aborts when the service says that the backup is not ours any more. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  get backup(): BackupId {
    if (!this.#open) throw new Error('a segment was sealed before BEGIN was read');
    return this.#open.backup;
  }

  keep(open: OpenBackup): void {
    this.#open = open;
    this.#timer = setInterval(() => void this.#renew(open.backup), LEASE_MILLISECONDS / 3).unref();
  }

  /** Ends what was opened, unless it may have been committed. A service that does not answer ends it itself. */
  async abandon(thrown: unknown): Promise<void> {
    this.end();
    if (!this.#open || (thrown instanceof ZkeepError && thrown.code === 'backup.commit-unknown')) return;
    await this.#client
      .abandon(this.#open.backup, AbortSignal.timeout(ABANDON_TIMEOUT))
      .catch(() => undefined);
  }

  end(): void {
    clearInterval(this.#timer);
  }

  async #renew(backup: BackupId): Promise<void> {
    try {
      await this.#client.alive(backup, this.#lost.signal);
    } catch (thrown) {
      // While the service is away, the next grant decides.
      if (!isUnavailable(thrown)) this.#lost.abort(thrown);
    }
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

/** Puts one segment, with a new grant at every try. */
async function putSegment(
  client: ServiceClient,
  backup: BackupId,
  { body, ...part }: PackedSegment,
  signal: AbortSignal,
): Promise<void> {
  await retry(
    async (attempt) => {
      const [grant] = await client.writeGrants(backup, [part], signal);
      if (!grant) throw new RangeError(`no grant for segment ${part.number}`);
      try {
        await putByGrant(grant, body, signal);
      } catch (thrown) {
        // An earlier try of ours arrived and only its answer got lost; the commit compares its digest.
        if (attempt > 1 && thrown instanceof ZkeepError && thrown.code === 'store.exists') return;
        throw thrown;
      }
    },
    { signal, clock: systemClock },
  );
}

/** A commit is not interrupted: half asked for, nobody would know whether it is a backup. */
async function commit(
  client: ServiceClient,
  backup: BackupId,
  request: Parameters<ServiceClient['commit']>[1],
): Promise<BackupSummary> {
  try {
    return await client.commit(backup, request);
  } catch (thrown) {
    if (!isUnavailable(thrown)) throw thrown;
    throw new ZkeepError('unavailable', 'backup.commit-unknown', `nobody answered the commit of ${backup}`, {
      advice:
        'when the service is back, zkeep list shows whether it is stored; if not, start the backup again',
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
