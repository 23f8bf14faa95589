/** All properties of a tree, as `zfs get -rHp all` prints them, compared without zkeep. */
import { must } from './command.ts';

/** Properties that differ after any restore, each with the reason. */
export type Expected = Readonly<Record<string, string>>;

/** Properties of any dataset that tell of a moment, a place or a pool: never the same on another pool. */
export const ELSEWHERE: Expected = {
  creation: 'of the dataset: when it was received',
  createtxg: 'counts the transactions of its pool',
  guid: 'of the dataset: only a snapshot keeps its own',
  objsetid: 'the number of the object in its pool',
  snapshots_changed: 'when a snapshot was last taken or received',
  used: 'blocks as this pool lays them out',
  usedbydataset: 'as used',
  usedbysnapshots: 'as used',
  usedbychildren: 'as used',
  referenced: 'as used',
  available: 'of another pool',
  written: 'metadata that receiving writes',
  compressratio: 'of blocks as this pool lays them out',
  refcompressratio: 'as compressratio',
  logicalused: 'as used',
  logicalreferenced: 'as used',
  userrefs: 'the hold of a backup or a migration stays where it was taken',
};

/** By name below the root (empty: the root itself) and property: value, received value and source, tabs between. */
export type Properties = ReadonlyMap<string, ReadonlyMap<string, string>>;

/**
 * Reads a tree, the received values too; bookmarks are left out, because no stream carries one. Names
 * in sources lose what the root is called.
 */
export async function propertiesOf(root: string): Promise<Properties> {
  const types = 'filesystem,volume,snapshot';
  const printed = await must('zfs', 'get', '-rHp', '-t', types, '-o', 'all', 'all', root);
  const [pool = root] = root.split('/');
  const begin = new RegExp(`^${escaped(root)}([/@][^\\t\\n]*)?\\t([^\\t\\n]+)\\t`, 'gm');
  const starts = [...printed.matchAll(begin)];
  const found = new Map<string, Map<string, string>>();
  for (const [at, [head, below = '', property = '']] of starts.entries()) {
    const from = (starts[at]?.index ?? 0) + head.length;
    const end = starts[at + 1]?.index ?? printed.length + 1;
    const told = printed
      .slice(from, end - 1)
      .replace(`inherited from ${root}`, 'inherited from ROOT')
      .replace(new RegExp(`inherited from ${escaped(pool)}$`), 'inherited from POOL');
    const object = found.get(below) ?? new Map<string, string>();
    found.set(below, object.set(property, told));
  }
  return found;
}

/** What is not the same in two trees and not expected to differ, a line each. */
export function differencesOf(before: Properties, after: Properties, expected: Expected): string[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].flatMap((name) => {
    const [was, is] = [before.get(name), after.get(name)];
    if (!was || !is) return [`${name}: ${was ? 'is gone' : 'is new'}`];
    const properties = new Set([...was.keys(), ...is.keys()]);
    return [...properties]
      .filter((property) => !(property in expected) && was.get(property) !== is.get(property))
      .map((property) => `${name} ${property}: ${was.get(property)} -> ${is.get(property)}`);
  });
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
