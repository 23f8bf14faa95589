/** Gathers what `status.ts` decides on. */
import type { Clock } from '../../catalog/clock.ts';
import type { CatalogIndex } from '../../catalog/index/catalog-index.ts';
import type { StatusAnswer, StatusQuery } from '../../catalog/protocol/agents.ts';
import type { Agents } from '../agents/agents.ts';
import type { Jobs } from '../jobs/runner.ts';
import { statusOf } from './status.ts';

export interface LookTools {
  readonly index: Pick<CatalogIndex, 'states' | 'policies'>;
  readonly agents: Pick<Agents, 'list'>;
  readonly jobs: Pick<Jobs, 'states'>;
  readonly clock: Clock;
}

/** How the datasets that are meant stand now. */
export function lookAt({ index, agents, jobs, clock }: LookTools, scope: StatusQuery = {}): StatusAnswer {
  return statusOf({
    now: clock.now(),
    datasets: index.states(scope),
    policies: index.policies(),
    agents: agents.list(),
    jobs: jobs.states(),
    scope,
  });
}
