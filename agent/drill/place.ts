/**
 * Where a drill restores to: a dataset of its own below the scratch place, marked as a drill's before
 * the first byte comes, so that it is known for what it is also after a power cut.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ZkeepError } from '../../catalog/errors.ts';
import { parseDataset } from '../zfs/names.ts';
import { runOnPool } from '../zfs/stall.ts';
import { DRILL_MARK, type DrillMark, markText } from './mark.ts';

/** A receive that was killed, or whoever looks at a new volume, holds it for a moment. */
const TRIES = 30;
const PAUSE = 1_000;

/** The place of one drill. */
export interface DrillPlace {
  /** `scratch/zkeep-drill-20261120T215000Z-0123abcd`. */
  readonly container: string;
  /** What is restored into. */
  readonly target: string;
  /** The value of its mark. */
  readonly mark: string;
}

/**
 * A place that no other drill has.
 *
 * @param mark when it begins, and which process is at it.
 * @throws {ZkeepError} `usage` when the scratch place's name is none, or too long.
 */
export function drillPlace(
  scratch: string,
  mark: DrillMark,
  hex = randomBytes(4).toString('hex'),
): DrillPlace {
  const time = mark.began.replace(/\.[0-9]+/, '').replace(/[-:]/g, '');
  const container = `${parseDataset(scratch)}/zkeep-drill-${time}-${hex}`;
  return { container, target: parseDataset(`${container}/data`), mark: markText(mark) };
}

/**
 * Makes the place. A volume in it has no device: what looks at devices, such as LVM, must not take it for
 * the one that it is a copy of.
 */
export function makePlaceCommand({ container, mark }: DrillPlace): string[] {
  return [
    ...['zfs', 'create', '-o', 'canmount=off', '-o', 'mountpoint=none', '-o', 'volmode=none'],
    ...['-o', `${DRILL_MARK}=${mark}`, container],
  ];
}

/** Takes away the place of a drill, and all that it restored there. */
export function clearCommand(container: string): string[] {
  return ['zfs', 'destroy', '-r', container];
}

/**
 * Destroys what a drill made, and nothing else: the place must bear the drill's own mark. It is tried
 * again while something holds it. One that is not there is as good.
 *
 * @throws {ZkeepError} `failed` with code `drill.left` when it is there still.
 */
export async function clearPlace(
  { container, mark }: Pick<DrillPlace, 'container' | 'mark'>,
  pause = PAUSE,
): Promise<void> {
  for (let left = TRIES; ; left--) {
    try {
      const found = await runOnPool([
        'zfs',
        'get',
        '-Hp',
        '-s',
        'local',
        '-o',
        'value',
        DRILL_MARK,
        container,
      ]);
      if (found.trim() !== mark) throw notOurs(container);
      await runOnPool(clearCommand(container));
      return;
    } catch (thrown) {
      const code = thrown instanceof ZkeepError ? thrown.code : '';
      if (code === 'zfs.no-dataset') return;
      if (code !== 'zfs.busy' || left <= 1) throw placeLeft(container, thrown);
    }
    await sleep(pause);
  }
}

function notOurs(container: string): ZkeepError {
  return new ZkeepError('refused', 'drill.not-ours', `${container} does not bear the mark of this drill`);
}

function placeLeft(container: string, cause: unknown): ZkeepError {
  const why = cause instanceof Error ? cause.message : 'for an unknown reason';
  return new ZkeepError('failed', 'drill.left', `${container} could not be destroyed: ${why}`, {
    advice: `look at it, then: ${clearCommand(container).join(' ')}`,
    facts: { container },
    cause,
  });
}
