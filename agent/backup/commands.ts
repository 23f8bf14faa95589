/** What a plan of `plan.ts` runs, command by command. */
import { sendCommand } from '../zfs/send.ts';
import { bookmarkCommand, holdCommand, releaseCommand, snapshotOf } from '../zfs/snapshot.ts';
import type { DatasetPlan } from './plan.ts';
import { tidyCommandsOf } from './tidy/plan.ts';

/**
 * The commands of one dataset's plan, in the order in which they run; that zkeep
 * reads the stream of `zfs send` goes without saying.
 */
export function commandsOf(plan: DatasetPlan): string[][] {
  if (plan.kind === 'already') return [];
  return [...commandsBefore(plan), sendCommand(sendingOf(plan)), ...commandsAfter(plan)];
}

/** Those before its stream is sent. */
export function commandsBefore({ dataset, snapshot, from, remembered, secures }: DatasetPlan): string[][] {
  const secured =
    secures && from && remembered !== null ? [bookmarkCommand(dataset, from.name, remembered)] : [];
  return [holdCommand(snapshotOf(dataset, snapshot)), ...secured];
}

/** Those after it is stored. */
export function commandsAfter({ dataset, snapshot, bookmark, release, tidying }: DatasetPlan): string[][] {
  return [
    bookmarkCommand(dataset, snapshot, bookmark),
    ...release.map((held) => releaseCommand(snapshotOf(dataset, held))),
    ...tidyCommandsOf(tidying),
  ];
}

/** What `zfs send` is told. */
export function sendingOf({ dataset, snapshot, from, flags }: DatasetPlan) {
  const mark = from?.kind === 'bookmark' ? '#' : '@';
  return {
    to: snapshotOf(dataset, snapshot),
    from: from ? `${dataset}${mark}${from.name}` : undefined,
    flags,
  };
}
