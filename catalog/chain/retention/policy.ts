/** What an administrator says once: what is to be kept of which datasets, and how far apart its points may be. */
import { type Static, Type } from 'typebox';
import { durationMeant } from '../../durations.ts';
import { ZkeepError } from '../../errors.ts';
import { matches } from '../../patterns.ts';
import { LineageIdSchema } from '../../schema.ts';

/** As `durationMeant` reads it: `36h`, `30d`. */
export const DurationSchema = Type.String({
  pattern: '^[0-9]+[wdhms]?([0-9]+[wdhms])*$',
  maxLength: 40,
  description: 'a duration such as 36h, 30d or 4w',
});
/** As `matches` reads it. */
const PatternSchema = Type.String({ minLength: 1, maxLength: 255 });
const CountSchema = Type.Integer({ minimum: 0, maximum: 100_000 });
export const PolicyNameSchema = Type.String({
  pattern: '^[a-z0-9][a-z0-9._-]{0,63}$',
  description: 'up to 64 small letters, digits and . _ -, a letter or digit first',
});

/**
 * A snapshot is kept when any of these rules keeps it; `hourly = 24` keeps the newest snapshot of
 * each of the last 24 hours that have one. Without any rule everything is kept.
 */
export const KeepSchema = Type.Object(
  {
    /** The newest N. */
    last: Type.Optional(CountSchema),
    /** All that are no older than this. */
    within: Type.Optional(DurationSchema),
    hourly: Type.Optional(CountSchema),
    daily: Type.Optional(CountSchema),
    weekly: Type.Optional(CountSchema),
    monthly: Type.Optional(CountSchema),
    yearly: Type.Optional(CountSchema),
  },
  { additionalProperties: false },
);
export type Keep = Static<typeof KeepSchema>;

/** When the next backup of a dataset is a full one, because its chain is too long or too dear. */
export const ChainLimitsSchema = Type.Object(
  {
    /** Most backups from nothing to the newest snapshot. */
    steps: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
    /** Most stored bytes of the increments, as a multiple of those of the full backup that they stand on. */
    ratio: Type.Optional(Type.Number({ minimum: 0.01, maximum: 1000 })),
    /** Longest restore that is expected, by the rates that were measured. */
    restore: Type.Optional(DurationSchema),
  },
  { additionalProperties: false },
);
export type ChainLimits = Static<typeof ChainLimitsSchema>;

export const PolicySchema = Type.Object(
  {
    name: PolicyNameSchema,
    /** Datasets that it is for, by patterns; all of the hosts when it is empty. */
    datasets: Type.Array(PatternSchema, { maxItems: 1000 }),
    /** Hosts that it is for, by patterns; all when it is empty. */
    hosts: Type.Array(PatternSchema, { maxItems: 1000 }),
    /** Lineages that it is for, whatever their datasets; with these alone it is for no others. */
    lineages: Type.Array(LineageIdSchema, { maxItems: 1000 }),
    keep: KeepSchema,
    /** IANA name of the time zone of its hours, days, weeks (from Monday), months and years. */
    zone: Type.String({ minLength: 1, maxLength: 60 }),
    /** How old the newest restorable snapshot may be: beyond it, the dataset is late. */
    objective: Type.Optional(DurationSchema),
    chain: Type.Optional(ChainLimitsSchema),
  },
  { additionalProperties: false },
);
export type Policy = Static<typeof PolicySchema>;

/**
 * What the schema cannot say: durations and the zone exist, patterns are for something, and rules that are given keep something, for
 * who writes a nothing may mean that there is to be no such rule.
 *
 * @throws {ZkeepError} `usage` (`policy.wrong`) naming the field.
 */
export function checkPolicy(policy: Policy): Policy {
  const durations = {
    within: policy.keep.within,
    objective: policy.objective,
    restore: policy.chain?.restore,
  };
  for (const [field, text] of Object.entries(durations)) {
    if (text !== undefined && !durationMeant(text)) {
      throw wrong(policy, field, `${JSON.stringify(text)} is no duration: write it as 36h, 30d or 4w`);
    }
  }
  for (const field of ['datasets', 'hosts'] as const) {
    if (onlyExcludes(policy[field])) throw wrong(policy, field, "only exclude: say '**' before them");
  }
  if (keepsNothing(policy.keep)) {
    throw wrong(policy, 'keep', 'keeps nothing: leave the rules out to keep everything, or say last = 1');
  }
  try {
    new Intl.DateTimeFormat('en', { timeZone: policy.zone });
  } catch {
    throw wrong(
      policy,
      'zone',
      `${JSON.stringify(policy.zone)} is no time zone: write it as Europe/Berlin or UTC`,
    );
  }
  return policy;
}

/** Whether a policy is for all snapshots of a dataset on a host. */
export function isFor(
  { datasets, hosts, lineages }: Policy,
  { host, dataset }: { readonly host: string; readonly dataset: string },
): boolean {
  if (datasets.length === 0 && hosts.length === 0 && lineages.length > 0) return false;
  return (
    (datasets.length === 0 || matches(datasets, dataset)) && (hosts.length === 0 || matches(hosts, host))
  );
}

function onlyExcludes(patterns: readonly string[]): boolean {
  return patterns.length > 0 && patterns.every((pattern) => pattern.startsWith('!'));
}

/** Whether there are rules, all of them of nothing: only the newest would stay. */
function keepsNothing({ within, ...counts }: Keep): boolean {
  const most = Object.values(counts).filter((count) => count !== undefined);
  return within === undefined && most.length > 0 && most.every((count) => count === 0);
}

function wrong({ name }: Policy, field: string, reason: string): ZkeepError {
  return new ZkeepError('usage', 'policy.wrong', `policy ${name}: ${field} ${reason}`, {
    advice: 'zkeep policy --help has an example',
    facts: { policy: name, field },
  });
}
