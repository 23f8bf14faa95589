/**
 * Verification of a whole repository: is what the manifests promise really there.
 * `verify/examine.ts` says what is done to each backup, VERIFY.md what that proves.
 */
import { systemClock } from '../clock.ts';
import type { BackupId, Guid } from '../words.ts';
import type { ManifestName } from './repository.ts';
import { WorkerPool } from './segment/threads/pool.ts';
import { type Examined, examineBackup } from './verify/examine.ts';
import type { Verifiable } from './verify/objects.ts';
import type { Problem } from './verify/problem.ts';
import type { Walked } from './verify/walk.ts';

export type { Examined, Problem, Verifiable };

/** The share of the frames that the second decoder decodes too, where nothing else is said. */
const SECOND_DECODER = 0.01;

/** What was looked at, and what was wrong. */
export interface VerifyReport {
  readonly backups: number;
  readonly segments: number;
  /** Segments whose checksum the store itself told; of the others a light look compared the size. */
  readonly checksums: number;
  /** Stored bytes of those segments. */
  readonly bytes: number;
  /** Frames that the second decoder decoded as well. */
  readonly frames: number;
  readonly problems: readonly Problem[];
}

export interface VerifyOptions {
  readonly deep: boolean;
  /** Only backups of this dataset. */
  readonly dataset?: string;
  /** age identities, for a deep look into an encrypted repository. */
  readonly identities?: readonly string[];
  /** Told after each backup, and in between of a large one. */
  readonly onProgress?: (done: { backups: number; bytes: number }) => void;
  /** Told what became of each backup, before the next one. */
  readonly onExamined?: (examined: Examined) => Promise<void>;
  /** The backups to look at; absent: all. */
  readonly names?: AsyncIterable<ManifestName>;
  /** Keeps the place in a backup at which a deep look can go on. */
  readonly places?: Places;
  readonly signal?: AbortSignal;
}

/** Where a deep look stands that may be cut off. */
export interface Places {
  /** Where an earlier one stood in a backup. */
  read(backup: BackupId): (Walked & { readonly chance: number }) | undefined;
  keep(backup: BackupId, place: Walked & { readonly chance: number }): void;
  /** The look came to its end: the next one begins anew. */
  drop(backup: BackupId): void;
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
  const sums = { backups: 0, segments: 0, checksums: 0, bytes: 0, frames: 0 };
  try {
    for await (const name of options.names ?? repository.manifests(options.signal)) {
      kept.add(name.to);
      const examined = await examineBackup(repository, name, examining(options, name.backup, pool, sums));
      if (!examined) continue;
      options.places?.drop(name.backup);
      const { manifest } = examined;
      problems.push(...examined.problems);
      sums.backups += manifest ? 1 : 0;
      sums.segments += manifest?.segments.length ?? 0;
      sums.bytes += manifest?.segments.reduce((sum, { stored }) => sum + stored, 0) ?? 0;
      sums.checksums += examined.checksums;
      sums.frames += examined.frames;
      if (manifest?.from) bases.push({ backup: name.backup, from: manifest.from.guid });
      await options.onExamined?.(examined);
      options.onProgress?.(sums);
    }
  } finally {
    await pool?.close();
  }
  return { ...sums, problems: [...problems, ...(await gaps(repository, bases, kept, options.signal))] };
}

function examining(
  { dataset, identities = [], places, onProgress, signal }: VerifyOptions,
  backup: BackupId,
  pool: WorkerPool | undefined,
  sums: { readonly backups: number; readonly bytes: number },
) {
  const wanted =
    dataset === undefined
      ? undefined
      : ({ source }: { source: { dataset: string } }) => source.dataset === dataset;
  if (!pool) return { wanted, signal };
  const from = places?.read(backup);
  const chance = from?.chance ?? systemClock.random();
  let read = 0;
  const onRead = (bytes: number) => {
    read += bytes;
    onProgress?.({ backups: sums.backups, bytes: sums.bytes + read });
  };
  const onStretch = (walked: Walked) => places?.keep(backup, { ...walked, chance });
  const deep = { pool, identities, secondDecoder: SECOND_DECODER, chance, from, onRead, onStretch };
  return { wanted, deep, signal };
}

/** Backups whose base no backup leads to. */
async function gaps(
  repository: Verifiable,
  bases: readonly { readonly backup: BackupId; readonly from: Guid }[],
  kept: ReadonlySet<Guid>,
  signal: AbortSignal | undefined,
): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const { backup, from } of bases) {
    if (kept.has(from) || (await repository.isKept(from, signal))) continue;
    const message = `its base, snapshot ${from}, is in no backup: it restores only onto a target that has it`;
    problems.push({ backup, key: null, code: 'verify.base-missing', message, damage: false });
  }
  return problems;
}
