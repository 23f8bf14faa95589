/** The words of a command that was run: its program, options and arguments. */
import { posix } from 'node:path';

/** A command taken apart. */
export interface Command {
  /** The program without its folder, and the subcommand of those that have one: `zfs get`, `zpool list`, `cat`. */
  readonly name: string;
  /** Single letters, e.g. `H` and `p` of `-Hp`. */
  readonly flags: ReadonlySet<string>;
  /** Values of options that have one, by letter. */
  readonly values: ReadonlyMap<string, string>;
  /** What is no option. */
  readonly rest: readonly string[];
}

/** Programs whose first argument says what they do. */
const WITH_SUBCOMMAND = new Set(['zfs', 'zpool', 'lctl']);
/** Options with a value, by command. */
const WITH_VALUE: Readonly<Record<string, string>> = {
  'zfs get': 'odst',
  'zfs list': 'odstS',
  'zpool get': 'o',
  'zpool list': 'oT',
  'zpool status': 'Tc',
  zdb: 'ptIoUVx',
};

/**
 * Takes a command apart as `getopt` would.
 *
 * @example commandOf(['zfs', 'get', '-Hpo', 'all', 'all', 'tank']).values.get('o') // 'all'
 */
export function commandOf(words: readonly string[]): Command {
  const program = posix.basename(words[0] ?? '');
  const hasSubcommand = WITH_SUBCOMMAND.has(program) && words[1] !== undefined;
  const name = hasSubcommand ? `${program} ${words[1]}` : program;
  const takesValue = WITH_VALUE[name] ?? '';
  const flags = new Set<string>();
  const values = new Map<string, string>();
  const rest: string[] = [];
  const left = words.slice(hasSubcommand ? 2 : 1);
  for (let word = left.shift(); word !== undefined; word = left.shift()) {
    if (word === '--') {
      rest.push(...left);
      break;
    }
    if (!/^-[^-]/.test(word)) {
      if (!word.startsWith('--')) rest.push(word);
      continue;
    }
    for (let at = 1; at < word.length; at++) {
      const letter = word.charAt(at);
      if (!takesValue.includes(letter)) {
        flags.add(letter);
        continue;
      }
      values.set(letter, word.slice(at + 1) || (left.shift() ?? ''));
      break;
    }
  }
  return { name, flags, values, rest };
}
