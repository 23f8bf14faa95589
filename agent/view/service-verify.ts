/** Verification through the service: manifests from it, objects from the store by grants. */
import { request } from 'undici';
import { ZkeepError } from '../../catalog/errors.ts';
import { MAX_GRANTS } from '../../catalog/protocol/protocol.ts';
import type { Manifest } from '../../catalog/repository/manifest.ts';
import { manifestKey } from '../../catalog/repository/names.ts';
import type { Grant } from '../../catalog/repository/store/store.ts';
import type { Verifiable } from '../../catalog/repository/verify.ts';
import { retry } from '../../catalog/retry.ts';
import type { ServiceClient } from '../service/client.ts';
import type { CatalogView } from './view.ts';

/** Objects that are looked at at the same time. */
const AT_ONCE = 8;
const TIMEOUT = 60_000;

/** The repository behind the service, as far as verification reads it. */
export function verifiable(
  client: ServiceClient,
  view: CatalogView,
  dataset: string | undefined,
): Verifiable {
  return {
    async *manifests() {
      for await (const { backup, to } of view.backups(dataset === undefined ? {} : { dataset })) {
        yield { key: manifestKey(to, backup), to, backup };
      }
    },
    manifest: async (to, backup) => await view.manifest({ to, backup }),
    segment: async (manifest, number, signal) => Buffer.from(await view.segment(manifest, number, signal)),
    storedSizes: async (manifest, signal) => await storedSizes(client, manifest, signal),
  };
}

async function storedSizes(
  client: ServiceClient,
  manifest: Manifest,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<number, number>> {
  const sizes = new Map<number, number>();
  const numbers = [...manifest.segments.keys()];
  for (let at = 0; at < numbers.length; at += MAX_GRANTS) {
    const some = numbers.slice(at, at + MAX_GRANTS);
    const grants = await client.readGrants(manifest.backup, some, signal);
    for (let look = 0; look < some.length; look += AT_ONCE) {
      const found = await Promise.all(
        grants.slice(look, look + AT_ONCE).map((grant) => sizeOf(grant, signal)),
      );
      for (const [index, size] of found.entries()) {
        if (size !== undefined) sizes.set(at + look + index, size);
      }
    }
  }
  return sizes;
}

/**
 * The size of a granted object, `undefined` when it is gone. Asks for one byte:
 * the range is no part of what the grant signs, and a store that does not know
 * ranges tells the length all the same.
 */
async function sizeOf(grant: Grant, signal: AbortSignal | undefined): Promise<number | undefined> {
  return await retry(
    async () => {
      try {
        const headers = { ...grant.headers, range: 'bytes=0-0' };
        const limits = { headersTimeout: TIMEOUT, bodyTimeout: TIMEOUT, ...(signal ? { signal } : {}) };
        const answer = await request(grant.url, { method: grant.method, headers, ...limits });
        answer.body.on('error', () => undefined).destroy();
        return sizeIn(answer.statusCode, answer.headers);
      } catch (thrown) {
        signal?.throwIfAborted();
        if (thrown instanceof ZkeepError) throw thrown;
        throw new ZkeepError('unavailable', 'store.unreachable', 'the store does not answer', {
          cause: thrown,
        });
      }
    },
    signal ? { signal } : {},
  );
}

/** Reads the status and the headers of an answer to `range: bytes=0-0`. */
export function sizeIn(
  status: number,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): number | undefined {
  if (status === 404) return undefined;
  const told =
    status === 206 ? /\/(\d{1,16})$/.exec(String(headers['content-range']))?.[1] : headers['content-length'];
  // An empty object has no first byte (RFC 9110, 15.5.17).
  if (status === 416) return 0;
  if ((status === 200 || status === 206) && typeof told === 'string') return Number(told);
  throw new ZkeepError(
    status >= 500 ? 'unavailable' : 'denied',
    'store.refused',
    `the store answered with ${status}`,
    {
      advice:
        status >= 500
          ? 'try again later'
          : 'see that the clocks of store and service agree, and what the store logs',
      facts: { status },
    },
  );
}
