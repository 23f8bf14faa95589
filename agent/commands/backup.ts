/** `zkeep backup`: finishes what was interrupted, then takes, sends, stores. */
import type { Command } from 'commander';
import { systemClock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { Asked, EarlierResults, Found } from '../backup/resume/earlier.ts';
import type { Sources } from '../backup/sources.ts';
import type { PreparedSet } from '../lustre/sets/backup.ts';
import type { ServiceClient } from '../service/client.ts';
import type { CommonOptions } from '../settings.ts';
import { common, type Outcome, patient, perform, type Surroundings } from './command.ts';
import { withClient } from './connect.ts';

interface BackupOptions extends CommonOptions {
  readonly recursive?: boolean;
  readonly snapshot?: string;
  readonly full?: boolean;
  readonly dryRun?: boolean;
  readonly abandon?: boolean;
  readonly lustre?: string;
  readonly barrier: boolean;
  readonly barrierTimeout?: string;
  readonly join?: boolean;
  readonly wait?: string;
}

const EXAMPLE = `zkeep backup tank/home tank/mail        two datasets, at one moment
zkeep backup -r tank --dry-run          what would be done to all of a pool
zkeep backup tank/home --snapshot daily-1
zkeep backup --abandon tank/home        what was interrupted is not gone on with
zkeep backup --lustre lustrefs          MGT and all MDTs, at one moment
zkeep backup --lustre lustrefs --join   the same, on hosts that have MDTs of it and not its MGS`;

export function addBackup(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('backup')
    .description('finish what was interrupted, then take a snapshot of each dataset, send it, store it')
    .argument('[dataset...]', 'file systems or volumes of this host; with --abandon also ids of open backups')
    .option('-r, --recursive', 'and all datasets below them')
    .option('--snapshot <name>', 'use this snapshot, which is there already')
    .option('--full', 'store a full stream, although there is a base')
    .option('--dry-run', 'print what would be done')
    .option('--abandon', 'end open backups whose runs were interrupted, and do nothing else')
    .option('--lustre <fsname>', 'MGT and MDTs of this Lustre file system, at one moment, as one set')
    .option('--barrier-timeout <seconds>', 'changes of its metadata are held back no longer (default 30)')
    .option('--no-barrier', 'set no barrier: the file system is stopped')
    .option('--join', 'take part in the set that the host of the MGS opens')
    .option('--wait <seconds>', 'wait so long for the other hosts of the set (default 120)');
  common(patient(command), EXAMPLE).action(async (datasets: string[], options: BackupOptions) => {
    exit(await perform('backup', options, async (surroundings) => await backup(datasets, surroundings)));
  });
}

type Doing = Surroundings<BackupOptions> & { readonly client: ServiceClient };

async function backup(
  datasets: readonly string[],
  surroundings: Surroundings<BackupOptions>,
): Promise<Outcome> {
  const { options } = surroundings;
  return await withClient(surroundings, async (client) => {
    const doing = { ...surroundings, client };
    withoutMore(options);
    if (options.lustre !== undefined) return await lustreSet(datasets, doing);
    withoutLustre(options);
    if (datasets.length === 0) throw nothingNamed();
    if (options.abandon) return await abandonOpen(datasets, doing);
    const snapshot = await namedSnapshot(options);
    const asked = { datasets, recursive: options.recursive === true, isOneMoment: false };
    const before = await earlier(asked, doing);
    return await backUp({ datasets, snapshot, now: systemClock.now() }, before, doing);
  });
}

async function abandonOpen(names: readonly string[], doing: Doing): Promise<Outcome> {
  const { options } = doing;
  const { abandon, planAbandon } = await import('../backup/resume/abandon.ts');
  const { abandonOutcome } = await import('./outcomes/backup.ts');
  const plans = await planAbandon(names, options.recursive === true, doing);
  if (!options.dryRun) for (const plan of plans) await abandon(plan, doing);
  return abandonOutcome(plans, options.dryRun === true);
}

async function lustreSet(datasets: readonly string[], doing: Doing): Promise<Outcome> {
  const { datasetsOf, prepareSet } = await import('../lustre/sets/backup.ts');
  const { askedFor } = await import('../lustre/sets/options.ts');
  const asked = askedFor(datasets, doing.options);
  const members = await datasetsOf(asked, doing);
  const before = await earlier({ datasets: members, recursive: false, isOneMoment: true }, doing);
  if (before.results.some(({ outcome }) => outcome === 'failed')) {
    doing.progress.note('no new set is taken before the one that was interrupted is whole');
    return await results(before, doing);
  }
  return await backUp({ ...(await prepareSet(asked, doing)), snapshot: undefined }, before, doing);
}

/** What was found of earlier runs, and what became of it. */
type Before = EarlierResults & { readonly found: Found };

/** Finishes what earlier runs left, unless it is only to be shown. */
async function earlier(asked: Asked, doing: Doing): Promise<Before> {
  const { findEarlier, finishEarlier } = await import('../backup/resume/earlier.ts');
  const found = await findEarlier(asked, doing);
  if (doing.options.dryRun || found.interrupted.length === 0) return { found, results: [], givenUp: [] };
  return { found, ...(await finishEarlier(asked, found, doing)) };
}

/** What is to be backed up. */
interface Wanted {
  readonly datasets: readonly string[];
  /** The part after `@` of a snapshot that is there; `undefined`: a new one is taken. */
  readonly snapshot: string | undefined;
  /** Names the new snapshot, milliseconds since 1970. */
  readonly now: number;
  /** Of a Lustre file system: what makes one moment of the snapshots. */
  readonly lustre?: PreparedSet['lustre'];
}

async function backUp(wanted: Wanted, before: Before, doing: Doing): Promise<Outcome> {
  const { datasets, snapshot, now, lustre } = wanted;
  const { options, client, progress, signal } = doing;
  if (signal.aborted) return await results(before, doing);
  const { lookAtSources, knownOf } = await import('../backup/sources.ts');
  const { planBackup } = await import('../backup/plan.ts');
  const { knownThen } = await import('../backup/resume/earlier.ts');
  const recursive = options.recursive === true;
  // What was finished has other bookmarks and holds than when it was looked at.
  const again = lustre !== undefined || before.results.length > 0 || before.givenUp.length > 0;
  const looked = again ? await lookAtSources(datasets, { recursive, signal }) : before.found.looked;
  const asked = without(failedOf(before), looked, { recursive, snapshot });
  if (asked.sources.length === 0) return await results(before, doing);
  const knownNow = await knownOf(asked.sources, client, signal);
  const known = options.dryRun ? knownThen(knownNow, before.found) : knownNow;
  const request = { snapshot, full: options.full === true, now };
  const plan = planBackup({ ...asked, known, request });
  for (const dataset of plan.leftOut) progress.note(`${dataset} has no snapshot @${snapshot}: left out`);
  if (lustre) for (const words of lustre.about(asked.sources, known)) progress.note(words);
  if (options.dryRun) {
    const { planOutcome } = await import('./outcomes/backup.ts');
    return planOutcome(plan, before.found.interrupted, lustre?.around);
  }
  const { runBackup } = await import('../backup/run.ts');
  const { repository } = before.found;
  const tools = { client, repository, host: looked.host, progress, signal, moment: lustre?.moment };
  const fresh = await runBackup(plan, tools);
  return await results({ ...before, fresh, leftOut: plan.leftOut }, doing);
}

/** Checked before anything is done. */
async function namedSnapshot({ snapshot }: BackupOptions): Promise<string | undefined> {
  const { parseSnapshotName } = await import('../zfs/names.ts');
  return snapshot === undefined ? undefined : parseSnapshotName(snapshot);
}

/** Datasets whose interrupted backup is still not finished: a new one would take its place. */
function failedOf({ results: earlierResults }: Before): ReadonlySet<string> {
  return new Set(earlierResults.filter(({ outcome }) => outcome === 'failed').map(({ dataset }) => dataset));
}

/** What is left to be planned; a recursive snapshot with exceptions is one of all the others by name. */
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

async function results(
  told: EarlierResults & Partial<Parameters<typeof import('./outcomes/backup.ts').resultOutcome>[0]>,
  { signal }: Doing,
): Promise<Outcome> {
  const { resultOutcome } = await import('./outcomes/backup.ts');
  return resultOutcome({ fresh: [], leftOut: [], ...told }, signal);
}

/** An option that nobody reads would be taken for heard. */
function withoutLustre({ barrier, barrierTimeout, join, wait }: BackupOptions): void {
  if (barrier && !join && (barrierTimeout ?? wait) === undefined) return;
  throw new ZkeepError('usage', 'lustre.usage', 'barriers, --join and --wait are for --lustre FSNAME', {
    advice: 'zkeep lustre targets shows the file systems of this host',
  });
}

function withoutMore({ abandon, lustre, snapshot, full }: BackupOptions): void {
  if (!abandon || (lustre ?? snapshot ?? full) === undefined) return;
  throw new ZkeepError(
    'usage',
    'backup.abandon-only',
    '--abandon goes with datasets, ids, -r and --dry-run',
    {
      advice: 'it ends what was interrupted, and takes no new backup',
    },
  );
}

function nothingNamed(): ZkeepError {
  return new ZkeepError('usage', 'backup.nothing', 'no dataset is named', {
    advice: 'zfs list shows the datasets of this host',
  });
}
