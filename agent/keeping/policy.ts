/** Policies as they are written on a command line and in a file. */
import { readFileSync } from 'node:fs';
import { Type } from 'typebox';
import {
  checkPolicy,
  type Policy,
  PolicyNameSchema,
  PolicySchema,
} from '../../catalog/chain/retention/policy.ts';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import { checkToml, parseToml } from '../../catalog/toml.ts';

/** What the command line says of a policy. */
export interface PolicyOptions {
  readonly datasets?: readonly string[];
  readonly hosts?: readonly string[];
  readonly lineages?: readonly string[];
  readonly keepLast?: number;
  readonly keepWithin?: string;
  readonly keepHourly?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  readonly keepMonthly?: number;
  readonly keepYearly?: number;
  readonly zone?: string;
  readonly objective?: string;
  readonly chainSteps?: number;
  readonly chainRatio?: number;
  readonly chainRestore?: string;
}

const { lineages: _, name: __, datasets, hosts, zone, ...others } = PolicySchema.properties;
/** A policy in a file: what is empty by default may be left out. */
const WrittenSchema = Type.Object(
  {
    ...others,
    name: Type.Optional(PolicyNameSchema),
    datasets: Type.Optional(datasets),
    hosts: Type.Optional(hosts),
    lineages: Type.Optional(PolicySchema.properties.lineages),
    zone: Type.Optional(zone),
  },
  { additionalProperties: false },
);
const FileSchema = Type.Object(
  { policy: Type.Array(WrittenSchema, { minItems: 1, maxItems: 1000 }) },
  { additionalProperties: false },
);

/**
 * The policy that the options say.
 *
 * @throws {ZkeepError} `usage`; also when nothing says what it is for, because it would be for everything.
 */
export function policyBy(name: string, options: PolicyOptions): Policy {
  const { datasets: named = [], hosts: ofHosts = [], lineages = [] } = options;
  if (named.length + ofHosts.length + lineages.length === 0) throw forNothing(name);
  const keep: Record<string, unknown> = {
    last: options.keepLast,
    within: options.keepWithin,
    hourly: options.keepHourly,
    daily: options.keepDaily,
    weekly: options.keepWeekly,
    monthly: options.keepMonthly,
    yearly: options.keepYearly,
  };
  const chain = { steps: options.chainSteps, ratio: options.chainRatio, restore: options.chainRestore };
  const said = {
    name,
    datasets: named,
    hosts: ofHosts,
    lineages,
    keep: given(keep),
    zone: options.zone ?? 'UTC',
    ...(options.objective === undefined ? {} : { objective: options.objective }),
    ...(Object.keys(given(chain)).length === 0 ? {} : { chain: given(chain) }),
  };
  const place = { file: 'the command line', reader: 'zkeep', page: 'zkeep policy set --help' };
  return checkPolicy(checkToml(PolicySchema, said, place));
}

/**
 * The policies in a TOML file: `[[policy]]`, with the fields of a policy.
 *
 * @param name of the only one, where the file does not say it.
 * @throws {ZkeepError} `usage` naming file and key; `missing` when it cannot be read.
 */
export function policiesIn(file: string, name?: string): Policy[] {
  const place = { file, reader: 'zkeep', page: 'agent/COMMANDS.md' };
  const { policy: written } = checkToml(FileSchema, parseToml(textOf(file), file), place);
  return written.map((one) => {
    const called = one.name ?? (written.length === 1 ? name : undefined);
    if (called === undefined) {
      throw new ZkeepError('usage', 'policy.nameless', `${file}: a policy has no name`, {
        advice: 'write name = "..." into each [[policy]]',
        facts: { file },
      });
    }
    const policy: Policy = { datasets: [], hosts: [], lineages: [], zone: 'UTC', ...one, name: called };
    if (policy.datasets.length + policy.hosts.length + policy.lineages.length === 0) throw forNothing(called);
    return checkPolicy(policy);
  });
}

function given(said: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ZkeepError('missing', 'policy.unreadable', `cannot read ${file}: ${messageOf(cause)}`, {
      advice: 'check the name of the file',
      facts: { file },
      cause,
    });
  }
}

function forNothing(name: string): ZkeepError {
  return new ZkeepError('usage', 'policy.for-nothing', `policy ${name} does not say what it is for`, {
    advice: "name datasets by patterns, '**' for all of them",
    facts: { policy: name },
  });
}
