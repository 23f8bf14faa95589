/** Gathers what `status.ts` decides on. */
import type { Clock } from '../../catalog/clock.ts';
import type { CatalogIndex } from '../../catalog/index/catalog-index.ts';
import type { StatusAnswer, StatusQuery } from '../../catalog/protocol/agents.ts';
import type { Agents } from '../agents/agents.ts';
import type { Jobs } from '../jobs/runner.ts';
import type { Notices } from '../notices/notices.ts';
import { statusOf } from './status.ts';

export interface LookTools {
  readonly index: Pick<CatalogIndex, 'states' | 'policies'>;
  readonly agents: Pick<Agents, 'list'>;
  readonly jobs: Pick<Jobs, 'states'>;
  readonly notices: Pick<Notices, 'problems'>;
  readonly clock: Clock;
}

/** How the datasets that are meant stand now. */
export function lookAt(
  { index, agents, jobs, notices, clock }: LookTools,
  scope: StatusQuery = {},
): StatusAnswer {
  const status = statusOf({
    now: clock.now(),
    datasets: index.states(scope),
    policies: index.policies(),
    agents: agents.list(),
    jobs: jobs.states(),
    scope,
  });
  return { ...status, problems: [...status.problems, ...notices.problems()] };
}
