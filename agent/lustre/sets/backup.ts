/** The backup of a Lustre file system's MGT and MDTs as one set: what is looked at before it is planned. */
import { systemClock } from '../../../catalog/clock.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { HostTargets } from '../../../catalog/lustre/targets.ts';
import type { KnownSnapshot } from '../../../catalog/protocol/protocol.ts';
import { newUuid7, type SetId } from '../../../catalog/words.ts';
import type { Moment } from '../../backup/snapshots.ts';
import type { Progress } from '../../output/progress.ts';
import type { ServiceClient } from '../../service/client.ts';
import type { SourceFacts } from '../../zfs/list.ts';
import { lookAtTargets } from '../targets.ts';
import { underBarrier } from './barrier.ts';
import { findSet, joined } from './joining.ts';
import { lctl, liveCommand, parseLive } from './lctl.ts';
import { opened } from './opener.ts';
import type { Asked } from './options.ts';
import { commandsAround, type LustrePlan, leftBehind, memberDatasets, planJoining, planSet } from './plan.ts';

/** What the backup of the set's datasets needs. */
export interface PreparedSet {
  readonly datasets: readonly string[];
  /** Names the snapshots, on all hosts: milliseconds since 1970. */
  readonly now: number;
  readonly lustre: {
    readonly moment: Moment;
    /** The commands before and after those that take the snapshots. */
    readonly around: { before: string[][]; after: string[][] };
    /** What should be said before anything is done. */
    about(sources: readonly SourceFacts[], known: readonly KnownSnapshot[]): string[];
  };
}

export interface SetTools {
  readonly client: ServiceClient;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Finds the targets of a file system on this host, and how one moment is made of their snapshots.
 *
 * @throws {ZkeepError} what `planSet` throws, and the commands that are asked.
 */
export async function prepareSet(asked: Asked, tools: SetTools): Promise<PreparedSet> {
  const here = await lookAtTargets(tools.signal);
  return asked.join ? await prepareJoining(asked, here, tools) : await prepareOpening(asked, here, tools);
}

/** The datasets of this host that an earlier run may have been interrupted in: they are finished before a set is taken. */
export async function datasetsOf(asked: Asked, { signal }: Pick<SetTools, 'signal'>): Promise<string[]> {
  return memberDatasets(await lookAtTargets(signal), asked);
}

async function prepareOpening(asked: Asked, here: HostTargets, tools: SetTools): Promise<PreparedSet> {
  const live = asked.barrier === null ? [] : await liveTargets(asked.fsname, tools);
  const plan = planSet(here, live, asked);
  const now = systemClock.now();
  const moment =
    plan.elsewhere.length === 0 ? alone(plan, tools) : opened(plan, { now, wait: asked.wait }, tools);
  return prepared(plan, now, moment);
}

async function prepareJoining(asked: Asked, here: HostTargets, tools: SetTools): Promise<PreparedSet> {
  const { fsname, wait, dryRun } = asked;
  // A dry run waits for nobody: it shows what this host would take of any set.
  if (dryRun) return prepared(planJoining(here, fsname), systemClock.now(), neverTaken);
  const joinable = await findSet(here, fsname, wait, tools);
  return prepared(joinable.plan, joinable.set.moment, joined(joinable, tools));
}

const neverTaken: Moment = () => Promise.reject(new Error('a dry run takes no snapshots'));

function prepared(plan: LustrePlan, now: number, moment: Moment): PreparedSet {
  return {
    datasets: plan.datasets,
    now,
    lustre: {
      moment,
      around: commandsAround(plan),
      about: (sources, known) => [
        ...plan.notes,
        ...(plan.elsewhere.length === 0
          ? []
          : [`other hosts have ${plan.elsewhere.join(', ')}: the set waits for them`]),
        ...leftBehind(sources, known).map(
          (snapshot) =>
            `${snapshot} is not stored: a run that was killed left it, if none is at it now; zkeep leftovers shows what clears it`,
        ),
      ],
    },
  };
}

/** All targets are on this host: their snapshots are taken under one barrier. */
function alone({ barrier }: LustrePlan, { progress, signal }: SetTools): Moment {
  return async (take) => {
    if (barrier === null) await take();
    else await underBarrier(barrier, take, { progress, signal });
    return newUuid7(systemClock.now()) as SetId;
  };
}

/** What the MGS knows; an older one may not tell it so, and then ldev.conf has to. */
async function liveTargets(fsname: string, { signal }: SetTools): Promise<string[]> {
  try {
    return parseLive(await lctl(liveCommand(fsname), { signal }), fsname);
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError) || thrown.code !== 'lustre.lctl-failed') throw thrown;
    return [];
  }
}
