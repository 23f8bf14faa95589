/** `zkeep backup`: finishes what was interrupted, then takes, sends, stores. */
import type { Command } from 'commander';
import { ZkeepError } from '../../catalog/errors.ts';
import type { BackupAsked } from '../backup/backup.ts';
import type { ServiceClient } from '../service/client.ts';
import { type CommonOptions, stateFolder } from '../settings.ts';
import { common, limited, type Outcome, patient, perform, type Surroundings, throttleOf } from './command.ts';
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
  readonly limit?: string;
  readonly refresh?: boolean;
  readonly keepOnSource?: string;
}

const EXAMPLE = `zkeep backup tank/home tank/mail        two datasets, at one moment
zkeep backup -r tank --dry-run          what would be done to all of a pool
zkeep backup tank/home --snapshot daily-1
zkeep backup tank/home --refresh        no snapshot of it stays on the source, only a bookmark
zkeep backup tank/home --keep-on-source 3
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
    .option('--refresh', 'use a temporary snapshot, which is gone from the source afterwards')
    .option('--keep-on-source <n>', "of zkeep's own snapshots that are stored only the newest N stay")
    .option('--full', 'store a full stream, although there is a base')
    .option('--dry-run', 'print what would be done')
    .option('--abandon', 'end open backups whose runs were interrupted, and do nothing else')
    .option('--lustre <fsname>', 'MGT and MDTs of this Lustre file system, at one moment, as one set')
    .option('--barrier-timeout <seconds>', 'changes of its metadata are held back no longer (default 30)')
    .option('--no-barrier', 'set no barrier: the file system is stopped')
    .option('--join', 'take part in the set that the host of the MGS opens')
    .option('--wait <seconds>', 'wait so long for the other hosts of the set (default 120)');
  common(patient(limited(command)), EXAMPLE).action(async (datasets: string[], options: BackupOptions) => {
    exit(await perform('backup', options, async (surroundings) => await backup(datasets, surroundings)));
  });
}

type Doing = Surroundings<BackupOptions> & { readonly client: ServiceClient };

async function backup(
  datasets: readonly string[],
  surroundings: Surroundings<BackupOptions>,
): Promise<Outcome> {
  const { options, signal } = surroundings;
  return await withClient(surroundings, async (client) => {
    const doing = { ...surroundings, client };
    withoutMore(options);
    if (options.lustre === undefined) {
      withoutLustre(options);
      if (datasets.length === 0) throw nothingNamed();
      if (options.abandon) return await abandonOpen(datasets, doing);
    }
    const asked = await askedBy(datasets, options);
    const { backUpWhole } = await import('../backup/backup.ts');
    const throttle = await throttleOf(options);
    const { RunNotes } = await import('../backup/runs/notes.ts');
    const told = await backUpWhole(asked, { ...doing, throttle, notes: new RunNotes(stateFolder()) });
    const { planOutcome, resultOutcome } = await import('./outcomes/backup.ts');
    return told.kind === 'planned' ? planOutcome(told, told.around) : resultOutcome(told, signal);
  });
}

/** Checked before anything is done. */
async function askedBy(datasets: readonly string[], options: BackupOptions): Promise<BackupAsked> {
  const { recursive = false, full = false, dryRun = false } = options;
  const asked = {
    ...{ datasets, recursive, full, dryRun, snapshot: undefined },
    refresh: refreshOf(options),
    keepOnSource: countOf(options),
  };
  if (options.lustre !== undefined) {
    const { askedFor } = await import('../lustre/sets/options.ts');
    return { ...asked, lustre: askedFor(datasets, options) };
  }
  const { parseSnapshotName } = await import('../zfs/names.ts');
  return options.snapshot === undefined ? asked : { ...asked, snapshot: parseSnapshotName(options.snapshot) };
}

async function abandonOpen(names: readonly string[], doing: Doing): Promise<Outcome> {
  const { options } = doing;
  const { abandon, planAbandon } = await import('../backup/resume/abandon.ts');
  const { abandonOutcome } = await import('./outcomes/backup.ts');
  const plans = await planAbandon(names, options.recursive === true, doing);
  if (!options.dryRun) for (const plan of plans) await abandon(plan, doing);
  return abandonOutcome(plans, options.dryRun === true);
}

/** An option that nobody reads would be taken for heard. */
function withoutLustre({ barrier, barrierTimeout, join, wait }: BackupOptions): void {
  if (barrier && !join && (barrierTimeout ?? wait) === undefined) return;
  throw new ZkeepError('usage', 'lustre.usage', 'barriers, --join and --wait are for --lustre FSNAME', {
    advice: 'zkeep lustre targets shows the file systems of this host',
  });
}

/** A temporary snapshot is taken here and now. */
function refreshOf({ refresh = false, lustre, snapshot }: BackupOptions): boolean {
  if (!refresh || (lustre ?? snapshot) === undefined) return refresh;
  throw new ZkeepError(
    'usage',
    'backup.refresh-only',
    '--refresh goes neither with --snapshot nor with --lustre',
    {
      advice:
        'it takes a snapshot of its own; --keep-on-source 0 lets those of a set go once they are stored',
    },
  );
}

function countOf({ keepOnSource: text }: BackupOptions): number | undefined {
  if (text === undefined) return undefined;
  if (/^[0-9]{1,6}$/.test(text)) return Number(text);
  throw new ZkeepError(
    'usage',
    'backup.keep-on-source',
    `${JSON.stringify(text.slice(0, 40))} is no number`,
    {
      advice: 'write it as --keep-on-source 3; 0 keeps none',
    },
  );
}

function withoutMore({ abandon, lustre, snapshot, full, refresh, keepOnSource }: BackupOptions): void {
  if (!abandon || (lustre ?? snapshot ?? full ?? refresh ?? keepOnSource) === undefined) return;
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
