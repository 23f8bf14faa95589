/** The vdevs of a pool: what `zpool list -vPp` and `zpool status -P` print of them, in their order. */
import type { Vdev } from '../attributes.ts';
import type { ConfiguredVdev } from './zdb.ts';

type Role = Vdev['role'];

/** Lines under which vdevs stand that hold no ordinary data. */
const SECTIONS: Readonly<Record<string, Role>> = {
  log: 'log',
  logs: 'log',
  cache: 'cache',
  spare: 'spare',
  spares: 'spare',
  special: 'special',
  dedup: 'dedup',
};
/** `mirror-0`, `raidz2-1`, `draid2:4d:8c:1s-0`, `replacing-1`, `spare-2`; a distributed spare is `draid2-0-0`. */
const GROUP = /^((?:mirror|raidz[123]?|draid[123]?(?::[0-9a-z:]+)?|replacing|spare|indirect)?)-\d+$/;
const MOST_VDEVS = 100_000;

/** Vdevs of one pool out of `zpool list -v`, with or without `-H`, `-p` and `-P`. */
export function vdevsOfList(text: string, pool: string): Vdev[] {
  const vdevs: Vdev[] = [];
  let within = false;
  let role: Role = 'data';
  for (const line of text.split('\n')) {
    const cells = cellsOf(line);
    if (!cells) continue;
    const { indent, name, numbers, state } = cells;
    if (indent === 0 && !line.startsWith('\t')) {
      const section = numbers.every((number) => number === '-') ? sectionOf(name) : undefined;
      if (section) role = section;
      else [within, role] = [name === pool, 'data'];
    } else if (within && vdevs.length < MOST_VDEVS) {
      const [size = '-', allocated = '-'] = numbers;
      const level = line.startsWith('\t')
        ? levelWithoutIndent(vdevs.at(-1), role, allocated)
        : levelOf(indent);
      vdevs.push(vdevAt({ level, name, role, state, size: /^[0-9]+$/.test(size) ? size : null }));
    }
  }
  return vdevs;
}

/** Vdevs of one pool out of `zpool status`; it tells no sizes. */
export function vdevsOfStatus(text: string, pool: string): Vdev[] {
  const vdevs: Vdev[] = [];
  let within = false;
  let role: Role = 'data';
  for (const line of text.split('\n')) {
    const title = /^ *pool: (.*)$/.exec(line)?.[1];
    if (title !== undefined) [within, role] = [title === pool, 'data'];
    const [, spaces = '', name, state] = /^\t( *)(\S.*?)(?: +([A-Z]+)(?: .*)?)?$/.exec(line) ?? [];
    if (!within || name === undefined || vdevs.length >= MOST_VDEVS) continue;
    const section = state === undefined ? sectionOf(name) : undefined;
    if (spaces === '') role = section ?? role;
    else if (state !== undefined) {
      vdevs.push(vdevAt({ level: levelOf(spaces.length), name, role, state, size: null }));
    }
  }
  return vdevs;
}

/** The vdevs with what the pool's configuration knows besides: `file` or `disk`, and ashift. */
export function withConfiguration(
  vdevs: readonly Vdev[],
  configured: ReadonlyMap<string, ConfiguredVdev>,
): Vdev[] {
  return vdevs.map((vdev) => {
    // `draid2:4d:8c:1s-0` says more than the configuration's `draid2`.
    const known =
      configured.get(vdev.name) ?? configured.get(vdev.name.replace(/^(draid[123]):.*(-\d+)$/, '$1$2'));
    if (!known) return vdev;
    const type = vdev.type === 'disk' ? (known.type ?? vdev.type) : vdev.type;
    return { ...vdev, type, ashift: known.ashift };
  });
}

interface Cells {
  readonly indent: number;
  readonly name: string;
  /** Size, allocated, free, ... */
  readonly numbers: readonly string[];
  readonly state: string | null;
}

/** Columns of numbers between name and state: eight, seven before OpenZFS 0.8. */
const MOST_NUMBERS = 8;
const STATE = /^[A-Z]+$/;
const NUMBER = /^(?:-|[0-9]+(?:\.[0-9]+)?[KMGTPEZ]?[%x]?)$/;

/** A line taken apart from its end, because a path may hold spaces. */
function cellsOf(line: string): Cells | undefined {
  const indent = /^ */.exec(line)?.[0].length ?? 0;
  const words = line.trim().split(/\s+/);
  if (words.length < MOST_NUMBERS || words[0] === 'NAME') return undefined;
  let rest = line.trimEnd();
  const last = () => /\s(\S+)$/.exec(rest)?.[1] ?? '';
  const cut = () => {
    const word = last();
    rest = rest.slice(0, rest.length - word.length).trimEnd();
    return word;
  };
  // A pool's own line ends with its alternative root, a vdev's with its state.
  if (!STATE.test(words.at(-1) ?? '') && STATE.test(words.at(-2) ?? '')) cut();
  const ending = cut();
  if (ending !== '-' && !STATE.test(ending)) return undefined;
  const numbers: string[] = [];
  while (numbers.length < MOST_NUMBERS && NUMBER.test(last())) numbers.unshift(cut());
  const name = rest.trim();
  return numbers.length < MOST_NUMBERS - 1 || name === ''
    ? undefined
    : { indent, name, numbers, state: ending === '-' ? null : ending };
}

function vdevAt(facts: Omit<Vdev, 'type' | 'ashift'>): Vdev {
  return { ...facts, type: typeOf(facts.name), ashift: null };
}

function typeOf(name: string): string {
  return GROUP.exec(name)?.[1] || 'disk';
}

function sectionOf(name: string): Role | undefined {
  return Object.hasOwn(SECTIONS, name) ? SECTIONS[name] : undefined;
}

/** Top-level vdevs stand two spaces in, their children four, ... */
function levelOf(spaces: number): number {
  return Math.min(Math.max(Math.floor(spaces / 2) - 1, 0), 16);
}

/**
 * `-H` prints no indentation. Only a top-level vdev tells how much of it is
 * allocated, and a vdev that has children is one that is named by number.
 */
function levelWithoutIndent(last: Vdev | undefined, role: Role, allocated: string): number {
  if (!last || last.role !== role || allocated !== '-' || role === 'spare' || role === 'cache') return 0;
  return last.level === 0 ? (last.type === 'disk' ? 0 : 1) : last.level;
}
