/**
 * Verification: is what the manifests promise really there. Light looks at every
 * object's size; deep reads every byte, hashes it, decodes it with one decoder
 * and a sample with a second one, and walks the stream record by record.
 */
import { messageOf, ZkeepError } from '../errors.ts';
import type { BackupId, Guid } from '../words.ts';
import type { Manifest } from './manifest.ts';
import { segmentKey } from './names.ts';
import type { ManifestName, Repository } from './repository.ts';
import { WorkerPool } from './segment/threads/pool.ts';
import { unpackStream } from './segment/unpack.ts';

/** One frame in so many is decoded by the second decoder too. */
const SECOND_OPINION = 64;

/** Something that is not as it must be. */
export interface Problem {
  /** `null` when no backup can be named: a damaged manifest. */
  readonly backup: BackupId | null;
  readonly code: string;
  readonly message: string;
}

/** What verification reads: a repository, or the service that stands before one. */
export type Verifiable = Pick<Repository, 'manifests' | 'manifest' | 'segment' | 'storedSizes'>;

/** What was looked at, and what was wrong. */
export interface VerifyReport {
  readonly backups: number;
  readonly segments: number;
  /** Stored bytes of those segments. */
  readonly bytes: number;
  readonly problems: readonly Problem[];
}

export interface VerifyOptions {
  readonly deep: boolean;
  /** Only backups of this dataset. */
  readonly dataset?: string;
  /** age identities, for a deep look into an encrypted repository. */
  readonly identities?: readonly string[];
  /** Told after each backup. */
  readonly onProgress?: (done: { backups: number; bytes: number }) => void;
  readonly signal?: AbortSignal;
}

/**
 * Verifies every backup of a repository. Problems are reported, not thrown;
 * only a store that does not answer at all ends it early.
 *
 * @example const { problems } = await verifyRepository(repository, { deep: true })
 */
export async function verifyRepository(
  repository: Verifiable,
  options: VerifyOptions,
): Promise<VerifyReport> {
  const pool = options.deep ? new WorkerPool() : undefined;
  const problems: Problem[] = [];
  const kept = new Set<Guid>();
  const bases: { backup: BackupId; from: Guid }[] = [];
  let [backups, segments, bytes] = [0, 0, 0];
  try {
    for await (const name of repository.manifests(options.signal)) {
      kept.add(name.to);
      const manifest = await readManifest(repository, name, problems, options.signal);
      if (!manifest || (options.dataset !== undefined && manifest.source.dataset !== options.dataset))
        continue;
      if (manifest.from) bases.push({ backup: manifest.backup, from: manifest.from.guid });
      problems.push(...(await verifyBackup(repository, manifest, { ...options, ...(pool ? { pool } : {}) })));
      backups += 1;
      segments += manifest.segments.length;
      bytes += manifest.segments.reduce((sum, segment) => sum + segment.stored, 0);
      options.onProgress?.({ backups, bytes });
    }
  } finally {
    await pool?.close();
  }
  for (const { backup, from } of bases) {
    if (!kept.has(from)) {
      const message = `its base, snapshot ${from}, is in no backup: it restores only onto a target that has it`;
      problems.push({ backup, code: 'verify.base-missing', message });
    }
  }
  return { backups, segments, bytes, problems };
}

/**
 * Verifies one backup.
 *
 * @throws {ZkeepError} only when the store does not answer (`unavailable`, `denied`).
 */
export async function verifyBackup(
  repository: Verifiable,
  manifest: Manifest,
  options: VerifyOptions & { readonly pool?: WorkerPool },
): Promise<Problem[]> {
  const problems = await missingObjects(repository, manifest, options.signal);
  if (problems.length === 0 && options.deep) {
    const problem = await problemOf(manifest.backup, () => walk(repository, manifest, options));
    if (problem) problems.push(problem);
  }
  return problems;
}

async function missingObjects(
  repository: Verifiable,
  manifest: Manifest,
  signal?: AbortSignal,
): Promise<Problem[]> {
  const sizes = await repository.storedSizes(manifest, signal);
  const problems: Problem[] = [];
  for (const [number, segment] of manifest.segments.entries()) {
    const key = segmentKey(manifest.backup, number, manifest.encryption !== null);
    const size = sizes.get(number);
    if (size === segment.stored) continue;
    const message = size === undefined ? `${key} is gone` : `${key} has ${size} bytes, not ${segment.stored}`;
    problems.push({
      backup: manifest.backup,
      code: size === undefined ? 'verify.gone' : 'verify.size',
      message,
    });
  }
  return problems;
}

async function walk(
  repository: Verifiable,
  manifest: Manifest,
  options: VerifyOptions & { readonly pool?: WorkerPool },
): Promise<void> {
  const raw = unpackStream(manifest, (number, signal) => repository.segment(manifest, number, signal), {
    identities: options.identities ?? [],
    secondOpinion: SECOND_OPINION,
    ...(options.pool ? { pool: options.pool } : {}),
    ...(options.signal ? { signal: options.signal } : {}),
  });
  for await (const _ of raw) {
    // Walking is the check: the reader inside throws at the first byte that is wrong.
  }
}

async function readManifest(
  repository: Verifiable,
  name: ManifestName,
  problems: Problem[],
  signal?: AbortSignal,
): Promise<Manifest | undefined> {
  let manifest: Manifest | undefined;
  const problem = await problemOf(name.backup, async () => {
    manifest = await repository.manifest(name.to, name.backup, signal);
  });
  if (problem) problems.push(problem);
  return manifest;
}

/** What is wrong with the bytes is a finding; that the store does not answer is not. */
async function problemOf(backup: BackupId, work: () => Promise<void>): Promise<Problem | undefined> {
  try {
    await work();
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError) || !['damaged', 'missing', 'refused'].includes(thrown.kind))
      throw thrown;
    return { backup, code: thrown.code, message: messageOf(thrown) };
  }
}
