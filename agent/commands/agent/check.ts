/** `zkeep agent check`: whether the configuration is right, and what it means on this host. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Command } from 'commander';
import { systemClock } from '../../../catalog/clock.ts';
import { messageOf } from '../../../catalog/errors.ts';
import type { DrillJob } from '../../daemon/jobs/drills/job.ts';
import type { Hooks, Job } from '../../daemon/jobs/job.ts';
import { counted, momentInWords } from '../../output/words.ts';
import { readIdentities } from '../../settings.ts';
import { listSource } from '../../zfs/list.ts';
import { common, type Outcome, perform, type Surroundings } from '../command.ts';
import { type AgentOptions, configured } from './agent.ts';

const EXAMPLE = `zkeep agent check
zkeep agent check --config ./agent.toml --json`;
const NEXT_RUNS = 3;
/** Most datasets that people are shown of a job. */
const SHOWN = 20;

export function addAgentCheck(agent: Command, exit: (code: number) => void): void {
  const command = agent
    .command('check')
    .description('check the configuration: what each job covers here, its next runs, its hooks');
  common(configured(command), EXAMPLE).action(async (options: AgentOptions) => {
    exit(await perform('agent check', options, check));
  });
}

/** A job as it is shown. */
interface Row {
  readonly job: string;
  readonly schedule: string;
  /** ISO 8601. */
  readonly next: readonly string[];
  readonly priority: number;
  readonly datasets: readonly string[];
  readonly hooks: { readonly before: Words; readonly after: Words; readonly ended: Words };
  /** `null`: it backs up. */
  readonly drill: Pick<DrillJob, 'datasets' | 'hosts' | 'to' | 'point'> | null;
  readonly problems: readonly string[];
}
type Words = readonly string[] | null;

async function check({ options, signal }: Surroundings<AgentOptions>): Promise<Outcome> {
  const { agentFile, loadAgentConfiguration } = await import('../../daemon/configuration.ts');
  const { hostDatasets } = await import('../../daemon/agent.ts');
  const configuration = loadAgentConfiguration(agentFile(options.config));
  const { datasets } = hostDatasets();
  const rows: Row[] = [];
  for (const job of configuration.jobs) {
    rows.push(job.kind === 'drill' ? await drillRow(job, signal) : await rowOf(job, datasets, signal));
  }
  const { file, concurrency, service = null } = configuration;
  const isIdle = configuration.jobs.every(({ kind }) => kind === 'drill');
  const problems = isIdle ? ['it has no jobs: nothing is backed up'] : [];
  return {
    document: { file, service, concurrency, jobs: rows, problems },
    text: [
      `${file}: ${counted(rows.length, 'job')}`,
      ...problems.map((words) => `! ${words}`),
      ...rows.map(inWords),
    ].join('\n'),
    exit: problems.length + rows.flatMap((row) => row.problems).length > 0 ? 1 : 0,
  };
}

async function rowOf(
  job: Job,
  datasetsOf: (job: Job, signal: AbortSignal) => Promise<readonly string[]>,
  signal: AbortSignal,
): Promise<Row> {
  const problems: string[] = [];
  let datasets: readonly string[] = [];
  try {
    datasets = await datasetsOf(job, signal);
    if (datasets.length === 0) problems.push('no dataset of this host fits');
    if (job.covered.kind === 'datasets') {
      const lacking = job.covered.named.filter((name) => !datasets.includes(name));
      problems.push(...lacking.map((name) => `there is no dataset ${name}, or it is excluded`));
    }
  } catch (thrown) {
    signal.throwIfAborted();
    problems.push(`what it covers is not known: ${messageOf(thrown)}`);
  }
  const { before = null, after = null, ended = null } = job.hooks;
  problems.push(...problemsOf(job.hooks));
  return {
    job: job.name,
    schedule: job.schedule.text,
    next: nextOf(job),
    priority: job.priority,
    datasets,
    hooks: { before, after, ended },
    drill: null,
    problems,
  };
}

/** What a drill may choose from only the service knows; where it restores to must be there. */
async function drillRow(job: DrillJob, signal: AbortSignal): Promise<Row> {
  const { name, schedule, priority, datasets, hosts, to, point, identity } = job;
  const problems: string[] = [];
  try {
    await listSource(to, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    problems.push(`it cannot restore to ${to}: ${messageOf(thrown)}`);
  }
  try {
    if (identity !== undefined) readIdentities(identity);
  } catch (thrown) {
    problems.push(messageOf(thrown));
  }
  return {
    ...{ job: name, schedule: schedule.text, next: nextOf(job), priority, datasets: [] },
    hooks: { before: null, after: null, ended: null },
    drill: { datasets, hosts, to, point },
    problems,
  };
}

function nextOf({ schedule }: Pick<Job, 'schedule'>): string[] {
  const next: string[] = [];
  let at: number | undefined = systemClock.now();
  while (next.length < NEXT_RUNS) {
    at = schedule.next(at);
    if (at === undefined) break;
    next.push(new Date(at).toISOString());
  }
  return next;
}

/** Programs that this user cannot run. */
function problemsOf(hooks: Hooks): string[] {
  return (['before', 'after', 'ended'] as const).flatMap((name) => {
    const [program] = hooks[name] ?? [];
    return program === undefined || isRunnable(program)
      ? []
      : [`the hook "${name}" cannot be run: ${program}`];
  });
}

function isRunnable(program: string): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const places = program.includes('/') ? [program] : folders.map((folder) => join(folder, program));
  return places.some((place) => {
    try {
      accessSync(place, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function inWords({ job, schedule, next, datasets, hooks, drill, problems }: Row): string {
  const moments = next.map((time) => momentInWords(Math.floor(Date.parse(time) / 1000)));
  const more = datasets.length > SHOWN ? [`    and ${datasets.length - SHOWN} more`] : [];
  const set = Object.entries(hooks).flatMap(([name, command]) =>
    command === null ? [] : [`  ${name}: ${command.join(' ')}`],
  );
  return [
    '',
    `${job}  ${schedule}`,
    `  next: ${moments.join(', ') || 'never'}`,
    drill
      ? `  a drill of the ${drill.point} snapshot of one of ${drill.datasets.join(', ')}, to ${drill.to}`
      : `  ${counted(datasets.length, 'dataset')}`,
    ...datasets.slice(0, SHOWN).map((dataset) => `    ${dataset}`),
    ...more,
    ...set,
    ...problems.map((words) => `  ! ${words}`),
  ].join('\n');
}
