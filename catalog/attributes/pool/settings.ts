/** Which properties of a stored pool a new one gets when it is made. */
import type { PoolAttributes, Property } from '../attributes.ts';
import { zfsAtLeast } from '../zfs-here.ts';
import { nameOfZfs, type ZfsAbilities } from './abilities.ts';
import type { Difference } from './difference.ts';

/** The properties of a new pool. */
export interface PropertyChoice {
  /** As `zpool create -o` takes them, in this order. */
  readonly set: readonly (readonly [name: string, value: string])[];
  /** User properties: `zpool create` does not take them, `zpool set` does. */
  readonly later: readonly (readonly [name: string, value: string])[];
  readonly differences: readonly Difference[];
}

/** What can be set on any pool (OpenZFS `zpool_prop.c`), and is not decided elsewhere. */
const SETTABLE = new Set([
  'autoexpand',
  'autoreplace',
  'autotrim',
  'comment',
  'dedup_table_quota',
  'delegation',
  'failmode',
  'listsnapshots',
  'multihost',
]);
/** Not of the pool but of an import of it, or decided elsewhere. */
const LEFT = new Set(['altroot', 'ashift', 'cachefile', 'compatibility', 'readonly', 'version']);

/** Takes over what was set, leaves defaults alone, and says what cannot be. */
export function chooseProperties(stored: PoolAttributes | null, abilities: ZfsAbilities): PropertyChoice {
  const set: [string, string][] = [];
  const later: [string, string][] = [];
  const left: [string, string][] = [];
  // User properties of pools came with 2.2.
  const takesUser = zfsAtLeast(abilities.module ?? abilities.version ?? '', 2, 2);
  const differences: Difference[] = [];
  for (const [name, property] of Object.entries(stored?.properties ?? {}).toSorted(byName)) {
    const { value } = property;
    if (!wasSet(name, property) || LEFT.has(name)) continue;
    if (name.includes(':')) (takesUser ? later : left).push([name, value]);
    else if (!SETTABLE.has(name)) differences.push(notTaken(name, value));
    else if (knows(abilities, name)) set.push([name, value]);
    else differences.push(unknown(name, value, abilities));
  }
  const compatibility = chooseCompatibility(stored, abilities);
  return {
    set: [...set, ...compatibility.set],
    later,
    differences: [
      ...differences,
      ...left.map(([name, value]) => unknown(name, value, abilities)),
      ...compatibility.differences,
    ],
  };
}

/** `zpool create` fails when a file that `compatibility` names is not there. */
function chooseCompatibility(
  stored: PoolAttributes | null,
  abilities: ZfsAbilities,
): Pick<PropertyChoice, 'set' | 'differences'> {
  const value = stored?.properties['compatibility']?.value ?? 'off';
  if (value === 'off' || value === '-') return { set: [], differences: [] };
  const known = (file: string) => file === 'legacy' || abilities.compatibilities.has(file);
  const missing = value.split(',').filter((file) => !known(file));
  if (missing.length === 0 && knows(abilities, 'compatibility')) {
    return { set: [['compatibility', value]], differences: [] };
  }
  const why =
    missing.length === 0
      ? `${nameOfZfs(abilities)} does not know the property`
      : `this host has no file for ${missing.join(', ')}`;
  return {
    set: [],
    differences: [
      {
        what: 'compatibility',
        why: `it was ${value} and is not set: ${why}; the features are the same, but zpool upgrade may now add others`,
        matters: true,
      },
    ],
  };
}

/** Where nobody could tell which properties there are, `zpool create` has the last word. */
function knows({ poolProperties }: ZfsAbilities, name: string): boolean {
  return poolProperties.size === 0 || poolProperties.has(name);
}

function wasSet(name: string, { value, source }: Property): boolean {
  return source === 'local' && value !== '-' && value !== '' && !/^(feature|unsupported)@/.test(name);
}

function notTaken(name: string, value: string): Difference {
  const command = name === 'bootfs' ? 'after the restore: ' : 'if it can be set: ';
  return {
    what: name,
    why: `it was ${value} and is not set; ${command}zpool set ${name}=...`,
    matters: true,
  };
}

function unknown(name: string, value: string, abilities: ZfsAbilities): Difference {
  return { what: name, why: `it was ${value}; ${nameOfZfs(abilities)} does not know it`, matters: true };
}

function byName([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
