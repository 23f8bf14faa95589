/** Which features a new pool gets, so that it is as the stored one was. */
import type { PoolAttributes } from '../attributes.ts';
import { nameOfZfs, type ZfsAbilities } from './abilities.ts';
import type { Difference } from './difference.ts';

/** The features of a new pool. */
export interface FeatureChoice {
  /** The options of `zpool create`. */
  readonly options: readonly string[];
  /** Those that will be enabled, in the order of their names. */
  readonly enabled: readonly string[];
  readonly differences: readonly Difference[];
}

const FEATURE = 'feature@';

/**
 * Enables what the stored pool had enabled or active, and nothing else: neither
 * what its ZFS did not know, nor what somebody had left disabled (Lustre's mkfs
 * leaves `longname`).
 *
 * `zpool create` enables all features that it knows but those that are named as
 * disabled; with `-d` none but those that are named as enabled. Since the list of
 * what it knows comes from the same host, both say the same: the shorter is taken.
 *
 * @param needed features that the streams ask for, enabled in any case.
 */
export function chooseFeatures(
  stored: PoolAttributes | null,
  needed: readonly string[],
  abilities: ZfsAbilities,
): FeatureChoice {
  const had = featuresOf(stored);
  const all = [...abilities.features].toSorted();
  if (had.size === 0 && !isLegacy(stored)) return { options: [], enabled: all, differences: [] };
  const wanted = new Set([
    ...[...had].filter(([, state]) => state !== 'disabled').map(([name]) => name),
    ...needed,
  ]);
  const enabled = all.filter((name) => wanted.has(name));
  const rest = all.filter((name) => !wanted.has(name));
  // The file of `compatibility` would take features away again that are not named.
  const byFile = hasCompatibility(stored);
  const options =
    !byFile && rest.length < enabled.length
      ? rest.flatMap((name) => ['-o', `${FEATURE}${name}=disabled`])
      : ['-d', ...enabled.flatMap((name) => ['-o', `${FEATURE}${name}=enabled`])];
  return { options, enabled, differences: differencesOf(had, wanted, needed, abilities) };
}

/** The states of a pool's features by their names: `disabled`, `enabled` or `active`. */
export function featuresOf(pool: Pick<PoolAttributes, 'properties'> | null): Map<string, string> {
  const properties = Object.entries(pool?.properties ?? {});
  return new Map(
    properties.flatMap(([name, { value }]) =>
      name.startsWith(FEATURE) ? [[name.slice(FEATURE.length), value]] : [],
    ),
  );
}

/** A pool from before feature flags tells a version; others tell `-`. */
export function isLegacy(stored: Pick<PoolAttributes, 'properties'> | null): boolean {
  return /^[0-9]{1,2}$/.test(stored?.properties['version']?.value ?? '-');
}

function hasCompatibility(stored: PoolAttributes | null): boolean {
  const value = stored?.properties['compatibility']?.value ?? 'off';
  return value !== 'off' && value !== '-';
}

function differencesOf(
  had: ReadonlyMap<string, string>,
  wanted: ReadonlySet<string>,
  needed: readonly string[],
  abilities: ZfsAbilities,
): Difference[] {
  const zfs = nameOfZfs(abilities);
  const unknown = [...wanted].filter((name) => !abilities.features.has(name)).toSorted();
  const later = [...abilities.features].filter((name) => !had.has(name) && !wanted.has(name)).toSorted();
  const added = needed.filter((name) => abilities.features.has(name) && isOff(had.get(name)));
  return [
    ...unknown.map((name) => ({
      what: `${FEATURE}${name}`,
      why: `it was ${had.get(name) ?? 'in use'}; ${zfs} does not know it`,
      matters: had.get(name) !== 'enabled',
    })),
    ...(later.length === 0 ? [] : [staysDisabled(later)]),
    ...[...new Set(added)].map((name) => ({
      what: `${FEATURE}${name}`,
      why: `is enabled although it was not: the streams ask for it`,
      matters: false,
    })),
  ];
}

function staysDisabled(names: readonly string[]): Difference {
  const why = `the ZFS of the stored pool did not know them: ${names.join(', ')}; zpool upgrade turns them on`;
  return { what: 'features that stay disabled', why, matters: false };
}

function isOff(state: string | undefined): boolean {
  return state === undefined || state === 'disabled';
}
