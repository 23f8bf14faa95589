/** A drill that runs by itself, as the configuration says it. */
import { type Static, Type } from 'typebox';
import { wrongKey } from '../../../../catalog/toml.ts';
import { parseDataset } from '../../../zfs/names.ts';
import {
  attempt,
  checkPatterns,
  type Job,
  PatternsSchema,
  type Planned,
  type TableTools,
  whenKeys,
  whenSaid,
} from '../job.ts';

export const DrillJobSchema = Type.Object(
  {
    ...whenKeys,
    datasets: PatternsSchema,
    hosts: Type.Optional(PatternsSchema),
    to: Type.String({ minLength: 1, maxLength: 255 }),
    point: Type.Optional(Type.Union([Type.Literal('newest'), Type.Literal('random')])),
    identity: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
  },
  { additionalProperties: false },
);
type Said = Static<typeof DrillJobSchema>;

/** What is tried, and where. */
export interface DrillJob extends Planned {
  readonly kind: 'drill';
  /** Patterns of datasets that the service has, and of the hosts they are from. */
  readonly datasets: readonly string[];
  readonly hosts: readonly string[];
  /** The scratch place. */
  readonly to: string;
  readonly point: 'newest' | 'random';
  /** The file with the age identities; `undefined`: none is needed. */
  readonly identity: string | undefined;
}

/** What the daemon runs. */
export type AnyJob = Job | DrillJob;

/**
 * What the table of a drill says.
 *
 * @param inFile makes a path of the file one of this host.
 * @throws {ZkeepError} `usage` naming the key and what is wrong with it.
 */
export function drillSaid(said: Said, tools: TableTools, inFile: (path: string) => string): DrillJob {
  const wrong = (key: string, reason: string) => wrongKey(tools.place, key, reason);
  const { datasets, hosts = ['**'], to, point = 'newest', identity } = said;
  checkPatterns(datasets, wrong);
  attempt(
    () => parseDataset(to),
    (why) => wrong('to', why),
  );
  return {
    kind: 'drill',
    ...whenSaid(said, tools),
    datasets,
    hosts,
    to,
    point,
    identity: identity === undefined ? undefined : inFile(identity),
  };
}
