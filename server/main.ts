/** The command `zkeep-server`: serves, makes tokens, rebuilds the index. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { systemClock } from '../catalog/clock.ts';
import { EXIT_CODES, messageOf, ZkeepError } from '../catalog/errors.ts';
import type { Scope } from '../catalog/protocol/protocol.ts';
import { buildService, stderrLogger } from './app.ts';
import { type ConfigurationOptions, loadConfiguration } from './configuration.ts';
import { openFoundation } from './foundation.ts';
import { openState } from './state.ts';
import { Tokens } from './tokens.ts';
import { VERSION } from './version.ts';

interface CommonOptions {
  readonly config?: string;
  readonly data?: string;
  readonly json?: true;
}
interface ServeOptions extends CommonOptions {
  readonly port?: number;
}
interface TokenOptions extends CommonOptions {
  readonly name: string;
  readonly scope: Scope;
}

process.exitCode = await run(process.argv.slice(2));

async function run(words: string[]): Promise<number> {
  const program = makeProgram();
  try {
    await program.parseAsync(words, { from: 'user' });
    return 0;
  } catch (thrown) {
    // Commander has said what it is about: the help that was asked for, or the mistake.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : EXIT_CODES.usage;
    complain(thrown, words);
    return thrown instanceof ZkeepError ? EXIT_CODES[thrown.kind] : 1;
  }
}

function makeProgram(): Command {
  const program = new Command('zkeep-server')
    .description('The catalog service of zkeep: knows what lies in a bucket and lets agents at it.')
    .version(VERSION)
    .option('--config <file>', 'configuration (TOML); also ZKEEP_SERVER_CONFIG, then /etc/zkeep/server.toml')
    .option('--data <folder>', 'folder of tokens, index and, unless configured, the repository')
    .option('--json', 'one JSON document on standard output')
    .exitOverride()
    .addHelpText('after', `\nExit codes: ${exitCodes()}`);
  addServe(program);
  addToken(program);
  addRebuild(program);
  return program;
}

function addServe(program: Command): void {
  program
    .command('serve', { isDefault: true })
    .description('serve until SIGTERM or SIGINT (what it does when no command is given)')
    .option('--port <number>', 'port to listen on, instead of the configured one; 0: any free one', portOf)
    .addHelpText('after', '\nExample:\n  zkeep-server --data /srv/zkeep --port 8470')
    .action(async (_options, command: Command) => serve(command.optsWithGlobals<ServeOptions>()));
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
    .action((_options, command: Command) => addOne(command.optsWithGlobals<TokenOptions>()));
  token
    .command('list')
    .description('all tokens, without their secrets')
    .addHelpText('after', '\nExample:\n  zkeep-server token list --json')
    .action((_options, command: Command) => listAll(command.optsWithGlobals<CommonOptions>()));
  token
    .command('remove')
    .argument('<name>')
    .description('end a token, at once')
    .addHelpText('after', '\nExample:\n  zkeep-server token remove mds1')
    .action((name: string, _options, command: Command) =>
      removeOne(name, command.optsWithGlobals<CommonOptions>()),
    );
}

function addRebuild(program: Command): void {
  program
    .command('rebuild')
    .description('make the index anew from the bucket, while no service runs')
    .addHelpText('after', '\nExample:\n  zkeep-server rebuild --data /srv/zkeep')
    .action(async (_options, command: Command) => rebuildIndex(command.optsWithGlobals<CommonOptions>()));
}

async function serve(options: ServeOptions): Promise<void> {
  const service = await buildService({ configuration: loadConfiguration(asked(options)) });
  try {
    const listening = await service.listen();
    print({ command: 'serve', listening, process: process.pid });
    await askedToStop();
  } finally {
    await service.close();
  }
}

/** Resolves at the first SIGTERM or SIGINT; the next one ends the process as usual. */
async function askedToStop(): Promise<void> {
  await new Promise<void>((resolve) => {
    const stop = () => {
      process.off('SIGTERM', stop).off('SIGINT', stop);
      resolve();
    };
    process.on('SIGTERM', stop).on('SIGINT', stop);
  });
}

function addOne(options: TokenOptions): void {
  const { name, scope } = options;
  const token = withTokens(options, (tokens) => tokens.add(name, scope));
  if (options.json) print({ command: 'token add', name, scope, token });
  else process.stdout.write(`${token}\n`);
}

function listAll(options: CommonOptions): void {
  const tokens = withTokens(options, (known) => known.list());
  if (options.json) print({ command: 'token list', tokens });
  else
    for (const { name, scope, created } of tokens) {
      process.stdout.write(`${scope.padEnd(8)}  ${created}  ${name}\n`);
    }
}

function removeOne(name: string, options: CommonOptions): void {
  withTokens(options, (tokens) => tokens.remove(name));
  if (options.json) print({ command: 'token remove', removed: name });
}

async function rebuildIndex(options: CommonOptions): Promise<void> {
  const configuration = loadConfiguration(asked(options));
  const log = stderrLogger(configuration.logLevel);
  const foundation = await openFoundation({ configuration, clock: systemClock, log, fill: 'rebuild' });
  try {
    const { backups } = foundation.filled;
    if (options.json) print({ command: 'rebuild', backups });
    else process.stdout.write(`the index has ${backups} backups\n`);
  } finally {
    await foundation.close();
  }
}

function withTokens<T>(options: CommonOptions, work: (tokens: Tokens) => T): T {
  const state = openState(loadConfiguration(asked(options)).data);
  try {
    return work(new Tokens(state));
  } finally {
    state.close();
  }
}

function asked({ config, data, port }: ServeOptions): ConfigurationOptions {
  return { file: config, data, port };
}

function portOf(text: string): number {
  if (/^[0-9]{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new InvalidArgumentError('a port is a number from 0 to 65535.');
}

function exitCodes(): string {
  const codes = Object.entries(EXIT_CODES).map(([kind, code]) => `${code} ${kind}`);
  return ['0 done', ...codes].join(', ');
}

/** One line, so that a script that waits for the service reads just that. */
function print(document: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify({ zkeep: 1, ...document })}\n`);
}

function complain(thrown: unknown, words: readonly string[]): void {
  const failure =
    thrown instanceof ZkeepError
      ? thrown
      : new ZkeepError('failed', 'service.unforeseen', messageOf(thrown), { cause: thrown });
  if (words.includes('--json')) print({ error: failure.toJSON() });
  process.stderr.write(`zkeep-server: ${failure.message}\n`);
  if (failure.advice) process.stderr.write(`  ${failure.advice}\n`);
  if (!(thrown instanceof ZkeepError) && thrown instanceof Error) process.stderr.write(`${thrown.stack}\n`);
}
