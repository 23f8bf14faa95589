/** `zkeep backup`: takes, sends, stores. */
import type { Command } from 'commander';
import { systemClock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import { parseBackupId } from '../../catalog/words.ts';
import type { BackupPlan, DatasetPlan } from '../backup/plan.ts';
import type { DatasetResult } from '../backup/run.ts';
import type { PreparedSet } from '../lustre/sets/backup.ts';
import type { ServiceClient } from '../service/client.ts';
import type { CommonOptions } from '../settings.ts';
import {
  common,
  exitCodeOf,
  failureDocument,
  type Outcome,
  patient,
  perform,
  type Surroundings,
} from './command.ts';
import { withClient } from './connect.ts';

interface BackupOptions extends CommonOptions {
  readonly recursive?: boolean;
  readonly snapshot?: string;
  readonly full?: boolean;
  readonly dryRun?: boolean;
  readonly abandon?: string;
  readonly lustre?: string;
  readonly barrier: boolean;
  readonly barrierTimeout?: string;
  readonly join?: boolean;
  readonly wait?: string;
}

const EXAMPLE = `zkeep backup tank/home tank/mail        two datasets, at one moment
zkeep backup -r tank --dry-run          what would be done to all of a pool
zkeep backup tank/home --snapshot daily-1
zkeep backup --lustre lustrefs          MGT and all MDTs, at one moment
zkeep backup --lustre lustrefs --join   the same, on hosts that have MDTs of it and not its MGS`;

export function addBackup(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('backup')
    .description('take a snapshot of each dataset, send it, store it')
    .argument('[dataset...]', 'file systems or volumes of this host')
    .option('-r, --recursive', 'and all datasets below them')
    .option('--snapshot <name>', 'use this snapshot, which is there already')
    .option('--full', 'store a full stream, although there is a base')
    .option('--dry-run', 'print what would be done')
    .option('--lustre <fsname>', 'MGT and MDTs of this Lustre file system, at one moment, as one set')
    .option('--barrier-timeout <seconds>', 'changes of its metadata are held back no longer (default 30)')
    .option('--no-barrier', 'set no barrier: the file system is stopped')
    .option('--join', 'take part in the set that the host of the MGS opens')
    .option('--wait <seconds>', 'wait so long for the other hosts of the set (default 120)')
    .option('--abandon <id>', 'end an open backup whose writer is gone, and do nothing else');
  common(patient(command), EXAMPLE).action(async (datasets: string[], options: BackupOptions) => {
    exit(await perform('backup', options, async (surroundings) => await backup(datasets, surroundings)));
  });
}

async function backup(
  datasets: readonly string[],
  surroundings: Surroundings<BackupOptions>,
): Promise<Outcome> {
  const { abandon } = surroundings.options;
  return await withClient(surroundings, async (client) => {
    if (abandon !== undefined) return await abandonOpen(abandon, client, surroundings);
    if (surroundings.options.lustre !== undefined) return await lustreSet(datasets, client, surroundings);
    withoutLustre(surroundings.options);
    if (datasets.length === 0) throw nothingNamed();
    return await backUp({ datasets, now: systemClock.now() }, client, surroundings);
  });
}

async function abandonOpen(text: string, client: ServiceClient, { signal }: Surroundings): Promise<Outcome> {
  const id = parseBackupId(text);
  await client.abandon(id, signal);
  return { document: { abandoned: id }, text: `backup ${id} is not open any more` };
}

async function lustreSet(
  datasets: readonly string[],
  client: ServiceClient,
  surroundings: Surroundings<BackupOptions>,
): Promise<Outcome> {
  const { prepareSet } = await import('../lustre/sets/backup.ts');
  const { askedFor } = await import('../lustre/sets/options.ts');
  const asked = askedFor(datasets, surroundings.options);
  return await backUp(await prepareSet(asked, { client, ...surroundings }), client, surroundings);
}

/** What is to be backed up. */
interface Wanted {
  readonly datasets: readonly string[];
  /** Names the snapshot, milliseconds since 1970. */
  readonly now: number;
  /** Of a Lustre file system: what makes one moment of the snapshots. */
  readonly lustre?: PreparedSet['lustre'];
}

async function backUp(
  { datasets, now, lustre }: Wanted,
  client: ServiceClient,
  { options, progress, signal }: Surroundings<BackupOptions>,
): Promise<Outcome> {
  const recursive = options.recursive === true;
  const { lookAtSources, knownOf } = await import('../backup/sources.ts');
  const { planBackup } = await import('../backup/plan.ts');
  const { parseSnapshotName } = await import('../zfs/names.ts');
  const snapshot = options.snapshot === undefined ? undefined : parseSnapshotName(options.snapshot);
  // The service is asked before a snapshot is taken, so that none is taken in vain.
  const [repository, looked] = await Promise.all([
    client.repository(signal),
    lookAtSources(datasets, { recursive, signal }),
  ]);
  const { host, roots, sources } = looked;
  const known = await knownOf(sources, client, signal);
  const request = { snapshot, full: options.full === true, now };
  const plan = planBackup({ sources, roots, recursive, known, request });
  for (const dataset of plan.leftOut) progress.note(`${dataset} has no snapshot @${snapshot}: left out`);
  if (lustre) for (const words of lustre.about(sources, known)) progress.note(words);
  if (options.dryRun) return await planOutcome(plan, lustre?.around);
  const { runBackup } = await import('../backup/run.ts');
  const moment = lustre?.moment;
  const results = await runBackup(plan, { client, repository, host, progress, signal, moment });
  return await resultOutcome(results, plan.leftOut, signal);
}

async function planOutcome(
  plan: BackupPlan,
  around: { before: string[][]; after: string[][] } = { before: [], after: [] },
): Promise<Outcome> {
  const { commandsOf } = await import('../backup/plan.ts');
  const { showCommand } = await import('../zfs/failure.ts');
  const rows = plan.datasets.map((item) => ({
    dataset: item.dataset,
    kind: item.kind,
    reason: item.reason,
    from: item.from?.guid ?? null,
    snapshot: item.snapshot,
    commands: commandsOf(item),
  }));
  const first = [...around.before, ...plan.take.map(({ command }) => [...command]), ...around.after];
  const lines = plan.datasets.flatMap((item) => [
    `# ${item.dataset}: ${inWords(item)}`,
    ...commandsOf(item).map(showCommand),
  ]);
  return {
    document: { plan: rows, commands: first, left_out: plan.leftOut },
    text: [...first.map(showCommand), ...lines].join('\n'),
  };
}

function inWords({ kind, reason }: DatasetPlan): string {
  return `${kind === 'already' ? 'nothing to do' : kind}, because ${reason}`;
}

async function resultOutcome(
  results: readonly DatasetResult[],
  leftOut: readonly string[],
  signal: AbortSignal,
): Promise<Outcome> {
  const { exitOf, failuresOf, resultDocument, storedInWords } = await import('../backup/results.ts');
  const failures = failuresOf(results);
  const sets = new Set(results.map(({ set }) => set));
  const [set = null] = sets;
  return {
    document: {
      set: sets.size === 1 ? set : null,
      backups: results.map((result) => resultDocument(result, failureDocument)),
      left_out: leftOut,
      ...(failures[0] ? { error: failureDocument(failures[0].failure) } : {}),
    },
    text: storedInWords(results),
    failures,
    exit: signal.aborted && failures.length > 0 ? exitCodeOf(signal.reason) : exitOf(results, exitCodeOf),
  };
}

/** An option that nobody reads would be taken for heard. */
function withoutLustre({ barrier, barrierTimeout, join, wait }: BackupOptions): void {
  if (barrier && !join && (barrierTimeout ?? wait) === undefined) return;
  throw new ZkeepError('usage', 'lustre.usage', 'barriers, --join and --wait are for --lustre FSNAME', {
    advice: 'zkeep lustre targets shows the file systems of this host',
  });
}

function nothingNamed(): ZkeepError {
  return new ZkeepError('usage', 'backup.nothing', 'no dataset is named', {
    advice: 'zfs list shows the datasets of this host',
  });
}
