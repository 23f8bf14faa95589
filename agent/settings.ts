/** What every command is told: by its options, by the environment, by files in their usual places. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { durationMeant } from '../catalog/durations.ts';
import { messageOf, ZkeepError } from '../catalog/errors.ts';
import { DEFAULT_PATIENCE } from '../catalog/patience.ts';
import { DEFAULT_PORT } from '../catalog/protocol/protocol.ts';

/** The options that every command has, as commander gives them. */
export interface CommonOptions {
  readonly service?: string;
  readonly tokenFile?: string;
  readonly repository?: string;
  readonly identity?: string;
  readonly patience?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** The agent's configuration, when nothing names another file. */
export const USUAL_AGENT_FILE = '/etc/zkeep/agent.toml';

/** Milliseconds. */
const LONGEST_PATIENCE = 30 * 24 * 3600 * 1000;
/** Largest token or identity file, bytes. */
const MAX_FILE = 64 * 1024;

/**
 * The address of the service, without a slash at the end.
 *
 * @throws {ZkeepError} `usage` when it is none.
 */
export function serviceUrl(options: CommonOptions, environment: NodeJS.ProcessEnv = process.env): string {
  const text = options.service ?? environment['ZKEEP_SERVICE'] ?? `http://127.0.0.1:${DEFAULT_PORT}`;
  const url = URL.parse(text);
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.search || url.hash || url.username) {
    throw new ZkeepError(
      'usage',
      'settings.service',
      `${JSON.stringify(text)} is not the address of a service`,
      {
        advice: 'write it as http://HOST:PORT or https://HOST',
        facts: { service: text },
      },
    );
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

/**
 * The token: of the file that is named, else of `ZKEEP_TOKEN`, else of the usual files.
 *
 * @throws {ZkeepError} `denied` with the places where none was found.
 */
export function serviceToken(options: CommonOptions, environment: NodeJS.ProcessEnv = process.env): string {
  if (options.tokenFile !== undefined) return checkToken(readNamed(options.tokenFile), options.tokenFile);
  if (environment['ZKEEP_TOKEN']) return checkToken(environment['ZKEEP_TOKEN'], 'ZKEEP_TOKEN');
  const named = environment['ZKEEP_TOKEN_FILE'];
  if (named) return checkToken(readNamed(named), named);
  const usual = usualTokenFiles(environment);
  for (const file of usual) {
    const text = readIfThere(file);
    if (text !== undefined) return checkToken(text, file);
  }
  throw new ZkeepError(
    'denied',
    'settings.no-token',
    `there is no token: ${usual.join(' and ')} do not exist`,
    {
      advice: 'zkeep-server token add makes one; put it there, or name its file by --token-file',
      facts: { places: usual },
    },
  );
}

/** The file that {@link serviceToken} reads; `undefined`: none, or the environment holds the token itself. */
export function tokenPlace(
  options: Pick<CommonOptions, 'tokenFile'>,
  environment: NodeJS.ProcessEnv = process.env,
): string | undefined {
  if (options.tokenFile !== undefined) return options.tokenFile;
  if (environment['ZKEEP_TOKEN']) return undefined;
  return environment['ZKEEP_TOKEN_FILE'] || usualTokenFiles(environment).find((file) => existsSync(file));
}

/**
 * The options, with what the agent's configuration says of the service where neither they nor the environment
 * do. That file is checked whole only by `zkeep agent`: a mistake in a job keeps nobody from a restore.
 *
 * @param usual the file, unless `ZKEEP_AGENT_CONFIG` names one; there may be none.
 * @throws {ZkeepError} `usage` when it is no TOML, `denied` when it is there and cannot be read.
 * @example serviceUrl(await withAgentFile(options))
 */
export async function withAgentFile<Options extends CommonOptions>(
  options: Options,
  environment: NodeJS.ProcessEnv = process.env,
  usual: string = USUAL_AGENT_FILE,
): Promise<Options> {
  const isKnown = (option: string | undefined, ...names: string[]) =>
    option !== undefined || names.some((name) => environment[name] !== undefined);
  const lacks = {
    service: !isKnown(options.service, 'ZKEEP_SERVICE'),
    tokenFile: !isKnown(options.tokenFile, 'ZKEEP_TOKEN', 'ZKEEP_TOKEN_FILE'),
  };
  if (options.repository !== undefined || (!lacks.service && !lacks.tokenFile)) return options;
  const file = environment['ZKEEP_AGENT_CONFIG'] || usual;
  const text = readIfThere(file);
  if (text === undefined) return options;
  const { parseToml } = await import('../catalog/toml.ts');
  const said = Object.entries(Object(parseToml(text, file)));
  const textOf = (key: string) =>
    said.find(([name, value]) => name === key && typeof value === 'string')?.[1];
  const [service, token] = [textOf('service'), textOf('token_file')];
  return {
    ...options,
    ...(lacks.service && typeof service === 'string' ? { service } : {}),
    ...(lacks.tokenFile && typeof token === 'string'
      ? { tokenFile: isAbsolute(token) ? token : join(dirname(file), token) }
      : {}),
  };
}

/**
 * How long service and store are waited for, milliseconds: of the option, else of `ZKEEP_PATIENCE`, else 15 minutes.
 *
 * @throws {ZkeepError} `usage` for what is no duration.
 * @example patienceBy({ patience: '1h30m' }) // 5400000
 */
export function patienceBy(
  options: Pick<CommonOptions, 'patience'>,
  environment: NodeJS.ProcessEnv = process.env,
): number {
  const text = options.patience ?? environment['ZKEEP_PATIENCE'];
  if (text === undefined || (text === '' && options.patience === undefined)) return DEFAULT_PATIENCE;
  const milliseconds = durationMeant(text);
  if (milliseconds !== undefined && milliseconds <= LONGEST_PATIENCE) return milliseconds;
  throw new ZkeepError(
    'usage',
    'settings.patience',
    `${JSON.stringify(text.slice(0, 40))} is no time to wait for`,
    {
      advice: 'write it as 90s, 15m, 1h30m or 2d, at most 30d; 0 is to give up at once',
      facts: { patience: text },
    },
  );
}

/**
 * The age identities in a file: a line each, `#` begins a comment.
 *
 * @throws {ZkeepError} `usage` when it holds none.
 */
export function readIdentities(file: string): string[] {
  const lines = readNamed(file)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (lines.length > 0 && lines.every((line) => /^AGE-SECRET-KEY-[A-Z0-9-]+$/.test(line))) return lines;
  throw new ZkeepError('usage', 'settings.identity', `${file} is not an age identity file`, {
    advice: 'each of its lines begins with AGE-SECRET-KEY-; age-keygen makes such a file',
    facts: { file },
  });
}

/**
 * The folder for what must outlive a run on this host: `ZKEEP_STATE`, else
 * `/var/lib/zkeep` for root and `$XDG_STATE_HOME/zkeep` for others.
 */
export function stateFolder(
  environment: NodeJS.ProcessEnv = process.env,
  isRoot: boolean = process.getuid?.() === 0,
): string {
  if (environment['ZKEEP_STATE']) return environment['ZKEEP_STATE'];
  if (isRoot) return '/var/lib/zkeep';
  const home = environment['XDG_STATE_HOME'] || join(environment['HOME'] || homedir(), '.local/state');
  return join(home, 'zkeep');
}

function usualTokenFiles(environment: NodeJS.ProcessEnv): string[] {
  const home = environment['XDG_CONFIG_HOME'] || join(environment['HOME'] || homedir(), '.config');
  return ['/etc/zkeep/token', join(home, 'zkeep', 'token')];
}

/** A token is one line of visible ASCII: anything else would spoil the header that carries it. */
function checkToken(text: string, place: string): string {
  const token = text.trim();
  if (/^[\x21-\x7e]{1,200}$/.test(token)) return token;
  throw new ZkeepError('usage', 'settings.token', `${place} does not hold a token`, {
    advice: 'it is one line, as zkeep-server token add printed it',
    facts: { place },
  });
}

function readNamed(file: string): string {
  const text = readIfThere(file);
  if (text !== undefined) return text;
  throw new ZkeepError('missing', 'settings.no-file', `there is no file ${file}`, { facts: { file } });
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file).subarray(0, MAX_FILE).toString('utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new ZkeepError('denied', 'settings.unreadable', `cannot read ${file}: ${messageOf(cause)}`, {
      advice: 'see that this user may read it',
      facts: { file },
      cause,
    });
  }
}
