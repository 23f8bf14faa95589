/** Which temporary snapshots a process is at: those of this process that it says so of, of others by their life. */
import { uptime } from 'node:os';
import { systemClock } from '../../../catalog/clock.ts';
import type { SourceFacts } from '../../zfs/list.ts';
import { snapshotOf } from '../../zfs/snapshot.ts';
import { isAlive } from '../writer.ts';
import { takerOf } from './names.ts';

/** Full names of those that runs of this process are at. */
const ours = new Set<string>();

/** From where it is looked. */
export interface Looking {
  /** This process. */
  readonly process: number;
  /** What runs of this process are at. */
  readonly ours: ReadonlySet<string>;
  readonly lives: (process: number) => boolean;
  /** When this host was started, milliseconds since 1970: what is older was taken by no process that lives. */
  readonly started: number;
}

/**
 * Temporary snapshots (`pool/dataset@name`) that may be at work.
 *
 * @example const atWork = atWorkIn(sources)
 */
export function atWorkIn(
  sources: readonly SourceFacts[],
  looking: Looking = {
    process: process.pid,
    ours,
    lives: isAlive,
    started: systemClock.now() - uptime() * 1000,
  },
): Set<string> {
  const found = sources.flatMap(({ dataset, points }) =>
    points.flatMap(({ kind, name, created }) => {
      const taker = kind === 'snapshot' ? takerOf(name) : undefined;
      const full = snapshotOf(dataset, name);
      return taker !== undefined && isAtWork(full, taker, created * 1000, looking) ? [full] : [];
    }),
  );
  return new Set(found);
}

/** Says that this process is at them until the work is done. */
export async function whileAtWork<T>(names: readonly string[], work: () => Promise<T>): Promise<T> {
  for (const name of names) ours.add(name);
  try {
    return await work();
  } finally {
    for (const name of names) ours.delete(name);
  }
}

/** A second of slack: ZFS rounds the moment down. */
function isAtWork(name: string, taker: number, created: number, looking: Looking): boolean {
  if (taker === looking.process) return looking.ours.has(name);
  return created + 1000 >= looking.started && looking.lives(taker);
}
