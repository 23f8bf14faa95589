/**
 * Grants for an S3 store: requests signed header and all. The signature binds
 * key, size, content and condition, and every store enforces it, while a URL
 * that is signed in its query binds no content (facts/s3.md, 1).
 */
import { SignatureV4 } from '@smithy/signature-v4';
import { type Clock, systemClock } from '../../clock.ts';
import type { Digest } from '../../words.ts';
import { putHeaders } from './s3/requests.ts';
import type { S3Store } from './s3-store.ts';
import type { Grant, Granter } from './store.ts';
import { keyTaken } from './store-errors.ts';

/** How long a store takes a signed request: 15 minutes around its `x-amz-date` (AWS, RGW, Swift). */
export const SIGNATURE_LIFETIME = 15 * 60_000;
/** How much earlier a grant is called expired, for clocks that differ a little and for the way. */
export const SAFETY_MARGIN = 60_000;

/** SHA-256 of nothing: the payload of a GET. */
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/**
 * Makes grants for a bucket, with the credentials of its store.
 *
 * @example const grant = await new S3Granter(store).grantPut(key, body.length, digest);
 */
export class S3Granter implements Granter {
  readonly #store: S3Store;
  readonly #clock: Clock;

  constructor(store: S3Store, clock: Clock = systemClock) {
    this.#store = store;
    this.#clock = clock;
  }

  /**
   * A store that knows conditions refuses the grant's PUT once the key is taken.
   * For one that does not, the key is looked up here, and a grant that is not
   * used yet can still replace what somebody else writes meanwhile (STORES.md).
   *
   * A retry after a lost answer is no conflict: with `again` it is not looked up.
   *
   * @throws {ZkeepError} `refused` with code `store.exists` in that case.
   */
  async grantPut(
    key: string,
    size: number,
    sha256: Digest,
    { again = false }: { readonly again?: boolean } = {},
  ): Promise<Grant> {
    const { conditionalPut } = await this.#store.abilities();
    if (!conditionalPut && !again && (await this.#store.stat(key))) throw keyTaken(this.#store.nameOf(key));
    const announced = putHeaders(this.#store.settings, { sha256, ifAbsent: conditionalPut });
    return this.#grant('PUT', key, {
      'content-length': String(size),
      'content-type': 'application/octet-stream',
      ...announced,
    });
  }

  async grantGet(key: string): Promise<Grant> {
    return this.#grant('GET', key, { 'x-amz-content-sha256': EMPTY });
  }

  async #grant(method: Grant['method'], key: string, headers: Record<string, string>): Promise<Grant> {
    const { url, region, credentials, sha256 } = await this.#store.signing();
    const now = this.#clock.now();
    const path = `${url.pathname.replace(/\/$/, '')}/${this.#store.keyInBucket(key)}`;
    const signer = new SignatureV4({ service: 's3', region, credentials, sha256, uriEscapePath: false });
    const signed = await signer.sign(
      {
        method,
        protocol: url.protocol,
        hostname: url.hostname,
        path,
        headers: { ...headers, host: url.host },
      },
      { signingDate: new Date(now) },
    );
    const expires = now + SIGNATURE_LIFETIME - SAFETY_MARGIN;
    return { method, url: `${url.origin}${path}`, headers: signed.headers, expires };
  }
}
