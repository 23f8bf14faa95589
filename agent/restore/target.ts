/** What is at the place where a restore is to go. */
import { ZkeepError } from '../../catalog/errors.ts';
import { decodeToken, type ResumeToken } from '../../catalog/stream/resuming/token.ts';
import { type Guid, guidOf } from '../../catalog/words.ts';
import { listSource } from '../zfs/list.ts';
import { parentOf, parseDataset } from '../zfs/names.ts';
import { readToken } from '../zfs/receive.ts';
import type { PartialReceive } from './resume/decide.ts';

/** A snapshot of the target. */
export interface TargetSnapshot {
  readonly guid: Guid;
  /** The part after `@`. */
  readonly name: string;
}

/** The target as it is now. */
export interface Target {
  readonly target: string;
  readonly exists: boolean;
  /** The newest first. */
  readonly snapshots: readonly TargetSnapshot[];
  /** What an interrupted receive left. */
  readonly partial: PartialReceive | undefined;
}

/**
 * Looks at the target.
 *
 * @throws {ZkeepError} `usage` for a name that cannot be one, `missing` when there is no pool or parent for it.
 */
export async function lookAtTarget(name: string, signal: AbortSignal): Promise<Target> {
  const target = parseDataset(name);
  const parent = parentOf(target);
  if (parent === undefined) throw isPool(target);
  try {
    const found = await listSource(target, signal);
    const snapshots = found.points.filter(({ kind }) => kind === 'snapshot').toReversed();
    const { resumeToken } = found;
    const partial = resumeToken === undefined ? undefined : await partialBy(resumeToken, signal);
    return { target, exists: true, snapshots: snapshots.map(({ guid, name }) => ({ guid, name })), partial };
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError) || thrown.code !== 'zfs.no-dataset') throw thrown;
    await checkParent(target, parent, signal);
    return { target, exists: false, snapshots: [], partial: undefined };
  }
}

/** A token that zkeep cannot read may be one that this host's ZFS can. */
async function partialBy(text: string, signal: AbortSignal): Promise<PartialReceive> {
  const token = readable(text);
  if (token) return { to: token.toguid, token };
  const to = await readToken(text, signal);
  return { to: to === undefined ? null : guidOf(to) };
}

function readable(text: string): ResumeToken | undefined {
  try {
    return decodeToken(text);
  } catch (thrown) {
    if (thrown instanceof ZkeepError) return undefined;
    throw thrown;
  }
}

async function checkParent(target: string, parent: string, signal: AbortSignal): Promise<void> {
  try {
    await listSource(parent, signal);
  } catch (cause) {
    if (!(cause instanceof ZkeepError) || cause.code !== 'zfs.no-dataset') throw cause;
    throw new ZkeepError('missing', 'restore.no-parent', `there is no ${parent} to put ${target} into`, {
      advice: parent.includes('/')
        ? `zfs create -p ${parent}`
        : 'zpool list shows the pools, zpool import those that could be imported; --create-pool makes one',
      facts: { target, parent },
      cause,
    });
  }
}

function isPool(target: string): ZkeepError {
  return new ZkeepError(
    'usage',
    'restore.pool',
    `${target} is a pool itself: nothing can be received as one`,
    {
      advice: `name a dataset that will be in it: --to ${target}/NAME`,
      facts: { target },
    },
  );
}
