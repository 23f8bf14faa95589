/** What a drill tries when nobody says: a dataset whose last drill is long ago, and a snapshot of it. Decided purely. */
import type { DatasetStatus } from '../../catalog/protocol/agents.ts';

/** So much more than the longest ago, one that was never drilled weighs. */
const NEVER = 2;

/** What a choice looks at. */
export type Candidate = Pick<DatasetStatus, 'dataset' | 'host' | 'newest' | 'drill'>;

/**
 * Chooses among the datasets of which something can be restored. Each weighs the seconds since its
 * last drill, and one that was never drilled twice the most of them, so all have their turn.
 *
 * @param now milliseconds since 1970.
 * @param chance at least 0 and less than 1.
 * @returns `undefined` when nothing can be restored.
 * @example chooseDataset(answer.datasets, Date.now(), Math.random())
 */
export function chooseDataset<T extends Candidate>(
  rows: readonly T[],
  now: number,
  chance: number,
): T | undefined {
  const able = rows.filter(({ newest }) => newest !== null);
  const ages = able.map(({ drill }) => (drill ? Math.max(1, (now - Date.parse(drill.at)) / 1000) : null));
  const oldest = ages.reduce<number>((most, age) => Math.max(most, age ?? 0), 1);
  const weights = ages.map((age) => age ?? oldest * NEVER);
  let left = chance * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [at, weight] of weights.entries()) {
    left -= weight;
    if (left < 0) return able[at];
  }
  return able.at(-1);
}

/**
 * One of all, each as likely as any other.
 *
 * @param chance at least 0 and less than 1.
 */
export function chooseOne<T>(all: readonly T[], chance: number): T | undefined {
  return all[Math.min(all.length - 1, Math.floor(chance * all.length))];
}
