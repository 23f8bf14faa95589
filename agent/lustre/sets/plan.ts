/** Which targets make the set of a Lustre file system, and where they are: decided here, purely. */
import { ZkeepError } from '../../../catalog/errors.ts';
import { isFsname, parseServiceName } from '../../../catalog/lustre/service-name.ts';
import type { HostTargets, LustreTarget } from '../../../catalog/lustre/targets.ts';
import type { KnownSnapshot } from '../../../catalog/protocol/protocol.ts';
import { isOwn } from '../../backup/tidy/names.ts';
import type { SourceFacts } from '../../zfs/list.ts';
import { snapshotOf } from '../../zfs/snapshot.ts';
import type { BarrierPlan } from './barrier.ts';
import { freezeCommand, statCommand, thawCommand } from './lctl.ts';

/** What was asked for. */
export interface LustreRequest {
  readonly fsname: string;
  /** Longest life of the barrier, seconds; `null`: the file system is stopped, there is none. */
  readonly barrier: number | null;
}

/** This host's part of a set, and who else is in it. */
export interface LustrePlan {
  readonly fsname: string;
  readonly barrier: BarrierPlan | null;
  /** MGT first, then the MDTs by their index. */
  readonly datasets: readonly string[];
  /** Their services, in the same order. */
  readonly here: readonly string[];
  /** Services of the set that other hosts have. */
  readonly elsewhere: readonly string[];
  /** What the administrator should know before. */
  readonly notes: readonly string[];
}

/** Longest life of a barrier that may be asked for, seconds: clients stand still meanwhile. */
const MAX_BARRIER = 600;

/**
 * Plans the set of a file system on the host of its MGS.
 *
 * @param live MDTs that the MGS says are registered; empty where it could not be asked.
 * @throws {ZkeepError} `usage` for what is no name, `missing` when nothing of it is here, `refused` when the MGS
 *   is elsewhere, or when two datasets claim to be the same target.
 */
export function planSet(here: HostTargets, live: readonly string[], request: LustreRequest): LustrePlan {
  const { fsname, barrier } = checked(request);
  const mdts = mdtsOf(here, fsname);
  const mgs = chosen(here.targets.filter(({ kind }) => kind === 'mgt'));
  const targets = [...mgs, ...mdts];
  if (mdts.length === 0 && live.length === 0) throw nothingOf(fsname, here);
  if (barrier !== null && !targets.some((target) => target.mgs)) throw notTheMgs(fsname, here);
  const names = targets.map(({ name }) => name);
  const all = new Set([...names, ...live, ...mdtsInLdev(here, fsname)]);
  const known = live.length > 0 || here.ldev.length > 0;
  return {
    fsname,
    barrier: barrier === null ? null : { fsname, seconds: barrier },
    datasets: targets.map(({ dataset }) => dataset),
    here: names,
    elsewhere: [...all].filter((name) => !names.includes(name)).toSorted(),
    notes: [
      ...targets.flatMap(notRegistered),
      ...(known
        ? []
        : [`neither the MGS nor ldev.conf says which MDTs ${fsname} has: those of this host count as all`]),
    ],
  };
}

/**
 * Plans what this host adds to a set that the host of the MGS opened.
 *
 * @param lacking services that the set still waits for; `undefined`: not known yet, all of the file system's.
 * @throws {ZkeepError} `missing` when this host has none of them.
 */
export function planJoining(here: HostTargets, fsname: string, lacking?: readonly string[]): LustrePlan {
  checked({ fsname, barrier: null });
  const mgs = chosen(here.targets.filter(({ kind }) => kind === 'mgt'));
  const candidates = [...(lacking?.includes('MGS') ? mgs : []), ...mdtsOf(here, fsname)];
  const targets = candidates.filter(({ name }) => lacking?.includes(name) ?? true);
  if (targets.length === 0) throw nothingOf(fsname, here);
  return {
    fsname,
    barrier: null,
    datasets: targets.map(({ dataset }) => dataset),
    here: targets.map(({ name }) => name),
    elsewhere: [],
    notes: targets.flatMap(notRegistered),
  };
}

/**
 * The datasets of this host that are in sets of a file system: its MGT and the MDTs.
 *
 * @throws {ZkeepError} `usage` for what is no name, `refused` when two datasets claim to be the same target.
 */
export function memberDatasets(here: HostTargets, request: LustreRequest): string[] {
  const { fsname } = checked(request);
  const mgs = chosen(here.targets.filter(({ kind }) => kind === 'mgt'));
  return [...mgs, ...mdtsOf(here, fsname)].map(({ dataset }) => dataset);
}

/** What is run around the commands that take the snapshots, before and after. */
export function commandsAround({ barrier }: LustrePlan): { before: string[][]; after: string[][] } {
  if (barrier === null) return { before: [], after: [] };
  const { fsname, seconds } = barrier;
  return { before: [freezeCommand(fsname, seconds)], after: [statCommand(fsname), thawCommand(fsname)] };
}

/** Snapshots of zkeep's that the repository does not have: a run that was killed left them, if none is at it now. */
export function leftBehind(sources: readonly SourceFacts[], known: readonly KnownSnapshot[]): string[] {
  const stored = new Set(known.map(({ guid }) => guid));
  return sources.flatMap(({ dataset, points }) =>
    points
      .filter(({ kind, name, guid }) => kind === 'snapshot' && isOwn(name) && !stored.has(guid))
      .map(({ name }) => snapshotOf(dataset, name)),
  );
}

function checked(request: LustreRequest): LustreRequest {
  const { fsname, barrier } = request;
  if (!isFsname(fsname)) {
    throw new ZkeepError(
      'usage',
      'lustre.fsname',
      `${JSON.stringify(fsname.slice(0, 80))} is no file system's name`,
      {
        advice: 'zkeep lustre targets shows the file systems of this host',
      },
    );
  }
  if (barrier !== null && !(Number.isInteger(barrier) && barrier >= 1 && barrier <= MAX_BARRIER)) {
    throw new ZkeepError('usage', 'lustre.barrier', `a barrier lasts 1 to ${MAX_BARRIER} whole seconds`, {
      advice: 'clients wait while it stands: keep it short',
    });
  }
  return request;
}

function mdtsOf({ targets }: HostTargets, fsname: string): LustreTarget[] {
  const mdts = targets.filter((target) => target.kind === 'mdt' && target.fsname === fsname);
  return chosen(mdts).toSorted((one, other) => (one.index ?? 0) - (other.index ?? 0));
}

/** Of several datasets with one service the one that serves: a copy of a target may lie beside it. */
function chosen(targets: readonly LustreTarget[]): LustreTarget[] {
  return [...Map.groupBy(targets, ({ name }) => name).values()].flatMap((same) => {
    if (same.length < 2) return same;
    const serving = same.filter(({ mount }) => mount !== null);
    if (serving.length !== 1) throw twice(same);
    return serving;
  });
}

function mdtsInLdev({ ldev }: HostTargets, fsname: string): string[] {
  return ldev.flatMap(({ label }) => {
    const parsed = parseServiceName(label);
    return parsed?.kind === 'mdt' && parsed.fsname === fsname ? [label] : [];
  });
}

function notRegistered({ dataset, service, state }: LustreTarget): string[] {
  return state === 'registered'
    ? []
    : [`${dataset} is stored with the service name ${service}, which is not registered`];
}

function nothingOf(fsname: string, { host, targets }: HostTargets): ZkeepError {
  const others = [...new Set(targets.flatMap((target) => target.fsname ?? []))];
  return new ZkeepError('missing', 'lustre.no-targets', `${host} has no MDT of ${fsname} that is wanted`, {
    advice:
      others.length === 0
        ? 'are its pools imported? zkeep lustre targets shows what is here'
        : `it has targets of ${others.join(', ')}; zkeep lustre targets shows them`,
    facts: { fsname, host },
  });
}

function notTheMgs(fsname: string, { host }: HostTargets): ZkeepError {
  return new ZkeepError(
    'refused',
    'lustre.not-mgs',
    `${host} has no MGT, and the barrier is set where the MGS is`,
    {
      advice: `run this on the host of the MGS, and here zkeep backup --lustre ${fsname} --join`,
      facts: { fsname, host },
    },
  );
}

function twice(same: readonly LustreTarget[]): ZkeepError {
  const datasets = same.map(({ dataset }) => dataset);
  return new ZkeepError('refused', 'lustre.twice', `${datasets.join(' and ')} are both ${same[0]?.name}`, {
    advice: 'one is a copy: export its pool, or mount the one that serves',
    facts: { datasets },
  });
}
