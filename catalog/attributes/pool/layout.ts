/** The vdevs of a pool: as a person writes them for `zpool create`, and as a stored pool had them. */
import { ZkeepError } from '../../errors.ts';
import type { Vdev } from '../attributes.ts';
import { splitWords } from './words.ts';

export type VdevRole = Vdev['role'];

/** A top-level vdev; or a spare or a cache device. */
export interface VdevGroup {
  readonly role: VdevRole;
  /** `disk` for a device or file alone, `mirror`, `raidz2`, `draid1:4d:6c:1s`, ... */
  readonly type: string;
  /** As they were named. */
  readonly devices: readonly string[];
}

/** What `zpool create` gets after the pool's name. */
export interface PoolLayout {
  readonly words: readonly string[];
  readonly groups: readonly VdevGroup[];
}

/** Far more than a pool has. */
const MAX_WORDS = 10_000;
/** Words that give all vdevs after them a role, and those that do so for the devices right after them. */
const LASTING: ReadonlyMap<string, VdevRole> = new Map([
  ['log', 'log'],
  ['special', 'special'],
  ['dedup', 'dedup'],
]);
const PASSING: ReadonlyMap<string, VdevRole> = new Map([
  ['spare', 'spare'],
  ['cache', 'cache'],
]);
/** Words within a dRAID that name a part of it. */
const PARTS = new Set(['fgroup', 'failure_group', 'fdomain', 'failure_domain']);

/**
 * Takes vdevs apart as `zpool create` does (OpenZFS `zpool_vdev.c`, `construct_spec`).
 *
 * @param text the words of one command line; quotes keep spaces in a name.
 * @throws {ZkeepError} `usage` when they give no device to put data on, or hold an option.
 * @example parseLayout('mirror /dev/sdd1 /dev/sde1').groups
 * // [{ role: 'data', type: 'mirror', devices: ['/dev/sdd1', '/dev/sde1'] }]
 */
export function parseLayout(text: string): PoolLayout {
  const words = splitWords(text);
  if (words.length > MAX_WORDS) throw badVdevs(text, `there are more than ${MAX_WORDS} words`);
  const option = words.find((word) => word.startsWith('-') || word === '');
  if (option !== undefined) throw badVdevs(text, `${JSON.stringify(option)} is no vdev`);
  const groups = groupWords(words);
  const empty = groups.find(({ devices }) => devices.length === 0);
  if (empty) throw badVdevs(text, `a ${empty.type === 'disk' ? empty.role : empty.type} has no device`);
  if (!groups.some(({ role }) => role === 'data')) throw badVdevs(text, 'there is no vdev for data');
  return { words, groups };
}

/** The groups of a stored pool; what is being replaced counts as one device, what was removed as none. */
export function groupsOf(vdevs: readonly Vdev[]): VdevGroup[] {
  const groups: { role: VdevRole; type: string; devices: string[] }[] = [];
  let raid: string[] | undefined;
  for (const { level, role, type, name } of vdevs) {
    if (level > 0) {
      if (level === 1) raid?.push(name);
      continue;
    }
    raid = isRaid(type) ? [] : undefined;
    // The spares that a dRAID spreads over its disks are no disks of their own: `draid2-0-1`.
    const none = type === 'indirect' || type === 'hole' || /^draid[123]-\d+-\d+$/.test(name);
    if (!none) groups.push({ role, type: raid ? typeOf(type) : 'disk', devices: raid ?? [name] });
  }
  return groups;
}

/** How many devices of a vdev may be lost before data is. */
export function toleranceOf({ type, devices }: VdevGroup): number {
  if (type === 'mirror') return Math.max(0, devices.length - 1);
  return isRaid(type) ? Number(/^d?raidz?([123])/.exec(type)?.[1] ?? 1) : 0;
}

/** @example describeGroups(groups) // '2 mirrors of 2, 1 disk for log' */
export function describeGroups(groups: readonly VdevGroup[]): string {
  const alike = Map.groupBy(groups, (group) => `${group.role}\0${group.type}\0${group.devices.length}`);
  return [...alike.values()].map(describeAlike).join(', ');
}

function describeAlike(groups: readonly VdevGroup[]): string {
  const [first] = groups;
  if (first === undefined) return '';
  const { role, type, devices } = first;
  const what = `${groups.length} ${type}${groups.length === 1 ? '' : 's'}`;
  return `${what}${type === 'disk' ? '' : ` of ${devices.length}`}${role === 'data' ? '' : ` for ${role}`}`;
}

function groupWords(words: readonly string[]): VdevGroup[] {
  const groups: VdevGroup[] = [];
  let role: VdevRole = 'data';
  for (let at = 0; at < words.length; ) {
    const word = words[at++] ?? '';
    const lasting = LASTING.get(word);
    const passing = PASSING.get(word);
    if (lasting !== undefined) {
      role = lasting;
    } else if (passing === undefined && !isRaid(word)) {
      groups.push({ role, type: 'disk', devices: [word] });
    } else {
      const from = at;
      while (at < words.length && !isKeyword(words[at] ?? '')) at++;
      const devices = words.slice(from, at).filter((name) => !PARTS.has(name));
      if (passing === undefined) groups.push({ role, type: typeOf(word), devices });
      else groups.push(...alone(passing, devices));
      if (passing !== undefined) role = 'data';
    }
  }
  return groups;
}

function alone(role: VdevRole, devices: readonly string[]): VdevGroup[] {
  if (devices.length === 0) return [{ role, type: 'disk', devices }];
  return devices.map((device) => ({ role, type: 'disk', devices: [device] }));
}

/** As `zpool` names them once they are made: one parity where none is told. */
function typeOf(word: string): string {
  return word.replace(/^(?:raidz|draid)(?=$|:)/, (raid) => `${raid}1`);
}

function isKeyword(word: string): boolean {
  return LASTING.has(word) || PASSING.has(word) || isRaid(word);
}

function isRaid(word: string): boolean {
  return word === 'mirror' || /^raidz[123]?$/.test(word) || /^draid[123]?(:[0-9]+[dcsw])*$/.test(word);
}

function badVdevs(text: string, why: string): ZkeepError {
  return new ZkeepError(
    'usage',
    'pool.bad-vdevs',
    `no pool can be made of ${JSON.stringify(text.slice(0, 200))}: ${why}`,
    {
      advice: "give what zpool create takes after the pool's name, e.g. 'mirror /dev/sdd1 /dev/sde1'",
      facts: { vdevs: text.slice(0, 1000) },
    },
  );
}
