/** Names of the snapshots that zkeep takes, and of the bookmarks that remember them: by these it knows its own. */
import { freeName } from '../../moments.ts';

/** One that stays, until `--keep-on-source` lets it go. */
const OWN = /^zkeep-\d{8}T\d{6}Z$/;
/** A temporary one; its last part is the process that took it, which may be at it still. */
const REFRESH = /^zkeep-refresh-\d{8}T\d{6}Z-([1-9]\d{0,9})$/;

/** Whether zkeep took a snapshot of this name for good. */
export function isOwn(name: string): boolean {
  return OWN.test(name);
}

/** Whether zkeep took it to be gone again. */
export function isRefresh(name: string): boolean {
  return REFRESH.test(name);
}

/**
 * The process that took a temporary snapshot.
 *
 * @example takerOf('zkeep-refresh-20261120T090000Z-4711') // 4711
 */
export function takerOf(name: string): number | undefined {
  const found = REFRESH.exec(name)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** Whether a bookmark is of a snapshot of ours: its name, and where an older one had that name, also its GUID. */
export function isOwnBookmark(name: string): boolean {
  const bare = name.replace(/-[0-9a-f]{16}$/, '');
  return isOwn(bare) || isRefresh(bare);
}

/**
 * A temporary snapshot's name of this moment, which no other process can give.
 *
 * @param taken whether a dataset of the run has a snapshot of that name.
 * @example refreshName(Date.UTC(2026, 10, 20, 9), 4711, () => false) // 'zkeep-refresh-20261120T090000Z-4711'
 */
export function refreshName(now: number, process: number, taken: (name: string) => boolean): string {
  const full = (name: string) => `${name}-${process}`;
  return full(freeName('zkeep-refresh', now, (name) => taken(full(name))));
}
