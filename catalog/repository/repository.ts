/**
 * The repository: what lies in the bucket, and nothing else. Opens or creates
 * it, reads and writes manifests, attribute manifests and segments.
 */
import { hash } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { type Attributes, MAX_ATTRIBUTES, parseAttributes } from '../attributes/attributes.ts';
import { systemClock } from '../clock.ts';
import { messageOf, ZkeepError } from '../errors.ts';
import { type BackupId, type Digest, type Guid, newUuid7, parseDigest } from '../words.ts';
import { type Manifest, parseManifest } from './manifest.ts';
import { FORMAT, leavingPage, type Marker, parseMarker } from './marker.ts';
import {
  ATTRIBUTES_PREFIX,
  attributesKey,
  BACKUPS_PREFIX,
  MARKER_KEY,
  manifestKey,
  README_KEY,
  readManifestKey,
  segmentKey,
  segmentsOf,
} from './names.ts';
import { checkRecipients } from './segment/age.ts';
import type { ObjectStore } from './store/store.ts';

/** A manifest of about a million segments; foreign bytes beyond are not read. */
const MAX_MANIFEST = 512 * 1024 * 1024;
const MAX_MARKER = 1024 * 1024;

/** A manifest as a listing of the bucket names it. */
export interface ManifestName {
  readonly key: string;
  readonly to: Guid;
  readonly backup: BackupId;
}

/**
 * Opens the repository that lies in a store.
 *
 * @throws {ZkeepError} `missing` with code `repository.none` when there is none;
 *   `refused` with code `repository.newer` when its format is newer than this zkeep.
 */
export async function openRepository(store: ObjectStore, signal?: AbortSignal): Promise<Repository> {
  let text: Buffer;
  try {
    text = await store.get(MARKER_KEY, { maxBytes: MAX_MARKER, ...(signal ? { signal } : {}) });
  } catch (cause) {
    if (!(cause instanceof ZkeepError) || cause.kind !== 'missing') throw cause;
    throw new ZkeepError('missing', 'repository.none', `there is no zkeep repository at ${store.location}`, {
      advice: 'check the place; zkeep-server creates one when it first starts with this store',
      facts: { location: store.location },
      cause,
    });
  }
  const marker = parseMarker(parseJson(text, MARKER_KEY));
  if (marker.format > FORMAT) {
    throw new ZkeepError('refused', 'repository.newer', `the repository has format ${marker.format}`, {
      advice: `this zkeep reads up to format ${FORMAT}: use a newer one`,
      facts: { location: store.location, format: marker.format },
    });
  }
  return new Repository(store, marker);
}

/**
 * Creates a repository: the page on leaving it first, the marker last and only if there is none.
 *
 * @throws {ZkeepError} `refused` with code `store.exists` when one is there already.
 */
export async function createRepository(
  store: ObjectStore,
  options: { readonly recipients: readonly string[]; readonly now?: number },
): Promise<Repository> {
  await checkRecipients(options.recipients);
  const now = options.now ?? systemClock.now();
  const marker: Marker = {
    id: newUuid7(now),
    format: FORMAT,
    created: new Date(now).toISOString(),
    recipients: [...options.recipients],
  };
  await put(store, README_KEY, Buffer.from(leavingPage(marker.recipients.length > 0)), false);
  await put(store, MARKER_KEY, encodeJson(marker), true);
  return new Repository(store, marker);
}

/** An opened repository. All methods throw the errors of {@link ObjectStore}. */
export class Repository {
  readonly store: ObjectStore;
  readonly marker: Marker;

  constructor(store: ObjectStore, marker: Marker) {
    this.store = store;
    this.marker = marker;
  }

  /** Writes a manifest, which makes the backup one. Asked twice, it is written once. */
  async commit(manifest: Manifest): Promise<void> {
    const body = encodeJson(parseManifest(manifest));
    await put(this.store, manifestKey(manifest.to.guid, manifest.backup), body, true);
  }

  /**
   * Reads a manifest.
   *
   * @throws {ZkeepError} `missing`, or `damaged` when it is not what its key says.
   */
  async manifest(to: Guid, backup: BackupId, signal?: AbortSignal): Promise<Manifest> {
    const key = manifestKey(to, backup);
    const text = await this.store.get(key, { maxBytes: MAX_MANIFEST, ...(signal ? { signal } : {}) });
    const manifest = parseManifest(parseJson(text, key));
    if (manifest.backup !== backup || manifest.to.guid !== to) {
      throw new ZkeepError('damaged', 'manifest.misplaced', `the manifest at ${key} is another backup's`, {
        advice: 'somebody copied or renamed it in the bucket; put it back where its "to" and "backup" say',
        facts: { key, backup: manifest.backup, to: manifest.to.guid },
      });
    }
    return manifest;
  }

  /** The manifests that are there, by a listing alone. Objects under `backups/` of other names are left out. */
  async *manifests(signal?: AbortSignal): AsyncGenerator<ManifestName> {
    for await (const { key } of this.store.list(BACKUPS_PREFIX, signal)) {
      const name = readManifestKey(key);
      if (name) yield { key, ...name };
    }
  }

  /** Whether a backup leads to a snapshot. */
  async isKept(guid: Guid, signal?: AbortSignal): Promise<boolean> {
    for await (const { key } of this.store.list(`${BACKUPS_PREFIX}${guid}/`, signal)) {
      if (readManifestKey(key)) return true;
    }
    return false;
  }

  /** Stores an attribute manifest once per content; gives the digest of its canonical text. */
  async putAttributes(attributes: Attributes): Promise<Digest> {
    const text = Buffer.from(canonicalJson(attributes));
    if (text.length > MAX_ATTRIBUTES) {
      throw new ZkeepError('refused', 'attributes.large', `the attributes take ${text.length} bytes`, {
        advice: `at most ${MAX_ATTRIBUTES} are kept`,
        facts: { bytes: text.length },
      });
    }
    const digest = parseDigest(hash('sha256', text));
    const key = attributesKey(digest);
    if (await this.store.stat(key)) return digest;
    const body = await promisify(zstdCompress)(text, {
      params: { [constants.ZSTD_c_checksumFlag]: 1 },
      pledgedSrcSize: text.length,
    });
    await put(this.store, key, body, false);
    return digest;
  }

  /** Reads an attribute manifest and checks its digest. */
  async attributes(digest: Digest, signal?: AbortSignal): Promise<Attributes> {
    const key = attributesKey(digest);
    const body = await this.store.get(key, { maxBytes: MAX_ATTRIBUTES, ...(signal ? { signal } : {}) });
    let text: Buffer;
    try {
      text = await promisify(zstdDecompress)(body, { maxOutputLength: MAX_ATTRIBUTES });
    } catch (cause) {
      throw new ZkeepError('damaged', 'attributes.zstd', `${key} is not zstd`, { cause, facts: { key } });
    }
    if (hash('sha256', text) !== digest) {
      throw new ZkeepError('damaged', 'attributes.digest', `${key} is not what its name says`, {
        facts: { key },
      });
    }
    return parseAttributes(parseJson(text, key));
  }

  /** Digests of the attribute manifests that are there. */
  async *attributeDigests(signal?: AbortSignal): AsyncGenerator<Digest> {
    for await (const { key } of this.store.list(ATTRIBUTES_PREFIX, signal)) {
      const found = /^attributes\/([0-9a-f]{64})\.json\.zst$/.exec(key);
      if (found?.[1]) yield parseDigest(found[1]);
    }
  }

  /** The sizes, in bytes, of the segments that are there, by number; by a listing alone. */
  async storedSizes(manifest: Manifest, signal?: AbortSignal): Promise<ReadonlyMap<number, number>> {
    const found = new Map<string, number>();
    for await (const { key, size } of this.store.list(segmentsOf(manifest.backup), signal))
      found.set(key, size);
    const sizes = new Map<number, number>();
    for (const number of manifest.segments.keys()) {
      const size = found.get(segmentKey(manifest.backup, number, manifest.encryption !== null));
      if (size !== undefined) sizes.set(number, size);
    }
    return sizes;
  }

  /**
   * The stored bytes of segment `number` (from 0); whoever decodes them checks the digest.
   *
   * @param into memory that they may be put into, as `GetOptions.into`.
   */
  async segment(
    manifest: Manifest,
    number: number,
    signal?: AbortSignal,
    into?: Uint8Array,
  ): Promise<Uint8Array> {
    const segment = manifest.segments[number];
    if (!segment) {
      throw new ZkeepError('usage', 'segment.number', `backup ${manifest.backup} has no segment ${number}`);
    }
    const key = segmentKey(manifest.backup, number, manifest.encryption !== null);
    return await this.store.get(key, { maxBytes: segment.stored, into, ...(signal ? { signal } : {}) });
  }
}

/**
 * JSON text that depends on the content alone: keys sorted, no spaces.
 *
 * @example canonicalJson({ b: 1, a: 2 }) // '{"a":2,"b":1}'
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  );
}

async function put(store: ObjectStore, key: string, body: Buffer, ifAbsent: boolean): Promise<void> {
  await store.put(key, body, { sha256: parseDigest(hash('sha256', body)), ifAbsent });
}

function encodeJson(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}

function parseJson(text: Buffer, key: string): unknown {
  try {
    return JSON.parse(text.toString('utf8'));
  } catch (cause) {
    throw new ZkeepError('damaged', 'json.malformed', `${key} is not JSON: ${messageOf(cause)}`, {
      advice: 'it was not written by zkeep, or damaged since',
      facts: { key },
      cause,
    });
  }
}
