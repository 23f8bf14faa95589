/** `zkeep enroll`: trades a one-time code for this host's token. */
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import { type CommonOptions, serviceUrl, USUAL_AGENT_FILE } from '../settings.ts';
import { common, type Outcome, perform, type Surroundings } from './command.ts';
import { patienceOf } from './connect.ts';

interface EnrollOptions extends CommonOptions {
  readonly code?: string;
  readonly force?: boolean;
  readonly config?: string;
}

const USUAL_TOKEN_FILE = '/etc/zkeep/token';
/** How long a service that has given the token is asked with it, milliseconds. */
const SEE_TIMEOUT = 30_000;

const EXAMPLE = `zkeep enroll --service https://zkeep.example.org --code K7QW-0V1M-ABCD-EFGH
zkeep enroll --service https://zkeep.example.org --code -      the code is read from standard input`;

export function addEnroll(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('enroll')
    .description('trade a one-time code of zkeep-server enroll for the token of this host')
    .option('--code <code>', 'the code; - reads it from standard input')
    .option('--force', 'replace a token that is there')
    .option(
      '--config <file>',
      'write a configuration to begin with there, unless there is one (default /etc/zkeep/agent.toml)',
    );
  common(command, EXAMPLE).action(async (options: EnrollOptions) => {
    exit(await perform('enroll', options, enroll));
  });
  const service = command.options.find(({ long }) => long === '--service');
  // Of this command alone, see serviceSaid.
  if (service) service.description = 'address of the catalog service (ZKEEP_SERVICE); it must be named';
}

async function enroll(surroundings: Surroundings<EnrollOptions>): Promise<Outcome> {
  const { options, progress, signal } = surroundings;
  const url = serviceUrl(serviceSaid(options));
  const { beginConfiguration, codeMeant, firstConfiguration, TokenFile } = await import('../enrolment.ts');
  const { enrol, seeRepository, seeService } = await import('../service/agents.ts');
  const code = codeMeant(await codeSaid(options));
  const file = options.tokenFile ?? USUAL_TOKEN_FILE;
  const access = { url, token: '', patience: patienceOf(surroundings) };
  if (isBare(url)) progress.note(`${url} is not encrypted: whoever listens on the way gets the token`);
  await seeService(access, signal);
  const prepared = await TokenFile.prepare(file, options.force === true);
  let answer: Awaited<ReturnType<typeof enrol>>;
  try {
    answer = await enrol(access, { code, host: hostname() }, signal);
    await prepared.write(answer.token);
  } catch (thrown) {
    await prepared.giveUp();
    throw thrown;
  }
  // With this the code is used up for good, for whoever may have heard it on the way.
  const { token, name, scope } = answer;
  await seeRepository({ ...access, token }, AbortSignal.any([signal, AbortSignal.timeout(SEE_TIMEOUT)]));
  const configuration = options.config ?? process.env['ZKEEP_AGENT_CONFIG'] ?? USUAL_AGENT_FILE;
  const text = firstConfiguration(url, options.tokenFile && resolve(options.tokenFile));
  let isNew = false;
  try {
    isNew = await beginConfiguration(configuration, text);
  } catch (thrown) {
    progress.note(messageOf(thrown));
  }
  return {
    document: { service: url, name, scope, token_file: file, configuration: isNew ? configuration : null },
    text: [
      `enrolled as ${name}, with scope ${scope}; the token is in ${file}`,
      isNew
        ? `next: say in ${configuration} what is to be backed up, see it with "zkeep agent check", start "zkeep agent"`
        : 'next: "zkeep agent check" shows what is backed up, "zkeep backup DATASET" does so by hand',
    ].join('\n'),
  };
}

/** The usual address is for commands on the service's own host: here it would be a slip. */
function serviceSaid(options: EnrollOptions): CommonOptions {
  if (options.service !== undefined || process.env['ZKEEP_SERVICE'] !== undefined) return options;
  throw new ZkeepError('usage', 'enrol.service', 'no service is named', {
    advice: 'name it: --service https://HOST',
  });
}

async function codeSaid({ code }: EnrollOptions): Promise<string> {
  if (code === undefined) {
    throw new ZkeepError('usage', 'enrol.no-code', 'no code is given', {
      advice: 'zkeep-server enroll --name NAME prints one, where the service runs; then --code CODE here',
    });
  }
  if (code !== '-') return code;
  const pieces: Buffer[] = [];
  for await (const piece of process.stdin) {
    pieces.push(Buffer.from(piece));
    if (pieces.reduce((size, one) => size + one.length, 0) > 1000) break;
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** Whether a token would travel where others listen. */
function isBare(url: string): boolean {
  const { protocol, hostname: host } = new URL(url);
  return protocol === 'http:' && !/^(127\.|localhost$|\[::1\]$)/.test(host);
}
