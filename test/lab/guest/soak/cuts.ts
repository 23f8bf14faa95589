/** Where a run is cut, and how. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Running } from '../parts/command.ts';
import type { Chance } from './chance.ts';
import type { House } from './house.ts';
import type { Method } from './journal.ts';
import type { Watch } from './watch.ts';

export interface Cut {
  readonly method: Method;
  /** Of the stream's bytes; below 0: before it is begun, above 1: when it is at its end. */
  readonly share: number;
  /** Milliseconds: how long after, or for how long something is gone. */
  readonly pause: number;
  /** Bytes of an object that still pass, and how many objects meet this. */
  readonly bytes: number;
  readonly times: number;
}

/** How fast things go where the soak runs. */
export interface Pace {
  /** What pauses are multiplied with: 1 on an emulated machine. */
  readonly pauses: number;
  /** Raw bytes of a segment. */
  readonly segment: number;
}

/** An early one in twelve, a late one in six, else anywhere in between. */
export function chooseCut(chance: Chance, methods: readonly [Method, ...Method[]], pace: Pace): Cut {
  const method = chance.pick(methods);
  const where = chance.below(12);
  const share = where === 0 ? -1 : where <= 2 ? 0.999 : chance.next();
  const pause = chance.below(where <= 2 ? 1000 : 200) * pace.pauses;
  return { method, share, pause, bytes: chance.below(pace.segment * 0.75), times: 1 + chance.below(4) };
}

/** Most bytes that a cut may cost: two segments, and of several transfers that were cut one for each. */
export function allowedBy({ method, times }: Cut, { segment }: Pace): number {
  return (method === 'tcp' ? Math.max(2, times) : 2) * segment;
}

/** Cuts; comes back when what was taken away is there again. */
export async function applyCut(cut: Cut, agent: Running, watch: Watch, house: House): Promise<void> {
  await sleep(cut.pause);
  switch (cut.method) {
    case 'agent':
      return agent.kill('SIGKILL');
    case 'stop':
      return agent.kill('SIGTERM');
    case 'child':
      return killIfThere(watch.child());
    case 'service':
      return await house.killService(cut.pause * 5);
    case 'tcp':
      return await house.cutLines(cut.bytes, cut.times);
    case 'store':
      return await house.cutStore(cut.pause * 10);
    case 'power':
      return await house.cutPower(agent);
  }
}

function killIfThere(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH')) throw thrown;
  }
}
