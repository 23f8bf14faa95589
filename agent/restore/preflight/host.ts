/** What the host itself must have. */
import type { PreflightFacts } from './facts.ts';
import { type Finding, refuse } from './finding.ts';

/** `multihost=on` tells hosts apart by their hostid (OpenZFS `spa_prop_validate`: it is refused without one). */
export function findInHost({ pool, hostid }: PreflightFacts): Finding[] {
  if (!pool.creating?.plan.multihost || hostid !== null) return [];
  const message = `${pool.name} is to have multihost=on as it had, and this host has no hostid`;
  const advice = 'zgenhostid makes one in /etc/hostid; then reload the module spl, or start the host anew';
  return [refuse('no-hostid', message, advice, { pool: pool.name })];
}
