/** A whole backup, as a command or an agent's job asks for it: finishes what was interrupted, then takes, sends, stores. */
import { systemClock } from '../../catalog/clock.ts';
import type { Guid } from '../../catalog/words.ts';
import { isOfDrill } from '../drill/mark.ts';
import type { PreparedSet } from '../lustre/sets/backup.ts';
import type { Asked as LustreAsked } from '../lustre/sets/options.ts';
import type { Progress } from '../output/progress.ts';
import type { ServiceClient } from '../service/client.ts';
import { holdsOn } from '../zfs/holds.ts';
import type { SourceFacts } from '../zfs/list.ts';
import { snapshotOf } from '../zfs/snapshot.ts';
import type { DatasetResult } from './dataset.ts';
import { type BackupPlan, planBackup } from './plan.ts';
import {
  type EarlierResults,
  type Found,
  findEarlier,
  finishEarlier,
  guidsOf,
  knownThen,
  type Asked as TogetherAsked,
} from './resume/earlier.ts';
import { runBackup } from './run.ts';
import type { RunNotes } from './runs/notes.ts';
import type { Around } from './snapshots.ts';
import { knownOf, lookAtSources, type Sources } from './sources.ts';
import { atWorkIn } from './tidy/at-work.ts';
import { isOwn } from './tidy/names.ts';
import { KEPT_BOOKMARKS, type TidyFacts } from './tidy/plan.ts';
import type { Throttle } from './upload/throttle.ts';

/** What is to be backed up, and how. */
export interface BackupAsked {
  /** None for a Lustre file system, whose datasets are found. */
  readonly datasets: readonly string[];
  readonly recursive: boolean;
  /** The part after `@` of a snapshot that is there; `undefined`: a new one is taken. */
  readonly snapshot: string | undefined;
  readonly full: boolean;
  readonly dryRun: boolean;
  /** The new snapshot is a temporary one: gone from the source once it is stored, or came to nothing. */
  readonly refresh?: boolean | undefined;
  /** So many of zkeep's own snapshots stay on the source once they are stored; `undefined`: all. */
  readonly keepOnSource?: number | undefined;
  /** The file system whose MGT and MDTs are meant. */
  readonly lustre?: LustreAsked | undefined;
}

export interface WholeTools {
  readonly client: ServiceClient;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Where runs note what they are at. */
  readonly notes: RunNotes;
  /** Bounds how fast all that the run sends goes into the store. */
  readonly throttle?: Throttle | undefined;
  /** What is done right before and after the snapshots are taken. */
  readonly around?: Around | undefined;
}

/** What would be done. */
export interface BackupPlanned {
  readonly kind: 'planned';
  readonly plan: BackupPlan;
  readonly interrupted: Found['interrupted'];
  /** What runs that were killed owe: it is stored after those. */
  readonly owed: Found['owed'];
  /** Commands before and after those that take the snapshots. */
  readonly around: PreparedSet['lustre']['around'] | undefined;
}

/** What was done: of earlier runs, then of this one. */
export interface BackupDone extends EarlierResults {
  readonly kind: 'done';
  readonly fresh: readonly DatasetResult[];
  readonly leftOut: readonly string[];
}

/**
 * Backs up. A dataset that fails does not keep the others from being stored.
 *
 * @throws {ZkeepError} when nothing could be begun: a name that is none, a service that is away, a snapshot that is not there.
 * @example await backUpWhole({ datasets: ['tank/home'], recursive: false, snapshot: undefined, full: false, dryRun: false }, tools)
 */
export async function backUpWhole(
  asked: BackupAsked,
  tools: WholeTools,
): Promise<BackupPlanned | BackupDone> {
  if (asked.lustre) return await lustreSet(asked, asked.lustre, tools);
  const { datasets, recursive, dryRun } = asked;
  const before = await earlier({ datasets, recursive, isOneMoment: false }, dryRun, tools);
  return await backUpNew({ ...asked, lustre: undefined, now: systemClock.now() }, before, tools);
}

async function lustreSet(
  asked: BackupAsked,
  lustre: LustreAsked,
  tools: WholeTools,
): Promise<BackupPlanned | BackupDone> {
  const { datasetsOf, prepareSet } = await import('../lustre/sets/backup.ts');
  const members = await datasetsOf(lustre, tools);
  const together = { datasets: members, recursive: false, isOneMoment: true };
  const before = await earlier(together, asked.dryRun, tools);
  if (before.results.some(({ outcome }) => outcome === 'failed')) {
    tools.progress.note('no new set is taken before the one that was interrupted is whole');
    return done(before);
  }
  const prepared = await prepareSet(lustre, tools);
  return await backUpNew({ ...asked, snapshot: undefined, ...prepared }, before, tools);
}

/** What was found of earlier runs, and what became of it. */
type Before = EarlierResults & { readonly found: Found };

/** Finishes what earlier runs left, unless it is only to be shown. */
async function earlier(asked: TogetherAsked, dryRun: boolean, tools: WholeTools): Promise<Before> {
  const found = await findEarlier(asked, tools);
  const isNothing = found.interrupted.length === 0 && found.owed.length === 0 && !found.isNoted;
  if (dryRun || isNothing) return { found, results: [], givenUp: [] };
  return { found, ...(await finishEarlier(asked, found, tools)) };
}

interface Wanted extends Omit<BackupAsked, 'lustre'> {
  /** Names the new snapshot, milliseconds since 1970. */
  readonly now: number;
  /** Of a Lustre file system: what makes one moment of the snapshots. */
  readonly lustre?: PreparedSet['lustre'] | undefined;
}

async function backUpNew(
  wanted: Wanted,
  before: Before,
  given: WholeTools,
): Promise<BackupPlanned | BackupDone> {
  const { client, progress, signal } = given;
  const { datasets, recursive, snapshot, full, dryRun, now, lustre } = wanted;
  if (signal.aborted) return done(before);
  // What was finished has other bookmarks and holds than when it was looked at.
  const again = lustre !== undefined || before.results.length > 0 || before.givenUp.length > 0;
  const looked = again ? await lookAtSources(datasets, { recursive, signal }) : before.found.looked;
  const left = failedOf(before);
  // What drills restored is no data of this host: only who names it means it.
  const drills = looked.sources.filter(
    (one) => isOfDrill(one.dataset) && !looked.roots.includes(one.dataset),
  );
  for (const { dataset } of drills) left.add(dataset);
  const asked = without(left, looked, { recursive, snapshot });
  if (asked.sources.length === 0) return done(before);
  const knownNow = await knownOf(asked.sources, client, signal);
  const known = dryRun ? knownThen(knownNow, before.found) : knownNow;
  const tidy = await tidyFacts(asked.sources, wanted, again ? undefined : before.found.open, given);
  const refresh = wanted.refresh ? { process: process.pid } : undefined;
  const keep = { snapshots: wanted.keepOnSource, bookmarks: KEPT_BOOKMARKS };
  const plan = planBackup({ ...asked, known, request: { snapshot, full, now, refresh, keep }, tidy });
  for (const dataset of plan.leftOut) progress.note(`${dataset} has no snapshot @${snapshot}: left out`);
  if (lustre) for (const words of lustre.about(asked.sources, known)) progress.note(words);
  const { repository, interrupted, owed } = before.found;
  if (dryRun) return { kind: 'planned', plan, interrupted, owed, around: lustre?.around };
  const tools = { ...given, repository, host: looked.host, moment: lustre?.moment };
  return done(before, await runBackup(plan, tools), plan.leftOut);
}

/** @param open what is open, where nothing changed since that was asked. */
async function tidyFacts(
  sources: readonly SourceFacts[],
  { keepOnSource }: Pick<BackupAsked, 'keepOnSource'>,
  open: ReadonlySet<Guid> | undefined,
  { client, signal }: WholeTools,
): Promise<Omit<TidyFacts, 'known'>> {
  const held = sources.flatMap(({ dataset, points }) =>
    points
      .filter(({ kind, name, references }) => kind === 'snapshot' && isOwn(name) && references > 0)
      .map(({ name }) => snapshotOf(dataset, name)),
  );
  return {
    open: open ?? guidsOf(await client.openBackups({}, signal)),
    // Only what may go need be asked for.
    holds: keepOnSource === undefined ? new Map() : await holdsOn(held, signal),
    atWork: atWorkIn(sources),
  };
}

function done(
  { results, givenUp }: Before,
  fresh: readonly DatasetResult[] = [],
  leftOut: readonly string[] = [],
): BackupDone {
  return { kind: 'done', results, givenUp, fresh, leftOut };
}

/** Datasets whose interrupted backup is still not finished: a new one would take its place. */
function failedOf({ results }: Before): Set<string> {
  return new Set(results.filter(({ outcome }) => outcome === 'failed').map(({ dataset }) => dataset));
}

/** What remains to be planned; a recursive snapshot with exceptions is one of all the others by name. */
function without(
  left: ReadonlySet<string>,
  { roots, sources }: Sources,
  { recursive, snapshot }: { recursive: boolean; snapshot: string | undefined },
): Pick<Sources, 'roots' | 'sources'> & { readonly recursive: boolean } {
  if (left.size === 0) return { roots, sources, recursive };
  const others = sources.filter(({ dataset }) => !left.has(dataset));
  const named = snapshot === undefined ? others.map(({ dataset }) => dataset) : roots;
  return { roots: named.filter((dataset) => !left.has(dataset)), sources: others, recursive: false };
}
