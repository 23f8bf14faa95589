/** `zkeep agent`: runs jobs by themselves, checks their configuration, runs one now. */
import type { Command } from 'commander';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { AgentStart } from '../../daemon/agent.ts';
import type { AgentLog } from '../../daemon/log.ts';
import type { CommonOptions } from '../../settings.ts';
import { common, exitCodeOf, patient, tellFailure } from '../command.ts';
import { addAgentCheck } from './check.ts';
import { addAgentDoctor } from './doctor.ts';
import { addAgentRun } from './run.ts';

export interface AgentOptions extends CommonOptions {
  readonly config?: string;
}

/** What ends the process at once. */
const INTERRUPTED = 130;

const EXAMPLE = `zkeep agent start                        in the foreground: systemd does the rest
zkeep agent --config /srv/agent.toml     the same, with another configuration`;

const GROUP_EXAMPLE = `zkeep agent check          what the configuration means on this host
zkeep agent run nightly    one run now, as the agent would do it
zkeep agent                runs until SIGTERM
zkeep agent doctor         what is not well on this host`;

export function addAgent(program: Command, exit: (code: number) => void): void {
  const agent = program
    .command('agent')
    .description('run backups by themselves, as /etc/zkeep/agent.toml says')
    .addHelpText('after', `\nExample:\n${GROUP_EXAMPLE.replace(/^/gm, '  ')}`);
  const start = agent
    .command('start', { isDefault: true })
    .description(
      'run jobs when they are due, until SIGTERM; SIGHUP reads the configuration anew (the default)',
    );
  common(patient(configured(start)), EXAMPLE).action(async (options: AgentOptions) => {
    exit(await runDaemon(options));
  });
  addAgentCheck(agent, exit);
  addAgentRun(agent, exit);
  addAgentDoctor(agent, exit);
}

/** Adds the option that names the configuration. */
export function configured(command: Command): Command {
  return command.option(
    '--config <file>',
    'configuration (ZKEEP_AGENT_CONFIG; default /etc/zkeep/agent.toml)',
  );
}

/** What the daemon and its commands are started with. */
export async function agentStart(options: AgentOptions, log: AgentLog): Promise<AgentStart> {
  const { agentFile } = await import('../../daemon/configuration.ts');
  const { version } = await import('../program.ts');
  return { file: agentFile(options.config), options, version: version(), log };
}

async function runDaemon(options: AgentOptions): Promise<number> {
  const stop = new AbortController();
  let reload: () => void = () => undefined;
  const onStop = (name: NodeJS.Signals) => {
    if (stop.signal.aborted) process.exit(INTERRUPTED);
    stop.abort(new ZkeepError('failed', 'agent.interrupted', `interrupted by ${name}`));
  };
  process.on('SIGTERM', onStop).on('SIGINT', onStop);
  process.on('SIGHUP', () => reload());
  try {
    const { jsonLog, wordsLog } = await import('../../daemon/log.ts');
    const { runAgent } = await import('../../daemon/agent.ts');
    const log = process.stderr.isTTY && !options.json ? wordsLog(process.stderr) : jsonLog();
    await runAgent(await agentStart(options, log), {
      stop: stop.signal,
      onReload: (work) => {
        reload = work;
      },
    });
    return 0;
  } catch (thrown) {
    await tellFailure('agent start', thrown, options.json === true);
    return exitCodeOf(thrown);
  }
}
