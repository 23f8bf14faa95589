/** The opener's side of a set of several hosts: it has the MGS, sets the barrier, and says whether the set counts. */
import { ZkeepError } from '../../../catalog/errors.ts';
import type { OpenSetRequest, SnapshotSet } from '../../../catalog/protocol/sets.ts';
import type { SetId } from '../../../catalog/words.ts';
import type { Moment } from '../../backup/snapshots.ts';
import { isAlive, thisWriter } from '../../backup/writer.ts';
import type { ServiceClient } from '../../service/client.ts';
import type { SetTools } from './backup.ts';
import { underBarrier } from './barrier.ts';
import type { LustrePlan } from './plan.ts';
import { inTime, tell, tellFailed, tellSurely, untilSet } from './waiting.ts';

/** How the set is opened, besides what its plan says. */
export interface Opening {
  /** Names the snapshots on all hosts: milliseconds since 1970. */
  readonly now: number;
  /** How long the others are waited for, seconds. */
  readonly wait: number;
}

/** How long the others may take for their snapshots where no barrier bounds it, milliseconds. */
const UNBOUNDED = 120_000;

/**
 * One moment with the agents of other hosts: opens the set at the service, waits
 * for them, freezes, lets all take their snapshots, and thaws. When anything
 * fails, here or there, all hosts undo what they took.
 */
export function opened(plan: LustrePlan, opening: Opening, tools: SetTools): Moment {
  const { client, progress, signal } = tools;
  return async (take) => {
    const { set } = await openSet(client, requestOf(plan, opening), signal);
    try {
      progress.note(`waiting for them to run zkeep backup --lustre ${plan.fsname} --join`);
      await gathered(set, plan, opening, tools);
      if (plan.barrier === null) await takeTogether(set, take, () => UNBOUNDED, tools);
      else await underBarrier(plan.barrier, (left) => takeTogether(set, take, left, tools), tools);
      await tellSurely(client, set, { event: 'complete' });
      return set;
    } catch (thrown) {
      const failed = await tellFailed(client, set, signal.aborted ? signal.reason : thrown);
      if (failed) throw thrown;
      return set;
    }
  };
}

/** A set that a dead run of this host left in the way is ended first. */
async function openSet(
  client: ServiceClient,
  request: OpenSetRequest,
  signal: AbortSignal,
): Promise<SnapshotSet> {
  try {
    return await client.sets.open(request, signal);
  } catch (thrown) {
    const dead = await deadSet(thrown, client, request, signal);
    if (dead === undefined) throw thrown;
    await tellFailed(client, dead, new Error('the run that opened it was killed'));
    return await client.sets.open(request, signal);
  }
}

async function deadSet(
  thrown: unknown,
  client: ServiceClient,
  { fsname, writer }: OpenSetRequest,
  signal: AbortSignal,
): Promise<SetId | undefined> {
  if (!(thrown instanceof ZkeepError) || thrown.code !== 'set.busy') return undefined;
  const [rival] = await client.sets.underWay(fsname, signal);
  const opener = rival?.participants[0]?.writer;
  if (!rival || opener?.host !== writer.host || isAlive(opener.process)) return undefined;
  return rival.set;
}

function requestOf({ fsname, barrier, here, elsewhere }: LustrePlan, { now }: Opening): OpenSetRequest {
  return {
    fsname,
    writer: thisWriter(),
    expected: [...here, ...elsewhere],
    targets: [...here],
    moment: now,
    barrier: barrier?.seconds ?? null,
  };
}

async function gathered(
  set: SetId,
  { fsname }: LustrePlan,
  { wait }: Opening,
  { client, signal }: SetTools,
): Promise<void> {
  let lacking: readonly string[] = [];
  const late = () => nobodyCame(fsname, lacking, wait);
  await inTime(wait * 1000, late, signal, async (bounded) => {
    await untilSet(
      async () => await tell(client, set, { event: 'waiting' }, bounded),
      (now) => {
        lacking = now.lacking;
        return lacking.length === 0;
      },
      bounded,
    );
  });
}

/** @param left milliseconds that the barrier still stands. */
async function takeTogether(
  set: SetId,
  take: () => Promise<void>,
  left: () => number,
  { client, signal }: SetTools,
): Promise<void> {
  let late: readonly string[] = [];
  await inTime(
    left(),
    () => tooLate(late),
    signal,
    async (bounded) => {
      await tell(client, set, { event: 'frozen' }, bounded);
      await take();
      await tell(client, set, { event: 'taken', writer: thisWriter() }, bounded);
      await untilSet(
        async () => await client.sets.get(set, bounded),
        ({ participants }) => {
          late = participants.filter(({ taken }) => !taken).map(({ writer }) => writer.host);
          return late.length === 0;
        },
        bounded,
      );
    },
  );
}

function nobodyCame(fsname: string, lacking: readonly string[], wait: number): ZkeepError {
  return new ZkeepError(
    'unavailable',
    'lustre.nobody-joined',
    `nobody joined for ${lacking.join(', ')} within ${wait} s`,
    {
      advice: `zkeep backup --lustre ${fsname} --join on the hosts that have them, at the same time; --wait gives more time`,
      facts: { fsname, lacking: [...lacking], wait },
    },
  );
}

function tooLate(hosts: readonly string[]): ZkeepError {
  const who = hosts.length === 0 ? 'not all hosts' : hosts.join(', ');
  return new ZkeepError(
    'unavailable',
    'lustre.too-late',
    `${who} took no snapshots while the barrier stood`,
    {
      advice: 'see what these agents say; --barrier-timeout gives more time',
      facts: { hosts: [...hosts] },
    },
  );
}
