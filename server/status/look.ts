/** Gathers what `status.ts` decides on. */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../catalog/clock.ts';
import type { DatasetState } from '../../catalog/index/answers/state.ts';
import type { CatalogIndex } from '../../catalog/index/catalog-index.ts';
import type { StatusAnswer, StatusQuery } from '../../catalog/protocol/agents.ts';
import type { Agents } from '../agents/agents.ts';
import type { Jobs } from '../jobs/runner.ts';
import type { Notices } from '../notices/notices.ts';
import { statusInParts } from './status.ts';

export interface LookTools {
  readonly index: Pick<CatalogIndex, 'statesInParts' | 'policies' | 'drills'>;
  readonly agents: Pick<Agents, 'list'>;
  readonly jobs: Pick<Jobs, 'states'>;
  readonly notices: Pick<Notices, 'problems'>;
  readonly clock: Clock;
}

/** So many of the last drills say how long a restore takes where no other one does. */
const DRILLS = 50;

/** How the datasets that are meant stand now: of tens of thousands, in parts between which others have their turn. */
export async function lookAt(
  { index, agents, jobs, notices, clock }: LookTools,
  scope: StatusQuery = {},
): Promise<StatusAnswer> {
  const datasets: DatasetState[] = [];
  for (const part of index.statesInParts(scope)) {
    for (const state of part) datasets.push(state);
    await setImmediate();
  }
  const parts = statusInParts({
    now: clock.now(),
    datasets,
    policies: index.policies(),
    agents: agents.list(),
    jobs: jobs.states(),
    drills: index.drills({ limit: DRILLS }).drills,
    scope,
  });
  for (;;) {
    const { done, value } = parts.next();
    if (done) return { ...value, problems: [...value.problems, ...notices.problems()] };
    await setImmediate();
  }
}
