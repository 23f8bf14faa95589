/** The configuration that `zdb -C` prints of a pool, and `zdb -l` of the label of a disk. */

/** A vdev as the pool's configuration has it. */
export interface ConfiguredVdev {
  /** As `zpool` would name it: a path, or `mirror-0`. */
  readonly name: string;
  /** `disk`, `file`, `mirror`, `raidz2`, ...; `null` where it is not told. */
  readonly type: string | null;
  /** Of it or of the vdev that it is part of. */
  readonly ashift: number | null;
}

/** Vdevs by name. Its lines are `key: value`, nested by indentation. */
export function vdevsOfZdb(text: string): Map<string, ConfiguredVdev> {
  const found = new Map<string, ConfiguredVdev>();
  const open: Block[] = [];
  const close = (indent: number) => {
    for (let last = open.at(-1); last && last.indent >= indent; last = open.at(-1)) {
      open.pop();
      const vdev = vdevOf(last, open);
      if (vdev) found.set(vdev.name, vdev);
    }
  };
  for (const line of text.split('\n')) {
    const [, spaces = '', key, value = ''] = /^( *)([A-Za-z_][^:]*?)(?:: ?(.*))?$/.exec(line) ?? [];
    if (key === undefined) continue;
    close(spaces.length);
    if (value === '' && line.endsWith(':')) {
      // Deeper than any pool is not followed.
      if (open.length < MOST_LEVELS) open.push({ indent: spaces.length, key, values: new Map() });
    } else open.at(-1)?.values.set(key, value.replace(/^'(.*)'$/, '$1'));
  }
  close(0);
  return found;
}

interface Block {
  readonly indent: number;
  readonly key: string;
  readonly values: Map<string, string>;
}

const MOST_LEVELS = 20;
/** Vdevs that `zpool` names by their number. */
const NUMBERED = /^(mirror|raidz|draid|replacing|spare|indirect)$/;

function vdevOf({ key, values }: Block, above: readonly Block[]): ConfiguredVdev | undefined {
  const type = values.get('type');
  // A label begins with its top-level vdev, a pool's configuration with the root of all.
  const isVdev = key.startsWith('children[') || (key === 'vdev_tree' && type !== 'root');
  if (!isVdev || type === undefined) return undefined;
  const parity = values.get('nparity') ?? '';
  const whole = type === 'raidz' || type === 'draid' ? `${type}${parity}` : type;
  const name = NUMBERED.test(type) ? `${whole}-${values.get('id') ?? ''}` : values.get('path');
  if (name === undefined) return undefined;
  const digits =
    values.get('ashift') ?? above.findLast((block) => block.values.has('ashift'))?.values.get('ashift');
  const ashift = Number(digits ?? Number.NaN);
  return { name, type: whole, ashift: ashift >= 9 && ashift <= 16 ? ashift : null };
}
