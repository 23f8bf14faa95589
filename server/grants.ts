/**
 * Grants of the service itself, for the directory store: requests to its own
 * `/v1/objects/<key>`, signed header and all, like those that an S3 store checks.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../catalog/clock.ts';
import { ZkeepError } from '../catalog/errors.ts';
import type { Grant, Granter } from '../catalog/repository/store/store.ts';
import { type Digest, parseDigest } from '../catalog/words.ts';

/** The path under which granted objects are written and read. */
export const OBJECTS_PATH = '/v1/objects/';

/** What a {@link SelfGranter} needs. */
export interface SelfGranterOptions {
  /** The secret, 32 random bytes. */
  readonly key: Buffer;
  readonly clock: Clock;
  /** How agents reach the service: `http://host:port`, without a slash at the end. */
  readonly address: () => string;
  /** Milliseconds that a grant lives. */
  readonly lifetime: number;
}

/** The content that a grant for writing is bound to. */
export interface GrantedContent {
  /** Bytes. */
  readonly size: number;
  readonly sha256: Digest;
}

const AUTHORIZATION =
  /^zkeep-grant expires=([0-9]{1,15}),size=([0-9]{1,16}|-),sha256=([0-9a-f]{64}|-),signature=([0-9a-f]{64})$/;

/**
 * Grants by HMAC-SHA256 over method, key, size, digest and expiry. The signature
 * travels in a header, because addresses end up in the logs of proxies.
 *
 * @example const { url, headers } = await granter.grantPut('segments/…', 1000, digest);
 */
export class SelfGranter implements Granter {
  readonly #options: SelfGranterOptions;

  constructor(options: SelfGranterOptions) {
    this.#options = options;
  }

  async grantPut(key: string, size: number, sha256: Digest): Promise<Grant> {
    const headers = { 'content-type': 'application/octet-stream', 'content-length': String(size) };
    return this.#grant('PUT', key, { size, sha256 }, headers);
  }

  async grantGet(key: string): Promise<Grant> {
    return this.#grant('GET', key, undefined, {});
  }

  /**
   * Checks the `Authorization` header of a request for writing `key`.
   *
   * @throws {ZkeepError} `denied` with code `grant.invalid` or `grant.expired`.
   */
  checkPut(key: string, authorization: string | undefined): GrantedContent {
    const { size, sha256 } = this.#check('PUT', key, authorization);
    return { size: Number(size), sha256: parseDigest(sha256) };
  }

  /** The same for reading `key`. */
  checkGet(key: string, authorization: string | undefined): void {
    this.#check('GET', key, authorization);
  }

  #grant(
    method: Grant['method'],
    key: string,
    content: GrantedContent | undefined,
    headers: Record<string, string>,
  ): Grant {
    const expires = this.#options.clock.now() + this.#options.lifetime;
    const size = content ? String(content.size) : '-';
    const sha256 = content?.sha256 ?? '-';
    const signature = this.#sign(method, key, size, sha256, expires).toString('hex');
    const authorization = `zkeep-grant expires=${expires},size=${size},sha256=${sha256},signature=${signature}`;
    const url = `${this.#options.address()}${OBJECTS_PATH}${key}`;
    return { method, url, headers: { ...headers, authorization }, expires };
  }

  #check(
    method: Grant['method'],
    key: string,
    authorization: string | undefined,
  ): { size: string; sha256: string } {
    const [, expires, size, sha256, signature] = AUTHORIZATION.exec(authorization ?? '') ?? [];
    if (!expires || !size || !sha256 || !signature) throw invalid(key);
    const right = this.#sign(method, key, size, sha256, Number(expires));
    if (!timingSafeEqual(right, Buffer.from(signature, 'hex'))) throw invalid(key);
    if (this.#options.clock.now() >= Number(expires)) {
      throw new ZkeepError('denied', 'grant.expired', `the grant for ${key} has expired`, {
        advice: 'ask for a new grant and send the object again',
        facts: { key, expires: Number(expires) },
      });
    }
    return { size, sha256 };
  }

  #sign(method: string, key: string, size: string, sha256: string, expires: number): Buffer {
    // No part can hold a line feed: the header's form and the key's route see to it.
    const text = ['zkeep-grant-1', method, key, size, sha256, expires].join('\n');
    return createHmac('sha256', this.#options.key).update(text).digest();
  }
}

function invalid(key: string): ZkeepError {
  return new ZkeepError('denied', 'grant.invalid', `there is no valid grant for this request of ${key}`, {
    advice: "send the grant's method, address and headers exactly as they are",
    facts: { key },
  });
}
