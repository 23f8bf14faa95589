/**
 * The outside world of the repository: a flat space of immutable objects.
 * Everything above knows only this interface; `directory-store.ts` and
 * `s3-store.ts` implement it, and one suite of tests holds both to the words below.
 */
import type { Digest } from '../../words.ts';

/** What a listing or a look at one object tells. */
export interface ObjectFacts {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** When the store says it was written, milliseconds since 1970. */
  readonly modified: number;
  /** Of a look at one object, where the store keeps it and tells it: its SHA-256. */
  readonly sha256?: Digest;
}

/** How an object is written. */
export interface PutOptions {
  /** SHA-256 of the body. The store must refuse a body that does not match. */
  readonly sha256: Digest;
  /** Write only if the key is free. */
  readonly ifAbsent?: boolean;
  readonly signal?: AbortSignal;
}

/** How an object is read. */
export interface GetOptions {
  /** Only these bytes: from `start` (inclusive) to `end` (exclusive). */
  readonly range?: { readonly start: number; readonly end: number };
  /** More than this many bytes is an error, not an allocation. */
  readonly maxBytes: number;
  /**
   * Memory, also shared, in which what is given lies, where it has room: what is used again need not be
   * made and collected. Nobody may read it before the answer, or after a failure take it for anything.
   */
  readonly into?: Uint8Array | undefined;
  readonly signal?: AbortSignal;
}

/** What was found out about a store by trying (`probe`), because silence is no support. */
export interface StoreAbilities {
  /** `ifAbsent` is decided by the store itself; otherwise by a look before the write. */
  readonly conditionalPut: boolean;
  /** A body that does not match its signed SHA-256 is refused by the store. */
  readonly checksOnPut: boolean;
}

/**
 * A store of objects. Keys are relative to the repository's prefix, in ASCII
 * letters, digits and `-_./` (`key.ts`); no key may be the folder of another
 * (`a` and `a/b`). All failures are {@link ZkeepError}s: `missing`
 * (no such object), `refused` (key taken, with code `store.exists`), `damaged`
 * (body does not match its digest or length), `denied`, `full`, `unavailable`
 * (passing; already retried within the store's own policy).
 */
export interface ObjectStore {
  /** Where it is, for people: `s3://bucket/prefix` or a folder. Holds no secret. */
  readonly location: string;

  /** Whether `stat` may tell the SHA-256 of an object that was written with it, because the store keeps it. */
  readonly tellsChecksums: boolean;

  /**
   * Writes one whole object. When it resolves, the object is durable and equal
   * to `body`; when it rejects, the object is either whole or not there. May be
   * called twice: with `ifAbsent`, a key that holds the very same bytes already
   * is success, one that holds others is `refused` with code `store.exists`.
   */
  put(key: string, body: Uint8Array, options: PutOptions): Promise<void>;

  /** Reads one object, or a range of it. Throws `missing` when there is none, `damaged` when it is short. */
  get(key: string, options: GetOptions): Promise<Buffer>;

  /** Looks at one object; `undefined` when there is none. */
  stat(key: string, signal?: AbortSignal): Promise<ObjectFacts | undefined>;

  /**
   * All objects whose key starts with `prefix`, in the order of their keys (by UTF-8 byte), a page at a time;
   * with `after` only those whose key is greater than that.
   */
  list(prefix: string, signal?: AbortSignal, after?: string): AsyncIterable<ObjectFacts>;

  /** Removes one object. No error when there is none. */
  delete(key: string, signal?: AbortSignal): Promise<void>;

  /** Finds out what this store can do, with a small object under `probe/` that is removed again. */
  probe(signal?: AbortSignal): Promise<StoreAbilities>;

  /** Frees sockets and handles. */
  close(): Promise<void>;
}

/**
 * A request that somebody without credentials may send, once or several times,
 * until it expires: method, address and every header are signed.
 */
export interface Grant {
  readonly method: 'PUT' | 'GET';
  readonly url: string;
  /** To be sent exactly as they are. */
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since 1970 after which it is refused. */
  readonly expires: number;
}

/** Makes grants: for each exactly one object, and for writing one content. */
export interface Granter {
  /**
   * To write `key`, absent so far, with exactly this size (bytes) and SHA-256.
   *
   * @param options `again`: this very content was granted before, so the key may hold it already.
   */
  grantPut(key: string, size: number, sha256: Digest, options?: { readonly again?: boolean }): Promise<Grant>;
  /** To read `key`. */
  grantGet(key: string): Promise<Grant>;
}
