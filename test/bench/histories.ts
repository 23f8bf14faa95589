/** What the benches of retention plan over, and how they measure it. */
import type { Policy } from '../../catalog/chain/retention/policy.ts';
import { type Guid, guidOf } from '../../catalog/words.ts';

export const BACKUPS = 100_000;
/** Creation of the first snapshot, seconds since 1970; an hour lies between two of a dataset. */
export const START = 1_600_000_000;
const RUNS = 7;

export const POLICY: Policy = {
  name: 'usual',
  datasets: ['tank/**'],
  hosts: [],
  lineages: [],
  keep: { last: 10, hourly: 24, daily: 14, weekly: 8, monthly: 12, yearly: 5 },
  zone: 'Europe/Berlin',
};

/** GUIDs are random in life; here they are a scrambled count, so that they can be named again. */
export function guid(dataset: number, snapshot: number): Guid {
  return guidOf(BigInt.asUintN(64, BigInt(dataset * 1_000_003 + snapshot) * 0x9e3779b97f4a7c15n));
}

/** Medians of some runs, in words. */
export async function timed(work: () => unknown): Promise<string> {
  const elapsed: number[] = [];
  const busy: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const [began, before] = [performance.now(), process.cpuUsage()];
    await work();
    const { user, system } = process.cpuUsage(before);
    elapsed.push(performance.now() - began);
    busy.push((user + system) / 1000);
  }
  const first = Math.round(elapsed[0] ?? 0);
  return `${median(elapsed)} ms (the first ${first}), CPU ${median(busy)} ms`;
}

function median(figures: readonly number[]): number {
  return Math.round(figures.toSorted((a, b) => a - b)[RUNS >> 1] ?? 0);
}
