/** What the routes are given: the parts of a running service. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { Clock } from '../catalog/clock.ts';
import type { CatalogIndex } from '../catalog/index/catalog-index.ts';
import type { Repository } from '../catalog/repository/repository.ts';
import type { DirectoryStore } from '../catalog/repository/store/directory-store.ts';
import type { Granter } from '../catalog/repository/store/store.ts';
import type { Agents } from './agents/agents.ts';
import type { Backups } from './backup/backups.ts';
import type { Enrolments } from './enrolment/enrolment.ts';
import type { SelfGranter } from './grants.ts';
import type { InUse } from './jobs/in-use.ts';
import type { Prune } from './jobs/prune/prune.ts';
import type { Jobs } from './jobs/runner.ts';
import type { Journal } from './journal/journal.ts';
import type { Notices } from './notices/notices.ts';
import type { Sets } from './sets/sets.ts';

/** Fastify, with types taken from TypeBox schemas. */
export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

export interface Service {
  readonly repository: Repository;
  readonly index: CatalogIndex;
  readonly granter: Granter;
  readonly backups: Backups;
  readonly sets: Sets;
  readonly journal: Journal;
  readonly jobs: Jobs;
  readonly prune: Prune;
  readonly agents: Agents;
  readonly enrolments: Enrolments;
  readonly notices: Notices;
  /** What this service is reading: it is not removed meanwhile. */
  readonly inUse: InUse;
  readonly clock: Clock;
  /** Set when the service itself takes the granted requests. */
  readonly objects: { readonly store: DirectoryStore; readonly granter: SelfGranter } | undefined;
}
