/** `zkeep migrate`: from one pool to another on this host, without a bucket in between. */
import type { Command } from 'commander';
import type { ParsedAttributes } from '../../catalog/attributes/attributes.ts';
import { systemClock } from '../../catalog/clock.ts';
import type { MigrationPlan } from '../migrate/plan.ts';
import type { Finding } from '../restore/preflight/finding.ts';
import type { CommonOptions } from '../settings.ts';
import { common, type Outcome, perform, type Surroundings } from './command.ts';

interface MigrateOptions extends CommonOptions {
  readonly to: string;
  readonly final?: boolean;
  readonly snapshots?: boolean;
  readonly takeMountpoint?: boolean;
  readonly dryRun?: boolean;
}

const EXAMPLE = `zkeep migrate oldpool/mdt0 --to newpool/mdt0           while it is in use, once or more often
zkeep migrate oldpool/mdt0 --to newpool/mdt0 --final   once it is stopped: the last, short incremental
zkeep migrate tank/home --to new/home --snapshots      with all snapshots that it has`;

export function addMigrate(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('migrate')
    .description('move a dataset to another pool of this host: snapshot, stream, properties, proof')
    .argument('<dataset>', 'file system or volume of this host')
    .requiredOption('--to <dataset>', 'pool/dataset to receive into')
    .option('--final', 'nothing uses it any more: prove that nothing was written after the last snapshot')
    .option('--snapshots', 'move the snapshots that are there too, the oldest first')
    .option('--take-mountpoint', 'take over where it is mounted, and whether')
    .option('--dry-run', 'print the commands that would be run');
  common(command, EXAMPLE).action(async (dataset: string, options: MigrateOptions) => {
    exit(await perform('migrate', options, async (surroundings) => await migrate(dataset, surroundings)));
  });
}

async function migrate(dataset: string, surroundings: Surroundings<MigrateOptions>): Promise<Outcome> {
  const { options, progress, signal } = surroundings;
  const { lookAtMigration } = await import('../migrate/look.ts');
  const { planMigration } = await import('../migrate/plan.ts');
  const final = options.final === true;
  const snapshots = options.snapshots === true;
  const takeMountpoint = options.takeMountpoint === true;
  const wish = { source: dataset, target: options.to, takeMountpoint, snapshots };
  const looked = await lookAtMigration(wish, signal);
  const plan = planMigration({ ...looked, final, snapshots, now: systemClock.now() });
  const { behindInWords } = await import('./outcomes/migrate.ts');
  const { preflightMigration } = await import('../migrate/preflight.ts');
  const { refuseFindings } = await import('../restore/preflight/preflight.ts');
  const findings = await preflightMigration(plan, looked, signal);
  if (options.dryRun) return await previewOutcome(plan, findings, looked.parsed);
  refuseFindings(findings);
  for (const { message, advice } of findings) progress.note(`${message}; ${advice}`);
  if (plan.behind > 0) progress.note(behindInWords(plan));
  if (looked.mounted && final)
    progress.note(`${plan.source} is mounted: what is still written to it will not be at ${plan.target}`);
  const { runMigration } = await import('../migrate/run.ts');
  const result = await runMigration(plan, { progress, version: looked.abilities.version, signal });
  const { migratedOutcome } = await import('./outcomes/migrate.ts');
  return migratedOutcome(plan, result, looked.parsed);
}

async function previewOutcome(
  plan: MigrationPlan,
  findings: readonly Finding[],
  parsed: ParsedAttributes,
): Promise<Outcome> {
  const { commandsOf } = await import('../migrate/plan.ts');
  const { previewText, runbookAfter } = await import('./outcomes/migrate.ts');
  const runbook = runbookAfter(plan, null, parsed);
  const { source, target, final, steps, behind, properties } = plan;
  return {
    document: {
      source,
      target,
      final,
      steps: steps.map(({ kind, snapshot }) => ({ kind, snapshot })),
      behind,
      commands: commandsOf(plan),
      skipped: properties.skipped,
      runbook,
      findings,
    },
    text: previewText(plan, findings, runbook),
  };
}
