/** How every dataset stands, and with that the whole: decided purely, from what the index, the agents and the jobs say. */
import { type Expectation, expectedBy, type MeasuredRestore } from '../../catalog/chain/recovery.ts';
import { isFor, type Policy } from '../../catalog/chain/retention/policy.ts';
import { parseDuration } from '../../catalog/durations.ts';
import type { DatasetState } from '../../catalog/index/answers/state.ts';
import type { Drill } from '../../catalog/journal/entry.ts';
import {
  type AgentJob,
  type AgentRow,
  CLOCK_TOLERANCE,
  type DatasetStatus,
  type StatusAnswer,
} from '../../catalog/protocol/agents.ts';
import type { JobState } from '../../catalog/protocol/events.ts';

/** All that is known. */
export interface StatusFacts {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly datasets: readonly DatasetState[];
  readonly policies: readonly Policy[];
  readonly agents: readonly AgentRow[];
  readonly jobs: readonly JobState[];
  /** The last drills of all: what they measured is better than nothing, where none was of the host. */
  readonly drills?: readonly Drill[];
  /** Which datasets are meant, also of those that only a job covers; all when neither is named. */
  readonly scope: { readonly dataset?: string | undefined; readonly host?: string | undefined };
}

/** Worst first. */
const ORDER: readonly DatasetStatus['state'][] = ['broken', 'late', 'well'];

/**
 * The state of all datasets that are meant, the worst first, then by name. A dataset that goes on under
 * another name or on another host is left out, unless it is asked for by its name: nothing more comes from there.
 *
 * @example statusOf({ now, datasets: index.states(), policies, agents, jobs, scope: {} }).state // 'well'
 */
export function statusOf(facts: StatusFacts): StatusAnswer {
  for (const parts = statusInParts(facts); ; ) {
    const { done, value } = parts.next();
    if (done) return value;
  }
}

/** Datasets that are decided on at once: some milliseconds. */
const AT_ONCE = 200;

/** The same in steps of some milliseconds, so that others have their turn in between; the last one gives it. */
export function* statusInParts(facts: StatusFacts): Generator<void, StatusAnswer> {
  const { now, datasets, agents, scope } = facts;
  const coverage = coverageOf(agents);
  const expected = expectedOf(datasets, facts.drills ?? []);
  const objectives = objectivesOf(facts.policies);
  const all: DatasetStatus[] = [];
  for (let at = 0; at < datasets.length; at += AT_ONCE) {
    yield;
    for (const state of datasets.slice(at, at + AT_ONCE)) {
      if (state.continued !== null && scope.dataset === undefined) continue;
      all.push(statusOfKept(state, objectives, coverage.get(keyOf(state)) ?? null, expected, now));
    }
  }
  yield;
  const known = new Set(datasets.map(keyOf));
  for (const covering of coverage.values()) {
    if (known.has(keyOf(covering)) || !isMeant(covering, scope)) continue;
    all.push(statusOfLacking(covering, objectives));
    if (all.length % AT_ONCE === 0) yield;
  }
  const ordered: DatasetStatus[] = [];
  for (const wanted of ORDER) {
    yield;
    ordered.push(...all.filter(({ state }) => state === wanted).sort(byName));
  }
  const ofAgents = agentProblems(agents, scope, now);
  const ofJobs = jobProblems(facts.jobs);
  const isWhole = scope.dataset === undefined && scope.host === undefined;
  const counting = isWhole ? [...ofAgents, ...ofJobs] : ofAgents;
  const worst = ordered[0]?.state ?? 'well';
  return {
    at: new Date(now).toISOString(),
    state: worst === 'well' && counting.some(({ isLate }) => isLate) ? 'late' : worst,
    problems: [...ofAgents, ...ofJobs].map(({ words }) => words),
    datasets: ordered,
  };
}

/** A policy that has an objective. */
interface ReadyObjective {
  readonly policy: Policy;
  /** Seconds. */
  readonly objective: number;
}

function objectivesOf(policies: readonly Policy[]): ReadyObjective[] {
  return policies.flatMap((policy) => {
    if (policy.objective === undefined) return [];
    return { policy, objective: parseDuration(policy.objective) / 1000 };
  });
}

/** A job of an agent, and a dataset of its host. */
interface Covering {
  readonly host: string;
  readonly dataset: string;
  readonly agent: string;
  readonly job: AgentJob;
}

/** How long restores take, by their stored bytes. */
interface Expected {
  /** By lineage; and of all drills on a host, by the host that the snapshot is from. */
  readonly lineages: ReadonlyMap<string, Expectation>;
  readonly hosts: ReadonlyMap<string, Expectation>;
  readonly all: Expectation;
}

function statusOfKept(
  state: DatasetState,
  policies: readonly ReadyObjective[],
  covering: Covering | null,
  expected: Expected,
  now: number,
): DatasetStatus {
  const { host, dataset, lineage, newest, drill, continued } = state;
  const objective = continued ? null : objectiveOf(policies, state);
  const age = newest && Math.max(0, now / 1000 - newest.created);
  const isLate = objective !== null && age !== null && age > objective;
  const reasons = [
    ...(newest ? [] : ['nothing of it can be restored']),
    ...(state.lost > 0 && newest ? [`${state.lost} of its snapshots cannot be restored`] : []),
    ...(isLate ? ['its newest snapshot is older than the objective'] : []),
    ...(drill && !drill.passed ? ['its last drill did not pass'] : []),
    ...(continued ? [`it goes on as ${continued.dataset} on ${continued.host}`] : []),
  ];
  const isBroken = newest === null || state.lost > 0 || (drill !== null && !drill.passed);
  return {
    host,
    dataset,
    lineage,
    state: isBroken ? 'broken' : isLate ? 'late' : 'well',
    reasons,
    newest: newest && { guid: newest.guid, name: newest.name, created: newest.created },
    age,
    objective,
    snapshots: state.snapshots,
    stored: state.stored,
    chain: newest && { steps: newest.steps, stored: newest.chain },
    proven: { light: momentOf(state.light), deep: momentOf(state.deep) },
    damaged: state.damaged,
    lost: state.lost,
    drill: drill && {
      at: drill.at,
      passed: drill.passed,
      seconds: drill.restore_seconds,
      bytes: drill.stored,
    },
    recovery:
      newest &&
      (expected.lineages.get(lineage)?.(newest.chain) ??
        expected.hosts.get(host)?.(newest.chain) ??
        expected.all(newest.chain)),
    covered: covering && coveredBy(covering),
  };
}

/** A job covers it, and nothing of it was ever stored: that is late as soon as a run has ended, or an objective holds. */
function statusOfLacking(covering: Covering, policies: readonly ReadyObjective[]): DatasetStatus {
  const { host, dataset, job } = covering;
  const objective = objectiveOf(policies, { host, dataset, lineage: null });
  const isLate = job.last !== null || objective !== null;
  return {
    host,
    dataset,
    lineage: null,
    state: isLate ? 'late' : 'well',
    reasons: ['nothing of it is stored yet'],
    newest: null,
    age: null,
    objective,
    snapshots: 0,
    stored: 0,
    chain: null,
    proven: { light: null, deep: null },
    damaged: 0,
    lost: 0,
    drill: null,
    recovery: null,
    covered: coveredBy(covering),
  };
}

/** The strictest, seconds; `null`: no policy that is for it has one. */
function objectiveOf(
  policies: readonly ReadyObjective[],
  {
    host,
    dataset,
    lineage,
  }: { readonly host: string; readonly dataset: string; readonly lineage: string | null },
): number | null {
  const found = policies.flatMap(({ policy, objective }) => {
    const isMeantByName = isFor(policy, { host, dataset });
    const applies = isMeantByName || policy.lineages.some((one) => one === lineage);
    return applies ? [objective] : [];
  });
  return found.length > 0 ? Math.min(...found) : null;
}

/** Which job covers which dataset; of several, the one that runs next. */
function coverageOf(agents: readonly AgentRow[]): Map<string, Covering> {
  const covering = new Map<string, Covering>();
  for (const { agent, host, jobs } of agents) {
    for (const job of jobs) {
      for (const dataset of job.datasets) {
        const key = keyOf({ host, dataset });
        const other = covering.get(key);
        if (!other || (job.next ?? '9') < (other.job.next ?? '9'))
          covering.set(key, { host, dataset, agent, job });
      }
    }
  }
  return covering;
}

function coveredBy({ agent, job: { name, next, last } }: Covering): DatasetStatus['covered'] {
  return { agent, job: name, next, last };
}

/** As the last drills measured it that passed. */
function expectedOf(datasets: readonly DatasetState[], drills: readonly Drill[]): Expected {
  const [lineages, hosts] = [new Map<string, MeasuredRestore[]>(), new Map<string, MeasuredRestore[]>()];
  for (const { drill, lineage, host } of datasets) {
    if (!drill?.passed) continue;
    const measured = measuredBy(drill);
    addTo(lineages, lineage, measured);
    addTo(hosts, host, measured);
  }
  const expected = (measured: ReadonlyMap<string, readonly MeasuredRestore[]>) =>
    new Map([...measured].map(([key, all]) => [key, expectedBy(all)]));
  const all = expectedBy(drills.filter(({ passed }) => passed).map(measuredBy));
  return { lineages: expected(lineages), hosts: expected(hosts), all };
}

function measuredBy({ stored, restore_seconds: seconds }: Drill): MeasuredRestore {
  return { bytes: stored, seconds };
}

function addTo<T>(map: Map<string, T[]>, key: string, one: T): void {
  const all = map.get(key);
  if (all) all.push(one);
  else map.set(key, [one]);
}

/** What is wrong beside the datasets. */
interface Problem {
  readonly words: string;
  /** Something is not done that should have been by now. Where no policy has an objective, nothing else tells. */
  readonly isLate: boolean;
}

/** Of the agents that are meant: those of the host, and those of which a job covers the dataset. */
function agentProblems(agents: readonly AgentRow[], scope: StatusFacts['scope'], now: number): Problem[] {
  const { host: ofHost, dataset } = scope;
  const covers = ({ datasets }: AgentJob) => dataset === undefined || datasets.includes(dataset);
  return agents
    .filter(({ host, jobs }) => (ofHost ?? host) === host && (dataset === undefined || jobs.some(covers)))
    .flatMap((agent) => [...silence(agent, now), ...clockOf(agent), ...failing(agent, covers)]);
}

function silence(agent: AgentRow, now: number): Problem[] {
  if (!agent.away) return [];
  const words = `agent ${whoIs(agent)} was last heard of ${longAgo(now - Date.parse(agent.seen))}`;
  const forGood = `where it is gone for good: zkeep-server token remove ${agent.agent}`;
  return [{ words: `${words} (${forGood})`, isLate: true }];
}

function longAgo(milliseconds: number): string {
  const minutes = Math.round(milliseconds / 60_000);
  if (minutes < 120) return `${minutes} minutes ago`;
  return minutes < 2 * 24 * 60
    ? `${Math.round(minutes / 60)} hours ago`
    : `${Math.round(minutes / 1440)} days ago`;
}

function clockOf(agent: AgentRow): Problem[] {
  const { ahead } = agent;
  if (Math.abs(ahead) <= CLOCK_TOLERANCE) return [];
  const seconds = Math.round(Math.abs(ahead) / 1000);
  const words = `the clock of agent ${whoIs(agent)} is ${seconds} seconds ${ahead > 0 ? 'ahead' : 'behind'}`;
  return [{ words, isLate: false }];
}

function failing(agent: AgentRow, isMeantJob: (job: AgentJob) => boolean): Problem[] {
  return agent.jobs
    .filter((job) => job.failing && isMeantJob(job))
    .map(({ name, last }) => {
      const words = `job ${name} of agent ${whoIs(agent)} fails${last ? `: ${last.words}` : ''}`;
      return { words, isLate: true };
    });
}

function whoIs({ agent, host }: AgentRow): string {
  return agent === host ? agent : `${agent} on ${host}`;
}

function jobProblems(jobs: readonly JobState[]): Problem[] {
  return jobs.flatMap(({ job, last }) =>
    last?.outcome === 'failed'
      ? [{ words: `the service's job ${job} failed: ${last.words}`, isLate: true }]
      : [],
  );
}

function byName(a: DatasetStatus, b: DatasetStatus): number {
  return compare(a.dataset, b.dataset) || compare(a.host, b.host);
}

function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function isMeant(
  { host, dataset }: { readonly host: string; readonly dataset: string },
  scope: StatusFacts['scope'],
): boolean {
  return (scope.host ?? host) === host && (scope.dataset ?? dataset) === dataset;
}

/** No name of a host or dataset holds a NUL. */
function keyOf({ host, dataset }: { readonly host: string; readonly dataset: string }): string {
  return `${host}\0${dataset}`;
}

function momentOf(milliseconds: number | null): string | null {
  return milliseconds === null ? null : new Date(milliseconds).toISOString();
}
