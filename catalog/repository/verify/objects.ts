/** The light look: whether every object of a backup is there, with the size and, where the store tells it, the checksum that it must have. */
import type { Digest } from '../../words.ts';
import type { Manifest, Segment } from '../manifest.ts';
import { attributesKey, segmentKey } from '../names.ts';
import type { Repository } from '../repository.ts';
import type { ObjectStore } from '../store/store.ts';
import type { Problem } from './problem.ts';

/** What verification reads: a repository, or the service that stands before one. */
export type Verifiable = Pick<
  Repository,
  'manifests' | 'manifest' | 'segment' | 'storedSizes' | 'attributes' | 'isKept'
> & {
  /** Where objects can be looked at one by one; through the service they cannot. */
  readonly store?: Pick<ObjectStore, 'stat' | 'tellsChecksums'>;
};

/** What was found by it. */
export interface ObjectsSeen {
  readonly problems: readonly Problem[];
  /** Segments whose checksum the store itself told; of all others the size alone was compared. */
  readonly checksums: number;
}

/** Objects that are looked at at the same time. */
const AT_ONCE = 8;

/**
 * Looks at every object of a backup. What is not as it must be is looked at a second time.
 *
 * @throws {ZkeepError} when the store does not answer.
 */
export async function lookAtObjects(
  source: Verifiable,
  manifest: Manifest,
  signal?: AbortSignal,
): Promise<ObjectsSeen> {
  const sizes = await wrongSizes(source, manifest, signal);
  const { problems: sums, checksums } = await wrongChecksums(source, manifest, signal);
  const known = new Set(sizes.map(({ key }) => key));
  const others = [
    ...sums.filter(({ key }) => !known.has(key)),
    ...(await noAttributes(source, manifest, signal)),
  ];
  return { problems: [...sizes, ...others], checksums };
}

async function wrongSizes(source: Verifiable, manifest: Manifest, signal?: AbortSignal): Promise<Problem[]> {
  const problems = compareSizes(manifest, await source.storedSizes(manifest, signal));
  if (problems.length === 0) return problems;
  // A listing may lag behind, and a write may just have come in: once more.
  return compareSizes(manifest, await source.storedSizes(manifest, signal));
}

function compareSizes(manifest: Manifest, sizes: ReadonlyMap<number, number>): Problem[] {
  return manifest.segments.flatMap(({ stored }, number) => {
    const size = sizes.get(number);
    if (size === stored) return [];
    const key = keyOf(manifest, number);
    return size === undefined
      ? [damage(manifest, key, 'verify.gone', `${key} is gone`)]
      : [damage(manifest, key, 'verify.size', `${key} has ${size} bytes, not ${stored}`)];
  });
}

/** Of a store that keeps SHA-256 sums by itself: what it tells, object by object. */
async function wrongChecksums(
  { store }: Verifiable,
  manifest: Manifest,
  signal?: AbortSignal,
): Promise<ObjectsSeen> {
  if (store?.tellsChecksums !== true) return { problems: [], checksums: 0 };
  const problems: Problem[] = [];
  let checksums = 0;
  const look = async ({ sha256 }: Segment, number: number) => {
    const key = keyOf(manifest, number);
    const told = async (): Promise<Digest | undefined> => (await store.stat(key, signal))?.sha256;
    const found = await told();
    if (found === undefined) return;
    checksums += 1;
    if (found === sha256 || (await told()) === sha256) return;
    const message = `${key} is another object than was written: the store tells another SHA-256`;
    problems.push(damage(manifest, key, 'verify.checksum', message));
  };
  for (let at = 0; at < manifest.segments.length; at += AT_ONCE) {
    const some = manifest.segments.slice(at, at + AT_ONCE);
    await Promise.all(some.map((segment, index) => look(segment, at + index)));
  }
  problems.sort((one, other) => ((one.key ?? '') < (other.key ?? '') ? -1 : 1));
  return { problems, checksums };
}

/** Without its attributes a stream can still be restored. */
async function noAttributes(
  { store }: Verifiable,
  { backup, attributes }: Manifest,
  signal?: AbortSignal,
): Promise<Problem[]> {
  if (!store || attributes === null) return [];
  const key = attributesKey(attributes);
  if ((await store.stat(key, signal)) ?? (await store.stat(key, signal))) return [];
  const message = `${key} is gone: the snapshot can be restored, what was set on it is not known`;
  return [{ backup, key, code: 'verify.attributes', message, damage: false }];
}

function keyOf({ backup, encryption }: Manifest, number: number): string {
  return segmentKey(backup, number, encryption !== null);
}

function damage({ backup }: Manifest, key: string, code: string, message: string): Problem {
  return { backup, key, code, message, damage: true };
}
