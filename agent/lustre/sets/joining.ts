/** The side of a host that has MDTs and not the MGS: it waits for a set, takes its snapshots when told, and hears how it ended. */
import { systemClock } from '../../../catalog/clock.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { HostTargets } from '../../../catalog/lustre/targets.ts';
import type { SnapshotSet } from '../../../catalog/protocol/sets.ts';
import type { SetId } from '../../../catalog/words.ts';
import type { Moment } from '../../backup/snapshots.ts';
import { thisWriter } from '../../backup/writer.ts';
import type { SetTools } from './backup.ts';
import { type LustrePlan, planJoining } from './plan.ts';
import { inTime, tell, tellFailed, untilSet } from './waiting.ts';

/** A set that this host can join, and with what. */
export interface Joinable {
  readonly set: SnapshotSet;
  readonly plan: LustrePlan;
}

/** Between two looks for a set, milliseconds. */
const PAUSE = 500;
/** Beyond the opener's own patience, milliseconds: the service ends a set before. */
const SLACK = 120_000;

/**
 * Waits until the host of the MGS has opened a set in which targets of this host are lacking.
 *
 * @param wait at most so many seconds.
 * @throws {ZkeepError} `missing` when this host has no such targets at all, `unavailable` when no set came.
 */
export async function findSet(
  here: HostTargets,
  fsname: string,
  wait: number,
  { client, progress, signal }: SetTools,
): Promise<Joinable> {
  const { here: names } = planJoining(here, fsname);
  progress.note(`waiting for the set of ${fsname}, for ${names.join(', ')}`);
  return await inTime(
    wait * 1000,
    () => noSet(fsname, wait),
    signal,
    async (bounded) => {
      for (;;) {
        for (const set of await client.sets.underWay(fsname, bounded)) {
          const wanted = set.lacking.some((name) => name === 'MGS' || names.includes(name));
          if (set.phase === 'gathering' && wanted)
            return { set, plan: planJoining(here, fsname, set.lacking) };
        }
        await systemClock.sleep(PAUSE, bounded);
      }
    },
  );
}

/** One moment that the opener makes: joins, waits for its word, takes, and waits for its verdict. */
export function joined({ set: found, plan }: Joinable, { client, signal }: SetTools): Moment {
  const { set, barrier } = found;
  const writer = thisWriter();
  return async (take) => {
    await tell(client, set, { event: 'join', writer, targets: [...plan.here] }, signal);
    try {
      const patience = ((barrier ?? 0) + 3600) * 1000 + SLACK;
      await inTime(
        patience,
        () => unheard(set),
        signal,
        async (bounded) => {
          const ask = async () => await client.sets.get(set, bounded);
          await untilSet(ask, ({ phase }) => phase === 'frozen', bounded);
          await take();
          await tell(client, set, { event: 'taken', writer }, bounded);
          await untilSet(ask, ({ phase }) => phase === 'complete', bounded);
        },
      );
      return set;
    } catch (thrown) {
      await tellFailed(client, set, signal.aborted ? signal.reason : thrown);
      throw thrown;
    }
  };
}

function noSet(fsname: string, wait: number): ZkeepError {
  return new ZkeepError('unavailable', 'lustre.no-set', `no set of ${fsname} was opened within ${wait} s`, {
    advice: `zkeep backup --lustre ${fsname} on the host of the MGS opens one; --wait gives more time`,
    facts: { fsname, wait },
  });
}

function unheard(set: SetId): ZkeepError {
  return new ZkeepError('unavailable', 'lustre.unheard', `nothing was heard of how set ${set} ended`, {
    advice: 'see whether the service runs; take the set anew',
    facts: { set },
  });
}
