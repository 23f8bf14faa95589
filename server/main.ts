/** The command `zkeep-server`: its words, help and exit codes. `commands.ts` does what they say. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { EXIT_CODES, messageOf, ZkeepError } from '../catalog/errors.ts';
import type { CommonOptions, EnrollOptions, RebuildOptions, ServeOptions, TokenOptions } from './commands.ts';
import { VERSION } from './version.ts';

/** Loaded when a command was understood, so that help and mistakes are answered at once. */
const commands = () => import('./commands.ts');

const EXAMPLE = `zkeep-server --config /etc/zkeep/server.toml     serves until SIGTERM
zkeep-server enroll --name mds1                  a code for the agent of a new host
zkeep-server token add --scope operator --name me`;

await run(process.argv.slice(2));

async function run(words: string[]): Promise<void> {
  let name = 'zkeep-server';
  const program = makeProgram();
  program.hook('preAction', (_program, command) => {
    name = namesOf(command).join(' ');
  });
  try {
    await program.parseAsync(words, { from: 'user' });
  } catch (thrown) {
    process.exitCode = exitCodeOf(thrown);
    // Commander itself has said what it is about: the help that was asked for, or the mistake.
    if (!(thrown instanceof CommanderError)) complain(thrown, name, words.includes('--json'));
  }
}

function exitCodeOf(thrown: unknown): number {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : EXIT_CODES.usage;
  return thrown instanceof ZkeepError ? EXIT_CODES[thrown.kind] : 1;
}

function makeProgram(): Command {
  const program = new Command('zkeep-server')
    .description('The catalog service of zkeep: knows what lies in a bucket and lets agents at it.')
    .version(VERSION)
    .option('--config <file>', 'configuration (TOML); also ZKEEP_SERVER_CONFIG, then /etc/zkeep/server.toml')
    .option('--data <folder>', 'folder of tokens, index and, unless configured, the repository')
    .option('--json', 'one JSON document on standard output')
    .exitOverride()
    .addHelpText('after', `\nExample:\n${EXAMPLE.replace(/^/gm, '  ')}\n\nExit codes: ${exitCodes()}`);
  addServe(program);
  addToken(program);
  addEnroll(program);
  addRebuild(program);
  return program;
}

function addServe(program: Command): void {
  program
    .command('serve', { isDefault: true })
    .description('serve until SIGTERM or SIGINT (what it does when no command is given)')
    .option('--port <number>', 'port to listen on, instead of the configured one; 0: any free one', portOf)
    .addHelpText('after', '\nExample:\n  zkeep-server --data /srv/zkeep --port 8470')
    // What is no command comes here, as what the usual one is given.
    .allowExcessArguments()
    .action(async (_options, command: Command) => {
      const [word] = command.args;
      if (word !== undefined) throw unknownCommand(word);
      await (await commands()).serve(command.optsWithGlobals<ServeOptions>());
    });
}

function addToken(program: Command): void {
  const token = program
    .command('token')
    .description('the tokens with which agents, operators and readers come')
    .addHelpText('after', '\nExample:\n  zkeep-server token add --scope agent --name mds1');
  token
    .command('add')
    .description('make a token and print it, this once')
    .addOption(
      new Option('--scope <scope>', 'what it allows')
        .choices(['agent', 'operator', 'reader'])
        .makeOptionMandatory(),
    )
    .requiredOption('--name <name>', 'who holds it; open backups belong to this name')
    .addHelpText('after', '\nExample:\n  zkeep-server token add --scope agent --name mds1 > /etc/zkeep/token')
    .action(async (_options, command: Command) =>
      (await commands()).addToken(command.optsWithGlobals<TokenOptions>()),
    );
  token
    .command('list')
    .description('all tokens, without their secrets')
    .addHelpText('after', '\nExample:\n  zkeep-server token list --json')
    .action(async (_options, command: Command) =>
      (await commands()).listTokens(command.optsWithGlobals<CommonOptions>()),
    );
  token
    .command('remove')
    .argument('<name>')
    .description('end a token, at once')
    .addHelpText('after', '\nExample:\n  zkeep-server token remove mds1')
    .action(async (name: string, _options, command: Command) =>
      (await commands()).removeToken(name, command.optsWithGlobals<CommonOptions>()),
    );
}

function addEnroll(program: Command): void {
  program
    .command('enroll')
    .description('print a one-time code, this once: `zkeep enroll` on the new host trades it for a token')
    .requiredOption('--name <name>', 'who is to hold the token')
    .addOption(
      new Option('--scope <scope>', 'what the token allows')
        .choices(['agent', 'operator', 'reader'])
        .default('agent'),
    )
    .option('--for <duration>', 'the code is good for so long', '1h')
    .addHelpText('after', '\nExample:\n  zkeep-server enroll --name mds1')
    .action(async (_options, command: Command) =>
      (await commands()).enroll(command.optsWithGlobals<EnrollOptions>()),
    );
}

function addRebuild(program: Command): void {
  program
    .command('rebuild')
    .description('make the index anew from its copy in the bucket, brought up to date, while no service runs')
    .option('--from-manifests', 'use no copy: read every manifest and the whole journal')
    .addHelpText('after', '\nExample:\n  zkeep-server rebuild --data /srv/zkeep')
    .action(async (_options, command: Command) =>
      (await commands()).rebuildIndex(command.optsWithGlobals<RebuildOptions>()),
    );
}

function unknownCommand(word: string): ZkeepError {
  return new ZkeepError('usage', 'service.usage', `unknown command ${JSON.stringify(word.slice(0, 80))}`, {
    advice: 'zkeep-server --help shows the commands',
  });
}

function portOf(text: string): number {
  if (/^[0-9]{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new InvalidArgumentError('a port is a number from 0 to 65535.');
}

/** `token add` */
function namesOf(command: Command): string[] {
  return command.parent
    ? [...namesOf(command.parent).filter((name) => name !== 'zkeep-server'), command.name()]
    : [command.name()];
}

function exitCodes(): string {
  const codes = Object.entries(EXIT_CODES).map(([kind, code]) => `${code} ${kind}`);
  return ['0 done', ...codes].join(', ');
}

function complain(thrown: unknown, command: string, json: boolean): void {
  const failure =
    thrown instanceof ZkeepError
      ? thrown
      : new ZkeepError('failed', 'service.unforeseen', messageOf(thrown), { cause: thrown });
  if (json) process.stdout.write(`${JSON.stringify({ zkeep: 1, command, error: failure })}\n`);
  process.stderr.write(`zkeep-server: ${failure.message}\n`);
  if (failure.advice) process.stderr.write(`  ${failure.advice}\n`);
  if (!(thrown instanceof ZkeepError) && thrown instanceof Error) process.stderr.write(`${thrown.stack}\n`);
}
