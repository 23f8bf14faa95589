/** Which values the lines of `zfs get` leave in doubt, because they hold tabs or newlines themselves. */
import type { CommandOutput } from '../../catalog/attributes/attributes.ts';
import { textOf } from '../../catalog/attributes/parsing/text.ts';
import { type Doubt, parseZfsGet } from '../../catalog/attributes/parsing/zfs-get.ts';

/** Those in what was asked about all properties of one dataset or snapshot; a value cannot ask about another one. */
export function doubtfulIn(outputs: readonly CommandOutput[]): Doubt[] {
  return outputs.filter(isAllOfOne).flatMap((output) => {
    const name = output.command.at(-1);
    return parseZfsGet(textOf(output), 'all').doubtful.filter((doubt) => doubt.name === name);
  });
}

function isAllOfOne({ command, exit }: CommandOutput): boolean {
  return exit === 0 && command.slice(0, 6).join(' ') === 'zfs get -Hp -o all all' && command.length === 7;
}
