/** Made manifests for the tests of this room, and a bucket that holds them. */
import fc from 'fast-check';
import type { Attributes } from '../../../catalog/attributes/attributes.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { ManifestName } from '../../../catalog/index/inventory.ts';
import type { ManifestSource } from '../../../catalog/index/refresh.ts';
import { buildManifest, type Manifest } from '../../../catalog/repository/manifest.ts';
import { attributesKey, manifestKey } from '../../../catalog/repository/names.ts';
import { StreamReader } from '../../../catalog/stream/reader.ts';
import {
  type BackupId,
  type Digest,
  type Guid,
  guidOf,
  newUuid7,
  parseBackupId,
  parseDigest,
  parseGuid,
} from '../../../catalog/words.ts';

const FIRST = 1_700_000_000;
/** The reader's state at the first byte of any stream. */
const START = new StreamReader().save();

export function guid(number: number): Guid {
  return guidOf(BigInt(number));
}

/** Ids in the order of their numbers. */
export function backupId(number: number): BackupId {
  return parseBackupId(newUuid7(FIRST * 1000 + number, new Uint8Array(10)));
}

/** What differs between made backups. */
export interface Draft {
  readonly number: number;
  /** Snapshots are numbers; `null`: a full backup. */
  readonly from: number | null;
  readonly to: number;
  readonly stored?: number;
  readonly raw?: boolean;
  readonly large_blocks?: boolean;
  readonly host?: string;
  readonly dataset?: string;
  /** Number of the dataset's own GUID; `null`: it is not told. */
  readonly own?: number | null;
  readonly name?: string;
  /** Seconds since 1970; by default a minute after the snapshot of the number before. */
  readonly created?: number;
  /** Number that orders the commits; by default that of the backup. */
  readonly committed?: number;
  readonly set?: number;
  /** Number of the attribute manifest; see {@link attributesOf}. */
  readonly attributes?: number | null;
}

/** The manifest of a backup with one segment. */
export function manifestOf(draft: Draft): Manifest {
  const { number, from, to, stored = 100, host = 'alpha', dataset = 'tank/fs', name = `s${to}` } = draft;
  const features = (draft.raw ? 1 << 24 : 0) | (draft.large_blocks ? 1 << 19 : 0) | 4;
  const [bytes, zeros] = [stored * 2 + 1, '0'.repeat(64)];
  const moment = new Date((FIRST + (draft.committed ?? number)) * 1000).toISOString();
  const begin = {
    order: 'little' as const,
    type: 2,
    flags: 4,
    features: features.toString(16),
    toGuid: guid(to),
    fromGuid: from === null ? null : guid(from),
    toName: `${dataset}@${name}`,
    created: draft.created ?? FIRST + to * 60,
    payload: 0,
  };
  return buildManifest({
    backup: backupId(number),
    created: moment,
    committed: moment,
    set: draft.set === undefined ? null : (backupId(draft.set) as string as NonNullable<Manifest['set']>),
    source: { host, dataset, ...guidsOf(draft), zfs: null },
    from: from === null ? null : { guid: guid(from), name: `s${from}` },
    to: { guid: guid(to), name },
    stream: { begin, bytes, records: { BEGIN: 1, END: 1 }, checksum: zeros },
    send_flags: ['-L', '-c'],
    compression: { method: 'zstd', level: 3, frame: 1 << 20 },
    encryption: null,
    attributes: typeof draft.attributes !== 'number' ? null : digestOf(draft.attributes),
    segments: [
      {
        offset: 0,
        size: bytes,
        stored,
        sha256: zeros as Manifest['segments'][0]['sha256'],
        state: START,
        entry: null,
      },
    ],
  });
}

/** An older zkeep told the pool at most. */
function guidsOf({ own }: Draft): Pick<Manifest['source'], 'pool_guid' | 'dataset_guid'> {
  if (own === undefined) return { pool_guid: null };
  return { pool_guid: guid(900), ...(own === null ? {} : { dataset_guid: guid(own) }) };
}

/** Up to a dozen backups over few snapshots, datasets and hosts: circles, twins, several lineages, equal costs. */
export const drafts = fc
  .array(
    fc.record({
      from: fc.option(fc.integer({ min: 1, max: 8 }), { nil: null, freq: 3 }),
      to: fc.integer({ min: 1, max: 8 }),
      stored: fc.integer({ min: 0, max: 4 }),
      raw: fc.constantFrom(false, false, false, true),
      large_blocks: fc.constantFrom(false, false, true),
      host: fc.constantFrom('alpha', 'alpha', 'beta'),
      dataset: fc.constantFrom('tank/fs', 'tank/fs', 'tank/other'),
      own: fc.constantFrom(null, 901, 901, 902),
      name: fc.constantFrom('a', 'b', 'c'),
      created: fc.integer({ min: 1, max: 5 }),
      committed: fc.integer({ min: 1, max: 20 }),
      attributes: fc.option(fc.integer({ min: 0, max: 11 }), { nil: null, freq: 5 }),
    }),
    { maxLength: 12 },
  )
  .map((all) => all.map((draft, number): Draft => ({ ...draft, number })));

/** The digest under which the bucket has an attribute manifest. */
export function digestOf(number: number): Digest {
  return parseDigest(number.toString(16).padStart(64, '0'));
}

/** Attribute manifests by number: 0 and 6, 1 and 7, 2 and 8 say the same; nothing could be made of number 3. */
export function attributesOf(number: number): Attributes {
  const dataset = 'tank/fs';
  const property = (value: string) => ({ value, source: 'local' as const });
  const properties = {
    recordsize: property(String(131072 << (number % 3))),
    compression: property(number % 2 === 0 ? 'lz4' : 'zstd'),
    ...(number > 8 ? { 'org:note': property('a "note"\n') } : {}),
  };
  const objects = [{ name: dataset, kind: 'filesystem' as const, properties }];
  return {
    format: 1,
    dataset,
    outputs: [],
    parsed: number === 3 ? null : { objects, pool: null, host: null },
  };
}

/** The items in an order that chance gives. */
export function shuffled<T>(items: readonly T[], chance: fc.Stream<number>): T[] {
  return items
    .map((item) => ({ item, at: chance.next().value ?? 0 }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

/** A bucket of manifests, whose objects can be spoilt. */
export class Bucket implements ManifestSource {
  readonly objects = new Map<string, Manifest | ZkeepError>();
  /** Told before each read. */
  onRead: (key: string) => unknown = () => undefined;
  reading = 0;
  mostAtOnce = 0;
  /** In the order of the reads. */
  readonly attributesRead: Digest[] = [];
  readonly spoiltAttributes = new Map<Digest, ZkeepError>();

  constructor(manifests: readonly Manifest[] = []) {
    for (const manifest of manifests) this.put(manifest);
  }

  put(manifest: Manifest): void {
    this.objects.set(manifestKey(manifest.to.guid, manifest.backup), manifest);
  }

  spoil({ to, backup }: Pick<Manifest, 'to' | 'backup'>, error: ZkeepError): void {
    this.objects.set(manifestKey(to.guid, backup), error);
  }

  drop({ to, backup }: Pick<Manifest, 'to' | 'backup'>): void {
    this.objects.delete(manifestKey(to.guid, backup));
  }

  async *manifests(): AsyncGenerator<ManifestName> {
    for (const key of [...this.objects.keys()].sort()) {
      const [, to = '', name = ''] = key.split('/');
      yield { key, to: parseGuid(to), backup: parseBackupId(name.replace('.json', '')) };
    }
  }

  async attributes(digest: Digest): Promise<Attributes> {
    this.attributesRead.push(digest);
    return await this.#read(attributesKey(digest), () => {
      return this.spoiltAttributes.get(digest) ?? attributesOf(Number.parseInt(digest, 16));
    });
  }

  async manifest(to: Guid, backup: BackupId): Promise<Manifest> {
    const key = manifestKey(to, backup);
    return await this.#read(key, () => this.objects.get(key));
  }

  async #read<T>(key: string, find: () => T | ZkeepError | undefined): Promise<T> {
    this.reading += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.reading);
    try {
      await this.onRead(key);
      await new Promise((resolve) => setImmediate(resolve));
      const object = find() ?? new ZkeepError('missing', 'store.none', `there is no ${key}`);
      if (object instanceof ZkeepError) throw object;
      return object;
    } finally {
      this.reading -= 1;
    }
  }
}
