/** What the agent is told: `/etc/zkeep/agent.toml`, checked whole. AGENT.md lists every key. */
import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { type Static, Type } from 'typebox';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import { checkToml, parseToml, type TomlPlace, wrongKey } from '../../catalog/toml.ts';
import { patienceBy, serviceUrl, USUAL_AGENT_FILE } from '../settings.ts';
import { type Bandwidth, BandwidthSchema, bandwidthSaid } from './bandwidth.ts';
import { type AnyJob, DrillJobSchema, drillSaid } from './jobs/drills/job.ts';
import { JobSchema, jobSaid, type TableTools } from './jobs/job.ts';
import { checkZone } from './zone.ts';

const closed = { additionalProperties: false };
const Text = Type.String({ minLength: 1, maxLength: 4096 });
const MOST_JOBS = 1000;

const FileSchema = Type.Object(
  {
    service: Type.Optional(Text),
    token_file: Type.Optional(Text),
    state: Type.Optional(Text),
    patience: Type.Optional(Type.String({ maxLength: 40 })),
    concurrency: Type.Optional(Type.Integer({ minimum: 1, maximum: 64 })),
    zone: Type.Optional(Type.String({ maxLength: 100 })),
    bandwidth: Type.Optional(BandwidthSchema),
    // Each is checked by itself, so that the error says which one is meant.
    job: Type.Optional(Type.Array(Type.Object({}), { maxItems: MOST_JOBS })),
    drill: Type.Optional(Type.Array(Type.Object({}), { maxItems: MOST_JOBS })),
  },
  closed,
);
type Said = Static<typeof FileSchema>;

/** Everything that an agent is told. What is `undefined` the options and the environment of its start decide. */
export interface AgentConfiguration {
  readonly file: string;
  /** Without a slash at the end. */
  readonly service: string | undefined;
  readonly tokenFile: string | undefined;
  /** The folder for what must outlive a run. */
  readonly state: string | undefined;
  /** Milliseconds. */
  readonly patience: number | undefined;
  /** Jobs that run at once. */
  readonly concurrency: number;
  readonly bandwidth: Bandwidth;
  /** Those that back up in the order of the file, then the drills; their names differ. */
  readonly jobs: readonly AnyJob[];
}

/** Where the file is: what the command line names, else `ZKEEP_AGENT_CONFIG`, else the usual place. */
export function agentFile(named: string | undefined, environment: NodeJS.ProcessEnv = process.env): string {
  return named || environment['ZKEEP_AGENT_CONFIG'] || USUAL_AGENT_FILE;
}

/**
 * Reads and checks the configuration.
 *
 * @throws {ZkeepError} `missing` (`configuration.unreadable`) when the file cannot be read, else what
 *   {@link parseAgentConfiguration} throws.
 * @example loadAgentConfiguration(agentFile(options.config)).jobs
 */
export function loadAgentConfiguration(file: string): AgentConfiguration {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ZkeepError('missing', 'configuration.unreadable', `cannot read ${file}: ${messageOf(cause)}`, {
      advice: 'zkeep enroll writes one to begin with; --config or ZKEEP_AGENT_CONFIG name another file',
      facts: { file },
      cause,
    });
  }
  return parseAgentConfiguration(text, file);
}

/**
 * The configuration that a TOML text says. Relative paths in it start from the file's folder.
 *
 * @throws {ZkeepError} `usage` (`configuration.malformed`, `configuration.wrong`) naming file, key and what is wrong.
 */
export function parseAgentConfiguration(text: string, file: string): AgentConfiguration {
  const place: TomlPlace = { file, reader: 'zkeep', page: 'agent/daemon/AGENT.md' };
  const said = checkToml(FileSchema, parseToml(text, file), place);
  const zone = said.zone ?? 'UTC';
  checkZone(zone, (reason) => wrongKey(place, 'zone', reason));
  const inFile = (path: string) => (isAbsolute(path) ? path : join(dirname(resolve(file)), path));
  return {
    file,
    service: attempt(place, 'service', () => said.service && serviceUrl({ service: said.service }, {})),
    tokenFile: said.token_file && inFile(said.token_file),
    state: said.state && inFile(said.state),
    patience: attempt(place, 'patience', () => said.patience && patienceBy({ patience: said.patience }, {})),
    concurrency: said.concurrency ?? 1,
    bandwidth: bandwidthSaid(said.bandwidth, { zone, place }),
    jobs: jobsSaid(said, { zone, place }, inFile),
  };
}

function jobsSaid(
  { job = [], drill = [] }: Pick<Said, 'job' | 'drill'>,
  { zone, place }: TableTools,
  inFile: (path: string) => string,
): AnyJob[] {
  const here = (section: string) => ({ zone, place: { ...place, section } });
  const jobs = job.map((said, at) => {
    const tools = here(sectionOf('job', said, at));
    return jobSaid(checkToml(JobSchema, said, tools.place), tools);
  });
  const drills = drill.map((said, at) => {
    const tools = here(sectionOf('drill', said, at));
    return drillSaid(checkToml(DrillJobSchema, said, tools.place), tools, inFile);
  });
  const all = [...jobs, ...drills];
  if (all.length > MOST_JOBS) throw wrongKey(place, 'drill', `and job are more than ${MOST_JOBS} in all`);
  const nameOf = (at: number) => (at < jobs.length ? `job ${at + 1}` : `drill ${at - jobs.length + 1}`);
  for (const [at, { name }] of all.entries()) {
    const first = all.findIndex((one) => one.name === name);
    if (first !== at)
      throw wrongKey(here(nameOf(at)).place, 'name', `"${name}" is that of ${nameOf(first)}, too`);
  }
  return all;
}

/** What a person looks for in the file: its name, else which one it is. */
function sectionOf(kind: string, said: object, at: number): string {
  const name = 'name' in said && typeof said.name === 'string' ? said.name : '';
  return /^[\w.-]{1,64}$/.test(name) ? `${kind} "${name}"` : `${kind} ${at + 1}`;
}

function attempt<T>(place: TomlPlace, key: string, work: () => T | '' | undefined): T | undefined {
  try {
    return work() || undefined;
  } catch (thrown) {
    throw wrongKey(place, key, `is wrong: ${messageOf(thrown)}`);
  }
}
