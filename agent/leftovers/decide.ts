/** Which things are leftovers of interrupted work, and what clears each: decided purely, from what `gather.ts` asked. */
import { leftDrills } from './drills.ts';
import type { LeftoverFacts } from './facts.ts';
import type { Leftover } from './leftover.ts';
import { leftOpen } from './open-backups.ts';
import { leftPartial } from './partial-receives.ts';
import { leftPoints } from './points.ts';

/** What was found. */
export interface Leftovers {
  /** The most costly kind first: open backups, partial receives, places of drills, snapshots, holds, bookmarks. */
  readonly leftovers: readonly Leftover[];
  /** Snapshots, held ones and bookmarks of zkeep that only the service could have judged. */
  readonly unjudged: number;
}

/**
 * Decides what is left. What is at work, or the next backup's base, or what a migration
 * goes on from, is no leftover, or said to be running.
 *
 * @example decideLeftovers({ host, now: Date.now(), scope: [], here, kept }).leftovers
 */
export function decideLeftovers(facts: LeftoverFacts): Leftovers {
  const { found, unjudged } = leftPoints(facts);
  const all = [...leftOpen(facts), ...leftPartial(facts), ...leftDrills(facts), ...found];
  return {
    leftovers: all.filter(({ dataset }) => isMeant(dataset, facts.scope)),
    unjudged: unjudged.filter((dataset) => isMeant(dataset, facts.scope)).length,
  };
}

function isMeant(dataset: string, scope: readonly string[]): boolean {
  return scope.length === 0 || scope.some((root) => dataset === root || dataset.startsWith(`${root}/`));
}
