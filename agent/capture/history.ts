/** A pool's history is kept once in a run: with thousands of datasets it would be most of what is stored. */
import type { CommandOutput } from '../../catalog/attributes/attributes.ts';

/** Of the pool's history, characters that are kept beside every further dataset. */
const SHORT = 16 * 1024;

/**
 * The outputs about a pool with only the end of its history.
 *
 * @param elsewhere the dataset beside whose stream more of it is kept.
 */
export function withoutHistory(outputs: readonly CommandOutput[], elsewhere: string): CommandOutput[] {
  return outputs.map((output) =>
    output.command[0] === 'zpool' && output.command[1] === 'history' ? shortened(output, elsewhere) : output,
  );
}

function shortened(output: CommandOutput, elsewhere: string): CommandOutput {
  if (output.encoding !== 'utf8' || output.output.length <= SHORT) return output;
  const end = output.output.slice(-SHORT);
  const error = `cut: only its end is kept here, more of it beside ${elsewhere}`;
  return { ...output, output: end.slice(end.indexOf('\n') + 1), error };
}
