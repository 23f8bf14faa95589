/** A pool that is to be made, and may stand there already because an earlier try made it. */
import { realpath } from 'node:fs/promises';
import { vdevsOfList } from '../../../catalog/attributes/parsing/vdevs.ts';
import type { PoolPlan } from '../../../catalog/attributes/pool-plan.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { run } from '../../zfs/run.ts';

/** A pool as it stands. */
export interface StandingPool {
  /** Paths of its devices and files, links followed. */
  readonly devices: readonly string[];
  readonly datasets: readonly string[];
}

/** Looks at a pool; `undefined` when there is none of that name. */
export async function lookAtPool(name: string, signal: AbortSignal): Promise<StandingPool | undefined> {
  try {
    // One after the other: of a pool that is not there, only the first is to say so.
    const list = await run(['zpool', 'list', '-vPp', name], { signal });
    const names = ['zfs', 'list', '-Hr', '-t', 'filesystem,volume', '-o', 'name', name];
    const datasets = await run(names, { signal });
    const paths = vdevsOfList(list, name).flatMap((vdev) => (vdev.name.startsWith('/') ? [vdev.name] : []));
    return {
      devices: await Promise.all(paths.map(realOf)),
      datasets: datasets.split('\n').filter((line) => line !== ''),
    };
  } catch (thrown) {
    if (thrown instanceof ZkeepError && thrown.kind === 'missing') return undefined;
    throw thrown;
  }
}

/** The paths of what the plan's pool is to be made of, links followed. */
export async function devicesOf({ layout }: PoolPlan): Promise<string[]> {
  const names = layout.groups.flatMap(({ devices }) => devices);
  return await Promise.all(names.map((name) => realOf(name.startsWith('/') ? name : `/dev/${name}`)));
}

/**
 * Whether a pool is the one that an earlier try of this restore made: of the
 * same name, of exactly these devices, and nothing in it that is not of this
 * restore.
 *
 * @param devices what it is to be made of, links followed.
 * @param expected datasets that the restore makes, at any time.
 */
export function isOfEarlierTry(
  standing: StandingPool,
  devices: readonly string[],
  expected: readonly string[],
): boolean {
  const known = new Set(expected);
  return (
    standing.devices.length === devices.length &&
    devices.every((device) => standing.devices.some((one) => isOn(one, device))) &&
    standing.datasets.every((dataset) => known.has(dataset))
  );
}

/** On a whole disk ZFS makes a partition of its own, and names that. */
function isOn(standing: string, device: string): boolean {
  if (standing === device) return true;
  return standing.startsWith(device) && /^(-part|p)?1$/.test(standing.slice(device.length));
}

async function realOf(path: string): Promise<string> {
  return await realpath(path).catch(() => path);
}
