/** Bringing the index up to date with the bucket, or making it anew from the bucket alone. */
import { setImmediate } from 'node:timers/promises';
import { ZkeepError } from '../errors.ts';
import type { Manifest } from '../repository/manifest.ts';
import { manifestKey } from '../repository/names.ts';
import type { BackupId, Guid } from '../words.ts';
import type { CatalogIndex } from './catalog-index.ts';
import { inBatches, inOrder } from './in-order.ts';
import type { Inventory, ManifestName, UnlistedBackup } from './inventory.ts';
import { type AttributesSource, readAttributes } from './read-attributes.ts';
import { backupOf, type KeptBackup } from './tables/backup.ts';

/** Where manifests are read from: the repository. */
export interface ManifestSource extends AttributesSource {
  /** The manifests that are there, by a listing alone. */
  manifests(signal?: AbortSignal): AsyncIterable<ManifestName>;
  /** Reads one. Throws `damaged` or `refused` when it cannot be used, `missing` when it is gone. */
  manifest(to: Guid, backup: BackupId, signal?: AbortSignal): Promise<Manifest>;
}

/** How far it is. */
export interface RefreshProgress {
  /** Manifests that the bucket lists. */
  readonly listed: number;
  /** Manifests read. */
  readonly read: number;
  readonly added: number;
  readonly removed: number;
  /** Attribute manifests read. */
  readonly attributes: number;
  readonly problems: number;
}

/** A manifest, or an attribute manifest, that could not be taken in. The next refresh tries it again. */
export interface RefreshProblem {
  readonly key: string;
  readonly error: ZkeepError;
}

/** What was done. */
export interface RefreshReport extends Omit<RefreshProgress, 'problems'> {
  readonly problems: readonly RefreshProblem[];
}

export interface RefreshOptions {
  /** Told after each step. */
  readonly onProgress?: (progress: RefreshProgress) => void;
  readonly signal?: AbortSignal;
  /** Manifests read at once. */
  readonly concurrency?: number;
  /** `false`: attribute manifests are left unread; {@link readAttributes} can read them later. */
  readonly attributes?: boolean;
}

/** Names noted, and manifests added, in one transaction. */
const LISTED_AT_ONCE = 1000;
const BATCH = 500;
const CONCURRENCY = 16;

/**
 * Takes in what the bucket has and the index lacks, and drops what is gone. The
 * index answers meanwhile, and may be added to.
 *
 * @throws {ZkeepError} `busy` when one is running; `unavailable`, `denied` and the like when the store does
 *   not answer. What was taken in until then stays.
 */
export async function refresh(
  source: ManifestSource,
  index: CatalogIndex,
  options: RefreshOptions = {},
): Promise<RefreshReport> {
  const inventory = index.inventory();
  try {
    return await compare(source, inventory, new Run(index, options), options);
  } finally {
    inventory.close();
  }
}

/**
 * Makes the index anew from the bucket alone. Until it is done the index knows
 * only what was read so far.
 *
 * @throws as {@link refresh}.
 */
export async function rebuild(
  source: ManifestSource,
  index: CatalogIndex,
  options: RefreshOptions = {},
): Promise<RefreshReport> {
  index.clear();
  return await refresh(source, index, options);
}

async function compare(
  source: ManifestSource,
  inventory: Inventory,
  run: Run,
  { signal, concurrency = CONCURRENCY, attributes = true }: RefreshOptions,
): Promise<RefreshReport> {
  for await (const names of inBatches(source.manifests(signal), LISTED_AT_ONCE)) {
    inventory.note(names);
    run.listed(names.length);
  }
  for (const backups of inventory.gone()) {
    run.drop(await gone(source, inventory, backups, { signal, concurrency }));
    await setImmediate();
  }
  const found = inOrder(inventory.lacking(), (name) => readManifest(source, name, signal), concurrency);
  for await (const batch of inBatches(found, BATCH)) run.take(batch);
  if (attributes) await run.readAttributes(source);
  return run.report();
}

/**
 * Those that are not in the bucket. That a listing lacks one is not enough: it may be late, or end early, and
 * what hangs on others is told by what is known. What the journal says was removed is not looked for.
 */
async function gone(
  source: ManifestSource,
  inventory: Inventory,
  backups: readonly UnlistedBackup[],
  {
    signal,
    concurrency = CONCURRENCY,
  }: Pick<RefreshOptions, 'concurrency'> & { signal?: AbortSignal | undefined },
): Promise<BackupId[]> {
  const removed = backups.filter(({ backup }) => inventory.wasRemoved(backup));
  const others = backups.filter(({ backup }) => !inventory.wasRemoved(backup));
  const found = removed.map(({ backup }) => backup);
  const looks = inOrder(
    others,
    async (one) => ({ one, there: await isThere(source, one, signal) }),
    concurrency,
  );
  for await (const { one, there } of looks) {
    if (there instanceof Failure) throw there.thrown;
    if (!there) found.push(one.backup);
  }
  return found;
}

class Failure {
  readonly thrown: unknown;

  constructor(thrown: unknown) {
    this.thrown = thrown;
  }
}

/** Never rejects, so that looks ahead of the one awaited may fail in peace. */
async function isThere(
  source: ManifestSource,
  { to, backup }: UnlistedBackup,
  signal?: AbortSignal,
): Promise<boolean | Failure> {
  try {
    await source.manifest(to, backup, signal);
    return true;
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError)) return new Failure(thrown);
    if (thrown.kind === 'missing') return false;
    return thrown.kind === 'damaged' || thrown.kind === 'refused' ? true : new Failure(thrown);
  }
}

/** What became of a manifest: kept, a problem, or gone since it was listed. */
interface Reading {
  readonly key: string;
  readonly backup?: KeptBackup;
  readonly error?: unknown;
}

/** One refresh and its counts. */
class Run {
  readonly #index: CatalogIndex;
  readonly #options: RefreshOptions;
  readonly #counts = { listed: 0, read: 0, added: 0, removed: 0, attributes: 0 };
  readonly #problems: RefreshProblem[] = [];

  constructor(index: CatalogIndex, options: RefreshOptions) {
    this.#index = index;
    this.#options = options;
  }

  listed(count: number): void {
    this.#counts.listed += count;
    this.#tell();
  }

  drop(backups: readonly BackupId[]): void {
    if (backups.length === 0) return;
    this.#counts.removed += this.#index.remove(backups);
    this.#tell();
  }

  take(readings: readonly Reading[]): void {
    for (const { key, error } of readings) if (error !== undefined) this.#meet(key, error);
    const kept = readings.flatMap(({ backup }) => backup ?? []);
    this.#counts.read += readings.length;
    this.#counts.added += this.#index.addAll(kept, ({ to, backup }, error) => {
      this.#meet(manifestKey(to, backup), error);
    });
    this.#tell();
  }

  async readAttributes(source: AttributesSource): Promise<void> {
    const { signal, concurrency } = this.#options;
    const onRead = (count: number, problems: readonly RefreshProblem[]) => {
      this.#counts.attributes += count;
      this.#problems.push(...problems);
      this.#tell();
    };
    await readAttributes(source, this.#index, { onRead, signal, concurrency });
  }

  report(): RefreshReport {
    return { ...this.#counts, problems: this.#problems };
  }

  /** What is wrong with the bytes is reported; that the store does not answer, and all else, ends the run. */
  #meet(key: string, error: unknown): void {
    if (!(error instanceof ZkeepError)) throw error;
    if (error.kind === 'missing') return;
    if (error.kind !== 'damaged' && error.kind !== 'refused') throw error;
    this.#problems.push({ key, error });
  }

  #tell(): void {
    this.#options.onProgress?.({ ...this.#counts, problems: this.#problems.length });
    this.#options.signal?.throwIfAborted();
  }
}

/** Never rejects, so that readings ahead of the one awaited may fail in peace. */
async function readManifest(
  source: ManifestSource,
  name: ManifestName,
  signal?: AbortSignal,
): Promise<Reading> {
  try {
    const manifest = await source.manifest(name.to, name.backup, signal);
    if (manifest.backup !== name.backup || manifest.to.guid !== name.to) throw misplaced(name);
    return { key: name.key, backup: backupOf(manifest) };
  } catch (error) {
    return { key: name.key, error };
  }
}

function misplaced({ key }: ManifestName): ZkeepError {
  return new ZkeepError('damaged', 'index.misplaced', `the manifest at ${key} is another backup's`, {
    advice: 'somebody copied or renamed it in the bucket; put it back where its "to" and "backup" say',
    facts: { key },
  });
}
