/** A policy in words: for those who set it, and for the audit trail. */
import type { Keep, Policy } from './policy.ts';

/** What a policy keeps: `last 3, daily 14`. */
export function keepInWords(keep: Keep): string {
  const rules = Object.entries(keep).map(([rule, most]) => `${rule} ${most}`);
  return rules.length > 0 ? rules.join(', ') : 'everything';
}

/** What it is for. */
export function rangeInWords({ datasets, hosts, lineages }: Policy): string {
  return [
    ...datasets,
    ...hosts.map((host) => `host ${host}`),
    ...lineages.map((lineage) => `lineage ${lineage}`),
  ].join(' ');
}

/** When a chain ends by it; empty: never. */
export function chainInWords({ chain = {} }: Policy): string {
  return Object.entries(chain)
    .map(([limit, most]) => `${limit} ${most}`)
    .join(', ');
}

/**
 * All of it in one line.
 *
 * @example policyInWords(policy) // 'tank/**: keeps last 3, daily 14 (Europe/Berlin), objective 26h'
 */
export function policyInWords(policy: Policy): string {
  const { keep, zone, objective } = policy;
  const chain = chainInWords(policy);
  return [
    `${rangeInWords(policy) || 'all datasets'}: keeps ${keepInWords(keep)} (${zone})`,
    ...(objective === undefined ? [] : [`objective ${objective}`]),
    ...(chain === '' ? [] : [`chain ${chain}`]),
  ].join(', ');
}
