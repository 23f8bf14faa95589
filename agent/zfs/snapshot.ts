/** Snapshots, holds and bookmarks: the commands as data, and the few that may fail in a harmless way. */
import { ZkeepError } from '../../catalog/errors.ts';
import { runOnPool } from './stall.ts';

/** The tag of zkeep's holds. */
export const HOLD_TAG = 'zkeep';
/** That of the holds on snapshots which a migration only passes on: a backup's hold is another matter. */
export const MIGRATION_TAG = 'zkeep-migrate';
/** Snapshots that one command names at most: the kernel bounds a command line. */
const AT_ONCE = 500;

/** `pool/dataset@name`. */
export function snapshotOf(dataset: string, name: string): string {
  return `${dataset}@${name}`;
}

/**
 * Takes snapshots of datasets of one pool, all at one moment.
 *
 * @example snapshotCommand(['t/a@n', 't/b@n'], false) // zfs snapshot t/a@n t/b@n
 */
export function snapshotCommand(snapshots: readonly string[], recursive: boolean): string[] {
  return ['zfs', 'snapshot', ...(recursive ? ['-r'] : []), ...snapshots];
}

/** Keeps a snapshot from being destroyed. */
export function holdCommand(snapshot: string, tag: string = HOLD_TAG): string[] {
  return ['zfs', 'hold', tag, snapshot];
}

/** Takes zkeep's hold away again. */
export function releaseCommand(snapshot: string, tag: string = HOLD_TAG): string[] {
  return ['zfs', 'release', tag, snapshot];
}

/** Remembers a snapshot as a base for later, without its blocks. */
export function bookmarkCommand(dataset: string, snapshot: string, name: string): string[] {
  return ['zfs', 'bookmark', snapshotOf(dataset, snapshot), `${dataset}#${name}`];
}

/** Destroys one snapshot; never more than that: no `-r`, no `-R`, no list. */
export function destroyCommand(snapshot: string): string[] {
  return ['zfs', 'destroy', snapshot];
}

/**
 * Destroys one bookmark.
 *
 * @param bookmark `pool/dataset#name`.
 */
export function destroyBookmarkCommand(bookmark: string): string[] {
  return ['zfs', 'destroy', bookmark];
}

/** Holds snapshots; a hold of ours that is there already is as good. */
export async function hold(
  snapshots: readonly string[],
  signal?: AbortSignal,
  tag: string = HOLD_TAG,
): Promise<void> {
  for (let at = 0; at < snapshots.length; at += AT_ONCE) {
    const some = snapshots.slice(at, at + AT_ONCE);
    try {
      await runOnPool(['zfs', 'hold', tag, ...some], { signal });
    } catch (thrown) {
      if (!hasCode(thrown, 'zfs.already-held')) throw thrown;
      for (const one of some) await unless('zfs.already-held', runOnPool(holdCommand(one, tag), { signal }));
    }
  }
}

/** Releases our hold on a snapshot; none there is as good, and so is a snapshot that is gone. */
export async function release(snapshot: string, signal?: AbortSignal, tag: string = HOLD_TAG): Promise<void> {
  await unless(
    'zfs.not-held',
    unless('zfs.no-dataset', runOnPool(releaseCommand(snapshot, tag), { signal })),
  );
}

/** Runs a {@link bookmarkCommand}; a bookmark that is there already is as good. */
export async function bookmark(command: readonly string[], signal?: AbortSignal): Promise<void> {
  await unless('zfs.bookmark-exists', runOnPool(command, { signal }));
}

async function unless(code: string, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (thrown) {
    if (!hasCode(thrown, code)) throw thrown;
  }
}

function hasCode(thrown: unknown, code: string): boolean {
  return thrown instanceof ZkeepError && thrown.code === code;
}
