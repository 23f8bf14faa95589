/**
 * How a pool is made anew: the command, and what will not be as it was. Decided
 * here from plain data; printed by a dry run, and run as it stands.
 */
import { ZkeepError } from '../errors.ts';
import type { PoolAttributes } from './attributes.ts';
import { nameOfZfs, type ZfsAbilities } from './pool/abilities.ts';
import type { Difference } from './pool/difference.ts';
import { chooseFeatures, isLegacy } from './pool/features.ts';
import {
  describeGroups,
  groupsOf,
  type PoolLayout,
  parseLayout,
  toleranceOf,
  type VdevGroup,
} from './pool/layout.ts';
import { chooseProperties } from './pool/settings.ts';

export type { ZfsAbilities } from './pool/abilities.ts';
export type { Difference } from './pool/difference.ts';

/** A pool to be made. */
export interface PoolQuestion {
  /** The pool as it was; `null` where its attributes are not stored. */
  readonly stored: PoolAttributes | null;
  /** The new pool's name. */
  readonly name: string;
  /** What `zpool create` takes after the name, as one text: `mirror /dev/sdd1 /dev/sde1`. */
  readonly vdevs: string;
  readonly abilities: ZfsAbilities;
  /** Pool features that the streams to be received ask for. */
  readonly needed?: readonly string[];
  /** Overrules the stored one, for disks with other sectors; 9 to 16. */
  readonly ashift?: number;
}

/** What makes it. */
export interface PoolPlan {
  readonly name: string;
  /** `zpool create ...`, an argument each. */
  readonly command: readonly string[];
  /** What can be set only once the pool is there: user properties. */
  readonly after: readonly (readonly string[])[];
  readonly layout: PoolLayout;
  /** The features that it will have enabled. */
  readonly features: readonly string[];
  readonly multihost: boolean;
  /** `null`: ZFS chooses by what the disks say. */
  readonly ashift: number | null;
  readonly differences: readonly Difference[];
}

/**
 * Decides how a pool is made as the stored one was: properties that were set,
 * features, ashift. Its own file system is never mounted (`canmount=off`), and
 * the pool is not imported by itself at the next start (`cachefile=none`).
 *
 * @throws {ZkeepError} `usage` for a name or vdevs that no pool can have.
 * @example planPool({ stored, name: 'mgsnew', vdevs: 'mirror /dev/sdd1 /dev/sde1', abilities }).command
 */
export function planPool(question: PoolQuestion): PoolPlan {
  const { stored, abilities, needed = [] } = question;
  const name = checkPoolName(question.name);
  const layout = parseLayout(question.vdevs);
  const features = chooseFeatures(stored, needed, abilities);
  const properties = chooseProperties(stored, abilities);
  const ashift = chooseAshift(question);
  const options = [
    ...features.options,
    ...(ashift.ashift === null ? [] : ['-o', `ashift=${ashift.ashift}`]),
    ...properties.set.flatMap(([property, value]) => ['-o', `${property}=${value}`]),
    ...['-o', 'cachefile=none', '-O', 'canmount=off'],
  ];
  return {
    name,
    command: ['zpool', 'create', ...options, name, ...layout.words],
    after: properties.later.map(([property, value]) => ['zpool', 'set', `${property}=${value}`, name]),
    layout,
    features: features.enabled,
    multihost: properties.set.some(([property, value]) => property === 'multihost' && value === 'on'),
    ashift: ashift.ashift,
    differences: [
      ...(stored === null ? [unknownPool(abilities)] : []),
      ...properties.differences,
      ...cachefileDifference(stored),
      ...ashift.differences,
      ...layoutDifferences(stored, layout),
      ...versionDifference(stored),
      ...features.differences,
    ],
  };
}

/** Names that `zpool` keeps for itself (`zpool_name_valid`), and the letters that it takes. */
function checkPoolName(name: string): string {
  const reserved = /^(mirror|raidz|draid|spare)|^log$/.test(name);
  if (/^[A-Za-z][A-Za-z0-9_.: -]*$/.test(name) && !reserved && name.length <= 255) return name;
  throw new ZkeepError(
    'usage',
    'pool.bad-name',
    `no pool can be called ${JSON.stringify(name.slice(0, 80))}`,
    {
      advice:
        'begin with a letter, and not with mirror, raidz, draid, spare or log; then letters, digits and _ - . :',
      facts: { name: name.slice(0, 300) },
    },
  );
}

/** What is received so that it can be resumed needs features: a pool of a version has none. */
function versionDifference(stored: PoolAttributes | null): Difference[] {
  if (!isLegacy(stored)) return [];
  const why = `it was ${stored?.properties['version']?.value}; the new pool has features instead, only those that the streams need`;
  return [{ what: 'version', why, matters: true }];
}

function chooseAshift({ stored, ashift }: PoolQuestion): Pick<PoolPlan, 'ashift' | 'differences'> {
  const inUse = [...new Set((stored?.vdevs ?? []).flatMap((vdev) => vdev.ashift ?? []))].toSorted(
    (one, other) => one - other,
  );
  const property = Number(stored?.properties['ashift']?.value ?? 0);
  const fits = Number.isInteger(property) && property >= 9 && property <= 16;
  const was = inUse.length === 1 ? (inUse[0] ?? null) : fits ? property : null;
  if (ashift !== undefined) {
    const why = `it is ${ashift} as asked; it was ${was ?? 'left to ZFS'}`;
    return { ashift, differences: ashift === was ? [] : [{ what: 'ashift', why, matters: false }] };
  }
  if (inUse.length < 2) return { ashift: was, differences: [] };
  const now = was === null ? 'ZFS chooses by what the disks say' : `all get ${was}`;
  const why = `the vdevs had ${inUse.join(' and ')}; now ${now}`;
  return { ashift: was, differences: [{ what: 'ashift', why, matters: false }] };
}

function cachefileDifference(stored: PoolAttributes | null): Difference[] {
  const value = stored?.properties['cachefile']?.value ?? '-';
  if (value === 'none') return [];
  const own = value === '-' || value === '';
  const was = stored === null ? '' : `; it was ${own ? "ZFS's own" : value}`;
  const why = `it is none: nothing imports the pool by itself at the next start${was}`;
  const undo = `zpool set cachefile=${own ? "''" : value} undoes it`;
  return [{ what: 'cachefile', why: `${why}; ${undo}`, matters: true }];
}

function unknownPool(abilities: ZfsAbilities): Difference {
  const why = `the pool's attributes are not stored: it gets all features of ${nameOfZfs(abilities)} and default properties`;
  return { what: 'pool', why, matters: true };
}

function layoutDifferences(stored: PoolAttributes | null, { groups }: PoolLayout): Difference[] {
  const before = groupsOf(stored?.vdevs ?? []);
  const [was, is] = [describeGroups(before), describeGroups(groups)];
  if (before.length === 0 || was === is) return [];
  const lost = leastTolerance(before) > leastTolerance(groups);
  const why = `they are ${is}; they were ${was}`;
  return [{ what: 'vdevs', why: lost ? `${why}: fewer disks may fail than before` : why, matters: lost }];
}

/** How many disks may fail before something is lost that is nowhere else. */
function leastTolerance(groups: readonly VdevGroup[]): number {
  const holding = groups.filter(({ role }) => role === 'data' || role === 'special' || role === 'dedup');
  return Math.min(...holding.map(toleranceOf));
}
