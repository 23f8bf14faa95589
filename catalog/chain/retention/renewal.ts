/** When a chain ends: it is too long, or too dear. */
import { durationMeant } from '../../durations.ts';
import type { ChainLimits } from './policy.ts';

/** A chain of backups from nothing to a snapshot. */
export interface ChainFacts {
  /** Backups in it, the full one included. */
  readonly steps: number;
  /** Stored bytes of the full backup, and of the increments on it. */
  readonly full: number;
  readonly increments: number;
}

/**
 * Why the next backup is not to hang on a chain but to be a full one, in words; `null`: it may.
 * A chain that is one full backup is only ended by `steps`: another full one would be as dear.
 *
 * @param expected seconds that its restore is expected to take, as drills measured; `null`: nobody knows.
 * @example chainRenewal({ steps: 100 }, chain, null) // 'it has 100 backups, and 100 are the most'
 */
export function chainRenewal(limits: ChainLimits, chain: ChainFacts, expected: number | null): string | null {
  const { steps, ratio, restore } = limits;
  if (steps !== undefined && chain.steps >= steps) {
    return `it has ${chain.steps} backups, and ${steps} are the most`;
  }
  if (chain.steps < 2) return null;
  if (ratio !== undefined && chain.increments > ratio * chain.full) {
    const times = tenths(chain.increments / Math.max(1, chain.full));
    return `its increments take ${times} times what the full backup takes, and ${ratio} times is the most`;
  }
  const longest = restore === undefined ? undefined : durationMeant(restore);
  if (longest === undefined || expected === null || expected * 1000 <= longest) return null;
  return `its restore is expected to take ${Math.ceil(expected / 60)} minutes, and ${restore} is the most`;
}

function tenths(number: number): string {
  return (Math.round(number * 10) / 10).toString();
}
