/**
 * Where a drill restores to: a dataset of its own below the scratch place, marked as a drill's before
 * the first byte comes, so that it is known for what it is also after a power cut.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ZkeepError } from '../../catalog/errors.ts';
import { parseDataset } from '../zfs/names.ts';
import { run } from '../zfs/run.ts';

/** The user property that marks it; its value is when the drill began. */
export const DRILL_MARK = 'zkeep:drill';
const NAME = /\/zkeep-drill-[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$/;
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
 * @param now milliseconds since 1970.
 * @throws {ZkeepError} `usage` when the scratch place's name is none, or too long.
 */
export function drillPlace(scratch: string, now: number, hex = randomBytes(4).toString('hex')): DrillPlace {
  const mark = new Date(now).toISOString();
  const time = mark.replace(/\.[0-9]+/, '').replace(/[-:]/g, '');
  const container = `${parseDataset(scratch)}/zkeep-drill-${time}-${hex}`;
  return { container, target: parseDataset(`${container}/data`), mark };
}

/** Makes the place. */
export function makePlaceCommand({ container, mark }: DrillPlace): string[] {
  return [
    ...['zfs', 'create', '-o', 'canmount=off', '-o', 'mountpoint=none'],
    ...['-o', `${DRILL_MARK}=${mark}`, container],
  ];
}

/** Takes away the place of a drill, and all that it restored there. */
export function clearCommand(container: string): string[] {
  return ['zfs', 'destroy', '-r', container];
}

/** The places of drills below `scratch`: those that were killed, kept, or run at this moment. */
export async function drillPlacesIn(scratch: string, signal?: AbortSignal): Promise<string[]> {
  return parseMarks(
    await run(
      [
        ...['zfs', 'get', '-Hp', '-r', '-t', 'filesystem', '-s', 'local'],
        ...['-o', 'name,value', DRILL_MARK, scratch],
      ],
      { signal },
    ),
  );
}

/** Reads names and marks as `zfs get` prints them; only what is called as a drill calls it counts. */
export function parseMarks(printed: string): string[] {
  return printed
    .split('\n')
    .map((line) => line.split('\t')[0] ?? '')
    .filter((name) => NAME.test(name));
}

/**
 * Destroys what a drill made, and nothing else: the place must bear the drill's own mark. It is tried
 * again while something holds it. One that is not there is as good.
 *
 * @throws {ZkeepError} `failed` with code `drill.left` when it is there still.
 */
export async function clearPlace({ container, mark }: DrillPlace, pause = PAUSE): Promise<void> {
  for (let left = TRIES; ; left--) {
    try {
      const found = await run(['zfs', 'get', '-Hp', '-s', 'local', '-o', 'value', DRILL_MARK, container]);
      if (found.trim() !== mark) throw notOurs(container);
      await run(clearCommand(container));
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
