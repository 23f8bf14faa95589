/** `zkeep jobs`: the jobs of the service, and having one run now. */
import { type Command, Option } from 'commander';
import type { JobName, JobState } from '../../catalog/protocol/events.ts';
import type { CommonOptions } from '../settings.ts';
import { common, type Outcome, perform, type Surroundings } from './command.ts';
import { accessOf } from './connect.ts';

interface JobsOptions extends CommonOptions {
  readonly run?: JobName;
}

const EXAMPLE = `zkeep jobs
zkeep jobs --run verify          needs an operator token; it does not wait for the end`;
const NAMES: JobName[] = ['verify', 'prune', 'sweep', 'copy', 'watch'];

export function addJobs(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('jobs')
    .description(
      'list the jobs of the service: what runs, how the last runs ended, when the next ones are due',
    )
    .addOption(new Option('--run <name>', 'have this job run now').choices(NAMES));
  common(command, EXAMPLE).action(async (options: JobsOptions) => exit(await perform('jobs', options, jobs)));
}

async function jobs(surroundings: Surroundings<JobsOptions>): Promise<Outcome> {
  const { options, signal } = surroundings;
  const { askJobs, runJob } = await import('../service/keeping.ts');
  const access = await accessOf(surroundings);
  const states =
    options.run === undefined ? await askJobs(access, signal) : [await runJob(access, options.run, signal)];
  return { document: { jobs: states }, text: await jobTable(states) };
}

async function jobTable(states: readonly JobState[]): Promise<string> {
  const { table } = await import('../output/table.ts');
  const { durationInWords, momentInWords } = await import('../output/words.ts');
  const momentOf = (time: string | null) => (time === null ? '-' : momentInWords(Date.parse(time) / 1000));
  return table(
    ['job', 'now', 'last', 'outcome', 'took', 'next', 'words'].map((title) => ({ title })),
    states.map(({ job, running, elsewhere, progress, last, next }) => [
      job,
      running ? 'runs' : elsewhere === null ? '-' : `runs in service ${elsewhere}`,
      last === null ? '-' : momentOf(last.at),
      last?.outcome ?? '-',
      last === null ? '-' : durationInWords(last.seconds),
      momentOf(next),
      (running ? progress : last?.words) ?? '',
    ]),
  );
}
