/** `zkeep restore`: stands a dataset at a snapshot again. */
import type { Command } from 'commander';
import type { RestorePlan } from '../../catalog/protocol/protocol.ts';
import type { RestoreActions } from '../restore/plan.ts';
import type { Received } from '../restore/run.ts';
import { type CommonOptions, readIdentities } from '../settings.ts';
import type { WantedOptions } from '../view/wanted.ts';
import {
  common,
  fromRepository,
  type Outcome,
  perform,
  type Surroundings,
  whichSnapshot,
} from './command.ts';
import { withView } from './connect.ts';

interface RestoreOptions extends CommonOptions, WantedOptions {
  readonly to: string;
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

const EXAMPLE = `zkeep restore tank/home --to new/home
zkeep restore tank/home --to new/home --at '2026-11-20 09:00' --dry-run
zkeep restore tank/home --to new/home --repository s3://backups/zkeep`;

export function addRestore(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('restore')
    .description('receive what it takes to stand at a snapshot; never mounted, never over something else')
    .argument('<dataset>', 'as it was called where it was backed up')
    .requiredOption('--to <dataset>', 'pool/dataset to receive into')
    .option('--force', 'roll the target back, losing what is newer there (zfs receive -F)')
    .option('--dry-run', 'print the commands that would be run');
  fromRepository(whichSnapshot(command));
  common(command, EXAMPLE).action(async (dataset: string, options: RestoreOptions) => {
    exit(await perform('restore', options, async (surroundings) => await restore(dataset, surroundings)));
  });
}

async function restore(dataset: string, surroundings: Surroundings<RestoreOptions>): Promise<Outcome> {
  const { options, progress, signal } = surroundings;
  const { wantedBy } = await import('../view/wanted.ts');
  const wanted = wantedBy(dataset, options);
  const identities = options.identity === undefined ? [] : readIdentities(options.identity);
  const { lookAtTarget } = await import('../restore/target.ts');
  const { decideRestore, haveOf } = await import('../restore/plan.ts');
  const { checkIdentities, prove, runRestore } = await import('../restore/run.ts');
  return await withView(surroundings, async (view) => {
    const target = await lookAtTarget(options.to, signal);
    const force = options.force === true;
    const plan = await view.plan({ wanted, have: haveOf(target), rollback: force });
    checkIdentities(plan.steps, identities);
    const [first] = plan.steps;
    const type = first ? typeOf(await view.manifest(first)) : 'filesystem';
    const actions = decideRestore({ plan, target, type, force });
    if (options.dryRun) return await dryOutcome(plan, actions);
    for (const { name } of actions.lost) progress.note(`${actions.target}@${name} is lost by going back`);
    const received = await runRestore(actions, { view, identities, progress, signal });
    await prove(actions.target, plan.wanted.guid, signal);
    return doneOutcome(plan, actions, received);
  });
}

async function dryOutcome(plan: RestorePlan, actions: RestoreActions): Promise<Outcome> {
  const { commandsOf } = await import('../restore/plan.ts');
  const { showCommand } = await import('../zfs/failure.ts');
  const { target } = actions;
  const commands = commandsOf(actions);
  const lost = actions.lost.map(({ name }) => `# ${target}@${name} will be lost`);
  const text = commands.length > 0 ? [...lost, ...commands.map(showCommand)].join('\n') : standsThere(target);
  return { document: { plan, target, commands }, text };
}

function doneOutcome(plan: RestorePlan, { target }: RestoreActions, received: readonly Received[]): Outcome {
  const { guid, name, dataset, host } = plan.wanted;
  const stands = `${target} stands at @${name} (GUID ${guid}), of ${dataset} on ${host}`;
  return {
    document: { plan, target, received, guid, proof: { guid_matches: true } },
    text: received.length > 0 ? stands : standsThere(target),
  };
}

function standsThere(target: string): string {
  return `${target} stands there already: nothing to do`;
}

/** What the streams hold: `drr_type` 3 is a volume (`DMU_OST_ZVOL`). */
function typeOf(manifest: { stream: { begin: { type: number } } }): 'filesystem' | 'volume' {
  return manifest.stream.begin.type === 3 ? 'volume' : 'filesystem';
}
