/** The command line as a whole: its commands, its help, its usage errors. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import { addAgent } from './agent/agent.ts';
import { addAttributes } from './attributes.ts';
import { addBackup } from './backup.ts';
import { exitCodeOf, tellFailure } from './command.ts';
import { addDamage } from './damage.ts';
import { addDrill } from './drill.ts';
import { addEnroll } from './enroll.ts';
import { addEvents } from './events.ts';
import { addExport } from './export.ts';
import { addImport } from './import.ts';
import { addJobs } from './jobs.ts';
import { addLeftovers } from './leftovers.ts';
import { addList } from './list.ts';
import { addLustre } from './lustre/lustre.ts';
import { addMigrate } from './migrate.ts';
import { addPin } from './pin.ts';
import { addPlan } from './plan.ts';
import { addPolicy } from './policy.ts';
import { addPrune } from './prune.ts';
import { addRestore } from './restore.ts';
import { addShow } from './show.ts';
import { addStatus } from './status.ts';
import { addVerify } from './verify.ts';

/**
 * Runs the command that the arguments name.
 *
 * @returns the exit code; everything there is to say has been said.
 */
export async function runProgram(args: readonly string[]): Promise<number> {
  let exit = 0;
  const program = makeProgram((code) => {
    exit = code;
  });
  const json = args.includes('--json');
  if (json) program.configureOutput({ writeErr: () => undefined });
  inherit(program);
  try {
    await program.parseAsync(args, { from: 'user' });
    return exit;
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    if (thrown.exitCode === 0) return 0;
    const failure = usageFailure(thrown);
    // Commander has told people already.
    if (json) await tellFailure(nameIn(args, program), failure, true);
    return exitCodeOf(failure);
  }
}

/** The command line, before it is read. */
export function makeProgram(exit: (code: number) => void): Command {
  const program = new Command('zkeep')
    .description('keeps ZFS snapshots in object storage and puts them back')
    .version(version(), '-V, --version')
    .exitOverride()
    .showHelpAfterError('zkeep --help shows the commands, zkeep COMMAND --help their options')
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 2 usage, 3 missing, 4 refused, 5 damaged, 6 busy, 7 some failed,\n8 denied, 9 full, 10 unavailable, 130 interrupted, 1 anything else',
    );
  for (const add of [
    addBackup,
    addRestore,
    addMigrate,
    addImport,
    addExport,
    addList,
    addShow,
    addAttributes,
    addPlan,
    addDrill,
    addStatus,
    addPolicy,
    addPin,
    addPrune,
    addJobs,
    addEvents,
    addVerify,
    addDamage,
    addLeftovers,
    addLustre,
    addAgent,
    addEnroll,
  ]) {
    add(program, exit);
  }
  return program;
}

/** Commands below commands, too, take the settings of the one above. */
function inherit(above: Command): void {
  for (const command of above.commands) {
    command.copyInheritedSettings(above);
    inherit(command);
  }
}

function usageFailure(thrown: CommanderError): ZkeepError {
  const message = messageOf(thrown)
    .replace(/^error: /, '')
    .trim();
  return new ZkeepError(
    'usage',
    'agent.usage',
    message === '(outputHelp)' ? 'no command is named' : message,
    {
      advice: 'zkeep --help shows the commands, zkeep COMMAND --help their options',
      cause: thrown,
    },
  );
}

function nameIn(args: readonly string[], program: Command): string | undefined {
  return program.commands.map((command) => command.name()).find((name) => name === args[0]);
}

/** The version of this zkeep. */
export function version(): string {
  const text: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return typeof text === 'object' && text !== null && 'version' in text ? String(text.version) : 'unknown';
}
