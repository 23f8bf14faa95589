/** The examination of one backup: what verification does to it, wherever it runs and however deep. */
import { ZkeepError } from '../../errors.ts';
import type { BackupId, Guid } from '../../words.ts';
import type { Manifest } from '../manifest.ts';
import { manifestKey } from '../names.ts';
import type { WorkerPool } from '../segment/threads/pool.ts';
import { lookAtObjects, type Verifiable } from './objects.ts';
import { type BackupDamage, type Depth, damageOf, isDamage, type Problem, problemOf } from './problem.ts';
import { type Walked, walkBackup } from './walk.ts';

/** How one backup is examined. */
export interface Examining {
  /** Whether it is one of those that are to be examined, as only its manifest tells. */
  readonly wanted?: ((manifest: Manifest) => boolean) | undefined;
  /** What a deep look needs; absent: a light one. */
  readonly deep?: Deep | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Deep {
  readonly pool: WorkerPool;
  /** age identities, for an encrypted backup. */
  readonly identities: readonly string[];
  /** The share of its frames, 0 to 1, that the second decoder is to decode as well. */
  readonly secondDecoder: number;
  /** In [0, 1): chooses which frames these are; the same one must go with {@link Deep.from}. */
  readonly chance: number;
  /** Where an examination of before came to. */
  readonly from?: Walked | undefined;
  /** Told of stored bytes that were read. */
  readonly onRead?: ((bytes: number) => void) | undefined;
  /** Told of the place from which a later examination can go on. */
  readonly onStretch?: ((walked: Walked) => void) | undefined;
  /** Asked every few hundred MiB; `false` ends it there. */
  readonly mayGoOn?: (() => boolean) | undefined;
}

/** That a backup is whole, as an entry of the journal has it. */
export interface BackupProof {
  readonly backup: BackupId;
  readonly depth: Depth;
  /** Stored bytes that were read. */
  readonly bytes: number;
  /** Frames that the second decoder decoded as well. */
  readonly frames: number;
  /** Segments whose checksum the store itself told, and that agreed; of the others a light look compares the size. */
  readonly checksums: number;
}

/** What became of it. Neither proof nor damage: it was not looked at to the end. */
export interface Examined {
  readonly backup: BackupId;
  /** `undefined`: the manifest itself cannot be read. */
  readonly manifest: Manifest | undefined;
  /** Also those that keep nobody from restoring the stream, so that it is proven all the same. */
  readonly problems: readonly Problem[];
  readonly checksums: number;
  readonly frames: number;
  readonly proof: BackupProof | null;
  readonly damage: BackupDamage | null;
}

/**
 * Examines a backup, from its manifest on. What is wrong is looked at a second time before it is
 * told; a backup of which objects are missing is not walked.
 *
 * @returns `undefined` for one that is not wanted.
 * @throws {ZkeepError} when the store does not answer, or no identity opens it: that says nothing about the backup.
 * @example const { proof, damage } = await examineBackup(repository, { backup, to }, { deep: undefined })
 */
export async function examineBackup(
  source: Verifiable,
  { backup, to }: { readonly backup: BackupId; readonly to: Guid },
  examining: Examining,
): Promise<Examined | undefined> {
  const { wanted, signal } = examining;
  const read = () => source.manifest(to, backup, signal);
  let manifest: Manifest;
  try {
    manifest = await read().catch(async (thrown) => {
      if (!isDamage(thrown)) throw thrown;
      return await read();
    });
  } catch (thrown) {
    signal?.throwIfAborted();
    const problems = [problemOf(thrown, backup, manifestKey(to, backup))];
    const damage = damageOf(backup, 'light', problems);
    return { backup, manifest: undefined, problems, checksums: 0, frames: 0, proof: null, damage };
  }
  return wanted?.(manifest) === false ? undefined : await examine(source, manifest, examining);
}

async function examine(
  source: Verifiable,
  manifest: Manifest,
  { deep, signal }: Examining,
): Promise<Examined> {
  const { backup } = manifest;
  const { problems, checksums } = await lookAtObjects(source, manifest, signal);
  const seen = { backup, manifest, checksums };
  const lacking = damageOf(backup, 'light', problems);
  if (lacking) return { ...seen, problems, frames: 0, proof: null, damage: lacking };
  if (!deep) {
    const proof: BackupProof = { backup, depth: 'light', bytes: 0, frames: 0, checksums };
    return { ...seen, problems, frames: 0, proof, damage: null };
  }
  const every = deep.secondDecoder > 0 ? Math.max(1, Math.round(1 / deep.secondDecoder)) : 0;
  const walk = await walkBackup(source, manifest, {
    ...deep,
    secondOpinion: every,
    secondPhase: Math.floor(deep.chance * every),
    signal,
  });
  const { frames } = walk.walked;
  const all = [...problems, ...walk.problems, ...(await readAttributes(source, manifest, problems, signal))];
  const bytes = manifest.segments.reduce((sum, { stored }) => sum + stored, 0);
  const whole = walk.ended && walk.problems.length === 0;
  const proof: BackupProof = { backup, depth: 'deep', bytes, frames, checksums };
  return {
    ...seen,
    problems: all,
    frames,
    proof: whole ? proof : null,
    damage: damageOf(backup, 'deep', all),
  };
}

/** Attributes that cannot be read keep nobody from restoring the stream. */
async function readAttributes(
  source: Verifiable,
  { backup, attributes }: Manifest,
  known: readonly Problem[],
  signal?: AbortSignal,
): Promise<Problem[]> {
  if (attributes === null || known.some(({ code }) => code === 'verify.attributes')) return [];
  try {
    await source.attributes(attributes, signal).catch(async (thrown) => {
      if (!(thrown instanceof ZkeepError) || thrown.kind !== 'damaged') throw thrown;
      await source.attributes(attributes, signal);
    });
    return [];
  } catch (thrown) {
    signal?.throwIfAborted();
    return [{ ...problemOf(thrown, backup, null), damage: false }];
  }
}
