/** `zkeep restore`: stands a dataset at a snapshot again. */
import type { Command } from 'commander';
import { type CommonOptions, readIdentities } from '../settings.ts';
import type { WantedOptions } from '../view/wanted.ts';
import {
  common,
  fromRepository,
  type Outcome,
  perform,
  retryNote,
  type Surroundings,
  whichSnapshot,
} from './command.ts';

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
  const { openView } = await import('../view/view.ts');
  const view = await openView(options, { signal, onRetry: retryNote(progress) });
  try {
    const target = await lookAtTarget(options.to, signal);
    const { commandsOf, decideRestore, haveOf } = await import('../restore/plan.ts');
    const plan = await view.plan({ wanted, have: haveOf(target), rollback: options.force === true });
    const { checkIdentities, prove, runRestore } = await import('../restore/run.ts');
    checkIdentities(plan.steps, identities);
    const [first] = plan.steps;
    const type = first ? typeOf(await view.manifest(first)) : 'filesystem';
    const actions = decideRestore({ plan, target, type, force: options.force === true });
    if (options.dryRun) {
      const { showCommand } = await import('../zfs/failure.ts');
      const commands = commandsOf(actions);
      const lost = actions.lost.map(({ name }) => `# ${actions.target}@${name} will be lost`);
      return {
        document: { plan, target: actions.target, commands },
        text:
          commands.length > 0
            ? [...lost, ...commands.map(showCommand)].join('\n')
            : standsThere(actions.target),
      };
    }
    for (const { name } of actions.lost) progress.note(`${actions.target}@${name} is lost by going back`);
    const received = await runRestore(actions, { view, identities, progress, signal });
    await prove(actions.target, plan.wanted.guid, signal);
    const { name, guid } = plan.wanted;
    return {
      document: { plan, target: actions.target, received, guid, proof: { guid_matches: true } },
      text:
        received.length > 0
          ? `${actions.target} stands at @${name} (GUID ${guid}), of ${plan.wanted.dataset} on ${plan.wanted.host}`
          : standsThere(actions.target),
    };
  } finally {
    await view.close();
  }
}

function standsThere(target: string): string {
  return `${target} stands there already: nothing to do`;
}

/** What the streams hold: `drr_type` 3 is a volume (`DMU_OST_ZVOL`). */
function typeOf(manifest: { stream: { begin: { type: number } } }): 'filesystem' | 'volume' {
  return manifest.stream.begin.type === 3 ? 'volume' : 'filesystem';
}
