/** Does what `plan.ts` decided about the source; what cannot go is said, and stays. */
import { messageOf, ZkeepError } from '../../../catalog/errors.ts';
import type { Guid } from '../../../catalog/words.ts';
import type { Progress } from '../../output/progress.ts';
import { isStillThere } from '../../zfs/list.ts';
import {
  bookmark,
  bookmarkCommand,
  destroyBookmarkCommand,
  destroyCommand,
  release,
  snapshotOf,
} from '../../zfs/snapshot.ts';
import { runOnPool, SUSPENDED } from '../../zfs/stall.ts';
import type { Going, Tidying } from './plan.ts';

/**
 * Clears one dataset. Never throws: it says what stays, which is no failure of the backup. A snapshot whose
 * name is another's by now is left alone: hours may have passed since it was looked at.
 *
 * @param taken the target, where it was still to be taken when that was planned.
 */
export async function tidy(
  { dataset, destroy, forget, stays }: Tidying,
  progress: Pick<Progress, 'note'>,
  taken: Guid | null = null,
): Promise<void> {
  for (const { snapshot, reason } of stays)
    progress.note(`${snapshotOf(dataset, snapshot)} stays, because ${reason}`);
  for (const going of destroy) {
    const name = snapshotOf(dataset, going.snapshot);
    if (await isHopeless(name, progress, async () => await destroyOne(dataset, going, taken))) return;
  }
  for (const each of forget) {
    const name = `${dataset}#${each}`;
    if (await isHopeless(name, progress, async () => await gone(destroyBookmarkCommand(name)))) return;
  }
}

async function destroyOne(
  dataset: string,
  { snapshot, guid, mark }: Going,
  taken: Guid | null,
): Promise<void> {
  const name = snapshotOf(dataset, snapshot);
  const meant = guid ?? taken;
  if (meant === null || !(await isStillThere(name, meant))) return;
  if (mark !== null) {
    await bookmark(bookmarkCommand(dataset, snapshot, mark));
    // A bookmark of that name may be there of another snapshot by now.
    if (!(await isStillThere(`${dataset}#${mark}`, meant))) throw noBookmark(name);
  }
  await release(name);
  await gone(destroyCommand(name));
}

/** Destroys; what somebody else destroyed meanwhile is as good. */
async function gone(command: readonly string[]): Promise<void> {
  try {
    await runOnPool(command);
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError) || thrown.kind !== 'missing') throw thrown;
  }
}

/** Does one thing; on a suspended pool all that follows would only be waited for. */
async function isHopeless(
  name: string,
  progress: Pick<Progress, 'note'>,
  work: () => Promise<void>,
): Promise<boolean> {
  try {
    await work();
    return false;
  } catch (thrown) {
    progress.note(`${name} stays, because: ${messageOf(thrown)}`);
    return thrown instanceof ZkeepError && thrown.code === SUSPENDED;
  }
}

function noBookmark(name: string): ZkeepError {
  return new ZkeepError('refused', 'backup.no-bookmark', `${name} has no bookmark yet, and may be a base`, {
    advice: 'the next backup makes one',
    facts: { snapshot: name },
  });
}
