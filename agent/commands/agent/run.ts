/** `zkeep agent run`: one run of a job, now, as the daemon would do it. */
import type { Command } from 'commander';
import { EXIT_CODES, ZkeepError } from '../../../catalog/errors.ts';
import type { AgentLog } from '../../daemon/log.ts';
import { common, type Outcome, patient, perform, type Surroundings } from '../command.ts';
import { type AgentOptions, agentStart, configured } from './agent.ts';

const EXAMPLE = `zkeep agent run nightly
zkeep agent run nightly --json`;
/** Some of several could not be stored. */
const SOME_FAILED = 7;

export function addAgentRun(agent: Command, exit: (code: number) => void): void {
  const command = agent
    .command('run')
    .description('run a job now, with its hooks; its schedule stays as it is')
    .argument('<job>', 'its name in the configuration');
  common(patient(configured(command)), EXAMPLE).action(async (job: string, options: AgentOptions) => {
    exit(await perform('agent run', options, async (surroundings) => await run(job, surroundings)));
  });
}

async function run(name: string, surroundings: Surroundings<AgentOptions>): Promise<Outcome> {
  const { options, progress, signal } = surroundings;
  const { runJobNow } = await import('../../daemon/agent.ts');
  const note = (_facts: unknown, words: string) => progress.note(words);
  const log: AgentLog = { info: note, warn: note, error: note };
  const end = await runJobNow(name, await agentStart(options, log), signal);
  // The interruption is what is told.
  if (end.outcome === 'interrupted') signal.throwIfAborted();
  const { outcome, words, stored, failed } = end;
  const failure = outcome === 'done' ? undefined : new ZkeepError('failed', 'agent.run-failed', words);
  return {
    document: { job: name, outcome, words, stored, failed, ...(failure ? { error: failure.toJSON() } : {}) },
    text: outcome === 'done' ? `${name}: ${words}` : '',
    failures: failure ? [{ what: name, failure }] : [],
    exit: outcome === 'done' ? 0 : outcome === 'partly' ? SOME_FAILED : EXIT_CODES.failed,
  };
}
