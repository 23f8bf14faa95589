/** Which jobs of an agent fail now and did not before, and which are well again. Decided here, purely. */
import type { Fact } from '../../catalog/journal/entry.ts';
import type { AgentJob, CheckIn } from '../../catalog/protocol/agents.ts';

/** Most datasets that a fact names. */
const MOST = 100;

/**
 * What the journal is told of two check-ins of one agent.
 *
 * @param before the one before; `undefined`: the first.
 * @example outcomeChanges(before, now) // [{ kind: 'run.failed', host: 'mds1', job: 'nightly', ... }]
 */
export function outcomeChanges(before: CheckIn | undefined, { host, jobs }: CheckIn): Fact[] {
  const failed = new Set(before?.jobs.filter(({ failing }) => failing).map(({ name }) => name));
  return jobs.flatMap((job): Fact[] => {
    if (job.failing === failed.has(job.name)) return [];
    return [job.failing ? failedFact(host, job) : { kind: 'run.recovered', host, job: job.name }];
  });
}

function failedFact(host: string, { name, datasets, last }: AgentJob): Fact {
  const [words, failed] = [last?.words ?? '', last?.failed ?? datasets];
  return { kind: 'run.failed', host, job: name, datasets: failed.slice(0, MOST), words };
}
