/** The object store on a bucket: any S3 server that checks signed payload hashes (STORES.md). */
import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { type Clock, systemClock } from '../../clock.ts';
import { ZkeepError } from '../../errors.ts';
import type { Patience } from '../../patience.ts';
import { REQUEST_RETRIES, type RetryPolicy, retry } from '../../retry.ts';
import { type Digest, parseDigest } from '../../words.ts';
import { blameTheWay, checkLength, checkRange, digestOf, readBody } from './body.ts';
import { TIMEOUTS, type Timeouts, timeFor, withDeadline } from './deadline.ts';
import { checkKey, checkKeyPrefix, isKey } from './key.ts';
import type { S3Location } from './location.ts';
import { probeStore } from './probe.ts';
import { explainRefusal } from './s3/answers.ts';
import { connect, knowsChecksums, type S3Options, type Signing, signingOf } from './s3/connection.ts';
import { checkRangeTold, explainThrown, putHeaders, withHeaders } from './s3/requests.ts';
import type { GetOptions, ObjectFacts, ObjectStore, PutOptions, StoreAbilities } from './store.ts';
import { bodyMismatch, keyTaken } from './store-errors.ts';

/**
 * A store in a bucket that exists already.
 *
 * @example const store = new S3Store({ type: 's3', bucket: 'backups', region: 'eu-central-1' });
 */
export class S3Store implements ObjectStore {
  readonly location: string;
  readonly settings: S3Location;
  /** What every write carried (`putHeaders`) such a store keeps with the object. */
  readonly tellsChecksums: boolean;
  readonly #prefix: string;
  readonly #client: S3Client;
  readonly #timeouts: Timeouts;
  readonly #retries: RetryPolicy;
  readonly #patience: Patience | undefined;
  readonly #clock: Clock;
  #abilities: Promise<StoreAbilities> | undefined;
  #bucketSeen = false;

  /** @param settings as `checkLocation` gives them. */
  constructor(settings: S3Location, options: S3Options = {}) {
    const { timeouts = TIMEOUTS, retries = REQUEST_RETRIES, patience } = options;
    const { clock = systemClock, abilities } = options;
    this.settings = settings;
    this.tellsChecksums = knowsChecksums(settings);
    this.#prefix = settings.prefix ? `${settings.prefix}/` : '';
    this.location = `s3://${settings.bucket}/${settings.prefix ?? ''}`;
    this.#client = connect(settings, timeouts);
    this.#timeouts = timeouts;
    this.#retries = retries;
    this.#patience = patience;
    this.#clock = clock;
    this.#abilities = abilities && Promise.resolve(abilities);
  }

  async put(key: string, body: Uint8Array, options: PutOptions): Promise<void> {
    const what = this.nameOf(key);
    options.signal?.throwIfAborted();
    const got = digestOf(body);
    if (got !== options.sha256) throw bodyMismatch(what, { sha256: options.sha256, got });
    if (!options.ifAbsent) return this.#send(key, body, options);
    const { conditionalPut } = await this.abilities();
    try {
      if (!conditionalPut && (await this.stat(key, options.signal))) throw keyTaken(what);
      await this.#send(key, body, { ...options, ifAbsent: conditionalPut });
    } catch (thrown) {
      // Taken by these very bytes is success: perhaps by an earlier try whose answer was lost (facts/s3.md, 5).
      if (!hasCode(thrown, 'store.exists') || !(await this.#holds(key, body, options.signal))) throw thrown;
    }
  }

  /** The bytes as they came: a bit that flipped on the way back is found by the caller's own digest only. */
  async get(key: string, options: GetOptions): Promise<Buffer> {
    const what = this.nameOf(key);
    const { range, maxBytes, into, signal } = options;
    checkRange(options, what);
    const Range = range && `bytes=${range.start}-${range.end - 1}`;
    return this.#ask(what, { signal, bytes: maxBytes }, async (abortSignal) => {
      const command = new GetObjectCommand({ ...this.#object(key), ...(Range ? { Range } : {}) });
      const { Body, ContentLength, ContentRange } = await this.#client.send(command, { abortSignal });
      if (range) checkRangeTold(range, ContentRange, what);
      if (ContentLength !== undefined) checkLength(ContentLength, maxBytes, what);
      if (!(Body instanceof Readable)) throw new TypeError('the SDK gave a body that is no Node stream');
      return readBody(Body, range ? range.end - range.start : ContentLength, maxBytes, what, into);
    });
  }

  async stat(key: string, signal?: AbortSignal): Promise<ObjectFacts | undefined> {
    const what = this.nameOf(key);
    try {
      return await this.#ask(what, { signal }, async (abortSignal) => {
        const mode = this.tellsChecksums ? { ChecksumMode: 'ENABLED' as const } : {};
        const command = new HeadObjectCommand({ ...this.#object(key), ...mode });
        const head = await this.#client.send(command, { abortSignal });
        const sha256 = digestTold(head.ChecksumSHA256);
        const facts = factsOf(key, head.ContentLength, head.LastModified, what);
        return sha256 === undefined ? facts : { ...facts, sha256 };
      });
    } catch (thrown) {
      if (!hasCode(thrown, 'store.missing')) throw thrown;
      await this.#checkBucket(signal);
      return undefined;
    }
  }

  /** @throws {ZkeepError} `failed` when the store lists out of order or breaks off without a way to go on. */
  async *list(prefix: string, signal?: AbortSignal, after?: string): AsyncGenerator<ObjectFacts> {
    checkKeyPrefix(prefix);
    let last = '';
    let token: string | undefined;
    do {
      const page = await this.#page({ prefix, token, after }, signal);
      for (const { Key = '', Size, LastModified } of page.Contents ?? []) {
        const key = Key.slice(this.#prefix.length);
        if (!isKey(key)) continue; // Not ours, such as the folder markers of a console.
        if (key <= last) throw badListing(this.location, `${key} after ${last}`);
        last = key;
        // Where a store does not know StartAfter, it tells of all.
        if (after !== undefined && key <= after) continue;
        yield factsOf(key, Size, LastModified, this.nameOf(key));
      }
      token = page.NextContinuationToken;
      // An answer that is no listing must not pass for an empty one.
      if (page.IsTruncated === undefined) throw badListing(this.location, 'it is no listing');
      if (page.IsTruncated && !token) throw badListing(this.location, 'it breaks off');
    } while (token);
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    const what = this.nameOf(key);
    try {
      await this.#ask(what, { signal }, (abortSignal) =>
        this.#client.send(new DeleteObjectCommand(this.#object(key)), { abortSignal }),
      );
    } catch (thrown) {
      if (!hasCode(thrown, 'store.missing')) throw thrown;
    }
  }

  async probe(signal?: AbortSignal): Promise<StoreAbilities> {
    const abilities = await probeStore(this, (key, body, options) => this.#send(key, body, options), signal);
    this.#abilities = Promise.resolve(abilities);
    return abilities;
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  /** What the store can do, as it was configured or as `probe` finds out, once for all who ask. */
  async abilities(): Promise<StoreAbilities> {
    this.#abilities ??= this.probe().catch((thrown) => {
      this.#abilities = undefined;
      throw thrown;
    });
    return this.#abilities;
  }

  /** What signs requests to this bucket, and where they go. */
  async signing(): Promise<Signing> {
    return signingOf(this.#client, this.settings);
  }

  /** The name of an object within the bucket. */
  keyInBucket(key: string): string {
    return `${this.#prefix}${checkKey(key)}`;
  }

  /** The name of an object for people. */
  nameOf(key: string): string {
    return `s3://${this.settings.bucket}/${this.keyInBucket(key)}`;
  }

  #object(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.settings.bucket, Key: this.keyInBucket(key) };
  }

  /** One request, again while it fails in a passing way, its failure in the words of a store. */
  async #ask<T>(
    what: string,
    { signal, bytes = 0 }: Asked,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const once = async () => {
      try {
        return await withDeadline(timeFor(this.#timeouts.whole, bytes), signal, work);
      } catch (thrown) {
        throw explainThrown(thrown, what);
      }
    };
    try {
      const policy = { policy: this.#retries, clock: this.#clock, ...(signal ? { signal } : {}) };
      const answer = this.#patience
        ? await this.#patience.keep('store', once, { signal })
        : await retry(once, policy);
      this.#bucketSeen = true;
      return answer;
    } catch (thrown) {
      signal?.throwIfAborted(); // Whatever became of the reason, in a request or in a pause.
      throw thrown;
    }
  }

  /** Writes as it is told; the store decides. */
  async #send(
    key: string,
    body: Uint8Array,
    { sha256, ifAbsent = false, signal }: PutOptions,
  ): Promise<void> {
    const what = this.nameOf(key);
    const headers = putHeaders(this.settings, { sha256, ifAbsent });
    const input = { ...this.#object(key), Body: Buffer.from(body.buffer, body.byteOffset, body.byteLength) };
    await this.#ask(what, { signal, bytes: body.byteLength }, async (abortSignal) => {
      try {
        await this.#client.send(withHeaders(new PutObjectCommand(input), headers), { abortSignal });
      } catch (thrown) {
        throw blameTheWay(explainThrown(thrown, what), body, sha256);
      }
    });
  }

  async #holds(key: string, body: Uint8Array, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      // Read once more when it differs: a bit that flips on the way back makes no other object.
      for (let left = 2; left > 0; left--) {
        const stored = await this.get(key, { maxBytes: body.byteLength, ...(signal ? { signal } : {}) });
        if (stored.equals(body)) return true;
      }
      return false;
    } catch (thrown) {
      if (hasCode(thrown, 'store.too-large') || hasCode(thrown, 'store.missing')) return false;
      throw thrown;
    }
  }

  #page(
    { prefix, token, after }: { prefix: string; token: string | undefined; after: string | undefined },
    signal: AbortSignal | undefined,
  ): Promise<Page> {
    const command = new ListObjectsV2Command({
      Bucket: this.settings.bucket,
      Prefix: `${this.#prefix}${prefix}`,
      ...(token ? { ContinuationToken: token } : {}),
      // A token says by itself where it goes on.
      ...(after === undefined || token ? {} : { StartAfter: `${this.#prefix}${after}` }),
    });
    return this.#ask(this.location, { signal }, (abortSignal) => this.#client.send(command, { abortSignal }));
  }

  /** The answer to HEAD has no body that tells a missing bucket from a missing object. */
  async #checkBucket(signal: AbortSignal | undefined): Promise<void> {
    if (this.#bucketSeen) return;
    const command = new HeadBucketCommand({ Bucket: this.settings.bucket });
    try {
      await this.#ask(this.location, { signal }, (abortSignal) =>
        this.#client.send(command, { abortSignal }),
      );
    } catch (thrown) {
      if (hasCode(thrown, 'store.missing'))
        throw explainRefusal({ status: 404, code: 'NoSuchBucket', message: '' }, this.location, thrown);
      if (!(thrown instanceof ZkeepError) || thrown.kind !== 'denied') throw thrown;
    }
  }
}

type Page = ListObjectsV2CommandOutput;

interface Asked {
  readonly signal: AbortSignal | undefined;
  /** Of the body, either way, at most. */
  readonly bytes?: number;
}

function factsOf(
  key: string,
  size: number | undefined,
  modified: Date | undefined,
  what: string,
): ObjectFacts {
  if (size === undefined || modified === undefined) throw badListing(what, 'size or time is not told');
  return { key, size, modified: modified.getTime() };
}

/** A checksum as `x-amz-checksum-sha256` has it; that of an object in parts is none of its bytes. */
function digestTold(base64: string | undefined): Digest | undefined {
  const bytes = Buffer.from(base64 ?? '', 'base64');
  return bytes.length === 32 && !base64?.includes('-') ? parseDigest(bytes.toString('hex')) : undefined;
}

function hasCode(thrown: unknown, code: string): boolean {
  return thrown instanceof ZkeepError && thrown.code === code;
}

function badListing(what: string, reason: string): ZkeepError {
  return new ZkeepError(
    'failed',
    'store.bad-listing',
    `what the store tells of ${what} cannot be right: ${reason}`,
    {
      advice: 'see STORES.md for what zkeep asks of a store',
    },
  );
}
