/**
 * What stands in the way of a restore, found before anything is created or
 * received. How it is used:
 *
 *     const abilities = await readAbilities({ signal });   // agent/zfs/abilities.ts
 *     const place = await lookAtPlace(target, signal);     // gather.ts; a Target, for decideRestore too
 *     const plan = planPool({ stored, name, vdevs, abilities, needed: neededFeatures(manifests.map(({ stream }) => stream)) });
 *     const datasets = [{ place, manifests, base, rollback, dataset, snapshot }];
 *     const facts = await gatherPreflight({ datasets, plan, abilities, force }, signal);
 *     const findings = preflight(facts);                   // pure; a dry run prints them
 *     refuseFindings(findings);                            // throws one error that lists all
 *
 * `plan` is `null` where the pool exists. Gathering asks only, it changes
 * nothing; so a dry run gathers, too. The findings that are left after
 * `refuseFindings` are warnings: to be said, each with its advice.
 */
import { ZkeepError } from '../../../catalog/errors.ts';
import type { PreflightFacts } from './facts.ts';
import type { Finding } from './finding.ts';
import { findInHost } from './host.ts';
import { findInKeys } from './keys.ts';
import { findInPlaces } from './places.ts';
import { findInPool } from './pool.ts';
import { findInSpace } from './space.ts';
import { findInStreams } from './streams.ts';
import { findInVdevs } from './vdevs.ts';

export type { DatasetRestore, PlaceFacts, PoolFacts, PreflightFacts, StreamFacts } from './facts.ts';
export type { Finding } from './finding.ts';
export { neededFeatures } from './streams.ts';

/**
 * Everything that stands in the way, the pool's first; empty where nothing does.
 *
 * @example for (const { level, message, advice } of preflight(facts)) ...
 */
export function preflight(facts: PreflightFacts): Finding[] {
  return [
    ...findInPool(facts),
    ...findInVdevs(facts),
    ...findInHost(facts),
    ...findInPlaces(facts),
    ...findInStreams(facts),
    ...findInSpace(facts),
    ...findInKeys(facts),
  ];
}

/**
 * Goes on only where nothing was found that refuses.
 *
 * @throws {ZkeepError} `refused` (`full` where only room is missing): the finding itself, or where there are several one that lists them all.
 */
export function refuseFindings(findings: readonly Finding[]): void {
  const refused = findings.filter(({ level }) => level === 'refuse');
  const [first, ...others] = refused;
  if (first === undefined) return;
  // Where nothing but room is missing, that is what it is.
  const kind = refused.every(({ code }) => code === 'preflight.no-space') ? 'full' : 'refused';
  if (others.length === 0) {
    throw new ZkeepError(kind, first.code, first.message, { advice: first.advice, facts: first.facts });
  }
  const list = refused.map(({ message, advice }, at) => `(${at + 1}) ${message}: ${advice}`);
  throw new ZkeepError(
    kind,
    'preflight.refused',
    `${refused.length} things stand in the way: ${list.join('; ')}`,
    {
      advice: 'nothing was created or received: put each of them right, then start the same command again',
      facts: { codes: refused.map(({ code }) => code), findings: list },
    },
  );
}
