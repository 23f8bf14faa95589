/** `zkeep restore`: stands a dataset at a snapshot again, or all datasets of a set. */
import type { Command } from 'commander';
import { ZkeepError } from '../../catalog/errors.ts';
import { parseSetId } from '../../catalog/words.ts';
import type { RestoreRequest } from '../restore/prepare.ts';
import { type CommonOptions, readIdentities, stateFolder } from '../settings.ts';
import type { CatalogView } from '../view/view.ts';
import type { WantedOptions } from '../view/wanted.ts';
import {
  common,
  fromRepository,
  type Outcome,
  patient,
  perform,
  type Surroundings,
  whichSnapshot,
} from './command.ts';
import { withView } from './connect.ts';

interface RestoreOptions extends CommonOptions, WantedOptions {
  readonly to: string;
  readonly set?: string;
  readonly createPool?: string;
  readonly ashift?: string;
  readonly takeMountpoint?: boolean;
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

const EXAMPLE = `zkeep restore tank/home --to new/home
zkeep restore tank/home --to new/home --at '2026-11-20 09:00' --dry-run
zkeep restore tank/home --to new/home --repository s3://backups/zkeep
zkeep restore mgspool/mgt --to mgsnew/mgt --create-pool 'mirror /dev/sdd1 /dev/sde1'
zkeep restore --set 0199c3a5-6f00-7000-8000-000000000000 --to new`;

export function addRestore(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('restore')
    .description('receive what it takes to stand at a snapshot; never mounted, never over something else')
    .argument('[dataset]', 'as it was called where it was backed up')
    .requiredOption('--to <place>', 'pool/dataset to receive into; with --set a pool or a dataset')
    .option('--set <id>', 'all datasets that were stored as this set, with their tree')
    .option(
      '--create-pool <vdevs>',
      "make the pool first, as the stored one was: 'mirror /dev/sdd1 /dev/sde1'",
    )
    .option('--ashift <bits>', 'of the pool that is made; without it as it was')
    .option('--take-mountpoint', 'take over where it is mounted, and whether')
    .option('--force', 'roll the target back, losing what is newer there (zfs receive -F)')
    .option('--dry-run', 'print the commands that would be run');
  fromRepository(whichSnapshot(command));
  common(patient(command), EXAMPLE).action(async (dataset: string | undefined, options: RestoreOptions) => {
    exit(await perform('restore', options, async (surroundings) => await restore(dataset, surroundings)));
  });
}

async function restore(
  dataset: string | undefined,
  surroundings: Surroundings<RestoreOptions>,
): Promise<Outcome> {
  const { options, progress, signal } = surroundings;
  const wanting = await wantingBy(dataset, options);
  const identities = options.identity === undefined ? [] : readIdentities(options.identity);
  const { prepareRestore } = await import('../restore/prepare.ts');
  return await withView(surroundings, async (view) => {
    const request = requestBy(options, await wanting(view));
    const prepared = await prepareRestore(request, { view, identities, signal });
    const { isLustre, previewOutcome, restoredOutcome } = await import('./outcomes/restore.ts');
    const { hostHere } = await import('../lustre/here.ts');
    const here = async () => (prepared.whole.items.some(isLustre) ? await hostHere(signal) : null);
    if (options.dryRun) return previewOutcome(prepared, options.set, await here());
    for (const { message, advice } of prepared.findings) progress.note(`${message}; ${advice}`);
    if (prepared.poolStands)
      progress.note(`the pool ${prepared.whole.pool?.name} is there: an earlier try made it`);
    const { performWhole } = await import('../restore/perform.ts');
    const { Ledgers } = await import('../restore/resume/ledger.ts');
    const tools = { view, identities, progress, ledgers: new Ledgers(stateFolder()), signal };
    const restored = await performWhole(prepared.whole, tools, prepared.abilities);
    return restoredOutcome(restored, prepared, options.set, await here());
  });
}

type Wishes = RestoreRequest['wishes'];

/** What is wanted, checked before anybody is asked. */
async function wantingBy(
  dataset: string | undefined,
  options: RestoreOptions,
): Promise<(view: CatalogView) => Promise<Wishes>> {
  const { wantedBy } = await import('../view/wanted.ts');
  if (options.set === undefined) {
    if (dataset === undefined) throw unclear('neither a dataset nor a set is named');
    const wanted = wantedBy(dataset, options);
    return async () => [{ wanted, target: options.to }];
  }
  const { at, snapshot, guid } = options;
  if (dataset !== undefined || [at, snapshot, guid].some((given) => given !== undefined)) {
    throw unclear('a set says itself which datasets and snapshots it is of');
  }
  const set = parseSetId(options.set);
  const { wishesOfSet } = await import('../restore/places/set.ts');
  return async (view) => await wishesOfSet(view, set, options.to, options.host);
}

function requestBy(options: RestoreOptions, wishes: Wishes): RestoreRequest {
  return {
    wishes,
    createPool: options.createPool,
    ashift: options.ashift === undefined ? undefined : ashiftBy(options.ashift),
    makeParents: options.set !== undefined,
    force: options.force === true,
    takeMountpoint: options.takeMountpoint === true,
  };
}

function ashiftBy(text: string): number {
  const bits = Number(text);
  if (/^[0-9]{1,2}$/.test(text) && bits >= 9 && bits <= 16) return bits;
  throw new ZkeepError('usage', 'restore.ashift', `${JSON.stringify(text.slice(0, 20))} is no ashift`, {
    advice: 'it is the power of two of a sector: 9 for 512 bytes, 12 for 4096, at most 16',
  });
}

function unclear(what: string): ZkeepError {
  return new ZkeepError('usage', 'restore.wanted', what, {
    advice: 'name one dataset, or --set ID; zkeep list DATASET --json shows the sets of its backups',
  });
}
