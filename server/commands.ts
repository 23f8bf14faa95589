/** What the commands of `zkeep-server` do. */
import { userInfo } from 'node:os';
import { systemClock } from '../catalog/clock.ts';
import { parseDuration } from '../catalog/durations.ts';
import { EXIT_CODES } from '../catalog/errors.ts';
import type { RefreshProblem } from '../catalog/index/refresh.ts';
import type { Scope } from '../catalog/protocol/protocol.ts';
import {
  type Configuration,
  type ConfigurationOptions,
  isEverywhere,
  loadConfiguration,
} from './configuration/configuration.ts';
import { openState } from './state/state.ts';
import { Tokens } from './state/tokens.ts';

/** What the command line says, whatever the command. */
export interface CommonOptions {
  readonly config?: string;
  readonly data?: string;
  readonly json?: true;
}
export interface ServeOptions extends CommonOptions {
  readonly port?: number;
}
export interface RebuildOptions extends CommonOptions {
  readonly fromManifests?: true;
}
export interface TokenOptions extends CommonOptions {
  readonly name: string;
  readonly scope: Scope;
}

export interface EnrollOptions extends TokenOptions {
  /** A duration. */
  readonly for: string;
}

/** Serves until SIGTERM or SIGINT. Its first line on standard output says where. */
export async function serve(options: ServeOptions): Promise<void> {
  // Fastify and the index are loaded only by what needs them.
  const { buildService } = await import('./app.ts');
  const service = await buildService({ configuration: loadConfiguration(asked(options)) });
  try {
    const listening = await service.listen();
    print({ command: 'serve', listening, process: process.pid });
    await askedToStop();
  } finally {
    await service.close();
  }
}

/** Makes a token and prints it. */
export function addToken(options: TokenOptions): void {
  const { name, scope } = options;
  const token = withTokens(options, (tokens) => tokens.add(name, scope));
  if (options.json) print({ command: 'token add', name, scope, token });
  else process.stdout.write(`${token}\n`);
}

/** Makes a one-time code and prints it. */
export async function enroll(options: EnrollOptions): Promise<void> {
  const { addEnrolment } = await import('./enrolment/enrolment.ts');
  const { name, scope, for: life } = options;
  const milliseconds = parseDuration(life);
  const configuration = loadConfiguration(asked(options));
  const state = openState(configuration.data);
  try {
    const code = addEnrolment(state, { name, scope, life: milliseconds, by: whoRuns() }, systemClock);
    const expires = new Date(systemClock.now() + milliseconds).toISOString();
    if (options.json) print({ command: 'enroll', name, scope, code, expires });
    else {
      process.stdout.write(`${code}\n`);
      // Beside the code, which a script may take from standard output.
      const trade = `zkeep enroll --service ${addressKnown(configuration)} --code CODE`;
      process.stderr.write(`good once, until ${expires}; on the host of ${name}:\n  ${trade}\n`);
    }
  } finally {
    state.close();
  }
}

/** How agents reach the service, as far as the configuration tells. */
function addressKnown({ publicUrl, listen: { host, port } }: Configuration): string {
  if (publicUrl !== undefined) return publicUrl;
  const isKnown = port !== 0 && !isEverywhere(host);
  return isKnown ? `http://${host.includes(':') ? `[${host}]` : host}:${port}` : 'URL';
}

/** Prints all tokens, without their secrets. */
export function listTokens(options: CommonOptions): void {
  const tokens = withTokens(options, (known) => known.list());
  const lines = tokens.map(({ name, scope, created }) => `${scope.padEnd(8)}  ${created}  ${name}\n`);
  if (options.json) print({ command: 'token list', tokens });
  else process.stdout.write(lines.join(''));
}

/** Ends a token. */
export function removeToken(name: string, options: CommonOptions): void {
  withTokens(options, (tokens) => tokens.remove(name));
  if (options.json) print({ command: 'token remove', removed: name });
}

/** Makes the index anew; what cannot be used is told, and makes the exit code `damaged`. */
export async function rebuildIndex(options: RebuildOptions): Promise<void> {
  const { openFoundation } = await import('./foundation.ts');
  const { stderrLogger } = await import('./logger.ts');
  const configuration = loadConfiguration(asked(options));
  const log = stderrLogger(configuration.logLevel);
  const anew = options.fromManifests ? 'manifests' : 'copy';
  const foundation = await openFoundation({ configuration, clock: systemClock, log, anew });
  const backups = foundation.index.count();
  await foundation.close();
  const { report, journal, copy } = foundation;
  const problems = [...report.problems, ...journal.problems];
  if (options.json) {
    print({
      command: 'rebuild',
      manifests: report.listed,
      backups,
      copy: copy?.created ?? null,
      problems: problems.map(readable),
    });
  } else {
    const from = copy ? `, from its copy of ${copy.created}` : '';
    process.stdout.write(`the index has ${backups} of ${report.listed} backups${from}\n`);
  }
  if (problems.length > 0) process.exitCode = EXIT_CODES.damaged;
}

/** Prints one JSON document as one line, so that a script that waits for the service reads just that. */
export function print(document: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify({ zkeep: 1, ...document })}\n`);
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

/** Whom the journal names for what a command does; no token can be called so. */
function whoRuns(): string {
  try {
    return `${userInfo().username} (zkeep-server)`;
  } catch {
    // A user without an entry in the host's list.
    return `user ${process.getuid?.() ?? 'unknown'} (zkeep-server)`;
  }
}

function withTokens<T>(options: CommonOptions, work: (tokens: Tokens) => T): T {
  const state = openState(loadConfiguration(asked(options)).data);
  try {
    return work(new Tokens(state, systemClock, whoRuns()));
  } finally {
    state.close();
  }
}

function asked({ config, data, port }: ServeOptions): ConfigurationOptions {
  return { file: config, data, port };
}

function readable({ key, error }: RefreshProblem): Record<string, string> {
  return { key, code: error.code, message: error.message };
}
