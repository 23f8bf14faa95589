/** The feature flags of BEGIN, and what they ask of a chain and of a receiver. */
import type { Begin } from './state.ts';

/** A flag of `drr_versioninfo`. */
interface Feature {
  /** Bit number above the two bits of the header type (OpenZFS `zfs_ioctl.h`). */
  readonly bit: number;
  /** The pool feature that a receiver must have enabled (`recv_begin_check_feature_flags_impl`). */
  readonly pool?: string;
}

/** Every flag that OpenZFS senders set. */
export const FEATURES = {
  DEDUP: { bit: 0 },
  DEDUPPROPS: { bit: 1 },
  SA_SPILL: { bit: 2 },
  EMBED_DATA: { bit: 16, pool: 'embedded_data' },
  LZ4: { bit: 17, pool: 'lz4_compress' },
  LARGE_BLOCKS: { bit: 19, pool: 'large_blocks' },
  RESUMING: { bit: 20, pool: 'extensible_dataset' },
  REDACTED: { bit: 21, pool: 'redacted_datasets' },
  COMPRESSED: { bit: 22 },
  LARGE_DNODE: { bit: 23, pool: 'large_dnode' },
  RAW: { bit: 24, pool: 'encryption' },
  ZSTD: { bit: 25, pool: 'zstd_compress' },
  HOLDS: { bit: 26 },
  SWITCH_TO_LARGE_BLOCKS: { bit: 27 },
  LONGNAME: { bit: 28, pool: 'longname' },
  LARGE_MICROZAP: { bit: 29, pool: 'large_microzap' },
} as const satisfies Record<string, Feature>;

export type FeatureName = keyof typeof FEATURES;

/** Whether a BEGIN has this flag. */
export function hasFeature(begin: Pick<Begin, 'features'>, name: FeatureName): boolean {
  return ((BigInt(`0x${begin.features}`) >> BigInt(FEATURES[name].bit)) & 1n) === 1n;
}

/**
 * The names of all flags set, in the order of their bits; one that is unknown is named by its bit.
 *
 * @param bits as {@link Begin} has them: hex digits.
 * @example featureNames('100004') // ['SA_SPILL', 'RESUMING']
 */
export function featureNames(bits: string): string[] {
  const names = new Map<number, string>(Object.entries(FEATURES).map(([name, { bit }]) => [bit, name]));
  const set = [...BigInt(`0x${bits}`).toString(2)].reverse();
  return set.flatMap((digit, bit) => (digit === '1' ? [names.get(bit) ?? `bit ${bit}`] : []));
}

/** What must not change within a chain: the same shape as `ChainFlags` of the graph. */
export function chainFlagsOf(begin: Pick<Begin, 'features'>): { raw: boolean; large_blocks: boolean } {
  return { raw: hasFeature(begin, 'RAW'), large_blocks: hasFeature(begin, 'LARGE_BLOCKS') };
}

/**
 * The pool features that must be enabled where the stream is received; `zfs receive`
 * answers ENOTSUP without them.
 *
 * @example poolFeaturesOf(begin) // ['lz4_compress', 'large_blocks']
 */
export function poolFeaturesOf(begin: Pick<Begin, 'features'>): string[] {
  const features: [string, Feature][] = Object.entries(FEATURES);
  return features.flatMap(([name, { pool }]) =>
    pool !== undefined && hasFeature(begin, name as FeatureName) ? [pool] : [],
  );
}

/**
 * Flags that no receiver of today takes: a stream made with `-D` (needs `zstream redup`
 * first), and flags newer than this list.
 */
export function unreceivableFeatures(begin: Pick<Begin, 'features'>): string[] {
  return featureNames(begin.features).filter((name) => !(name in FEATURES) || name.startsWith('DEDUP'));
}
