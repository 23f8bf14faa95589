/** `zkeep prune`: what the policies let go, why the rest stays, and having it go. */
import type { Command } from 'commander';
import type { Fate, PruneRequest } from '../../catalog/protocol/keeping.ts';
import { parseMoment } from '../moments.ts';
import type { CommonOptions } from '../settings.ts';
import { common, type Outcome, perform, type Surroundings } from './command.ts';
import { accessOf } from './connect.ts';
import { nothingKept } from './kept.ts';

interface PruneOptions extends CommonOptions {
  readonly host?: string;
  readonly policy?: string;
  readonly at?: string;
  readonly all?: boolean;
  readonly dryRun?: boolean;
}

const EXAMPLE = `zkeep prune --dry-run                      all datasets: what goes, and what stays only for others
zkeep prune tank/home --dry-run            one dataset: why each snapshot stays
zkeep prune tank/home --policy try.toml --at '2027-01-01 00:00'    by other policies, at another time
zkeep prune                                does now what the service does by itself on its schedule`;

/** Without a dataset, rows of what simply stays are left out. */
const WORTH_A_ROW: Fate[] = ['needed', 'in-use', 'marked', 'mark', 'unmark', 'remove'];

export function addPrune(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('prune')
    .description('mark and remove what no policy keeps; needs an operator token, with --dry-run any')
    .argument('[dataset]', 'only backups of this dataset')
    .option('--host <name>', 'only what is from this host')
    .option('--policy <file>', 'show what these policies (TOML) would do instead of those that hold')
    .option('--at <time>', 'show what would be done then, with what is there now')
    .option('--all', 'with the rows of what simply stays, also without a dataset')
    .option('--dry-run', 'show what would be done, and do nothing');
  common(command, EXAMPLE).action(async (dataset: string | undefined, options: PruneOptions) => {
    exit(await perform('prune', options, async (surroundings) => await prune(dataset, surroundings)));
  });
}

async function prune(
  dataset: string | undefined,
  surroundings: Surroundings<PruneOptions>,
): Promise<Outcome> {
  const { options, signal } = surroundings;
  const { host, policy, at } = options;
  const scope = { ...(dataset === undefined ? {} : { dataset }), ...(host === undefined ? {} : { host }) };
  const { policiesIn } = await import('../keeping/policy.ts');
  const asked: PruneRequest = {
    ...scope,
    ...(dataset === undefined && options.all !== true ? { fates: WORTH_A_ROW } : {}),
    ...(policy === undefined ? {} : { policies: policiesIn(policy, 'try') }),
    ...(at === undefined ? {} : { now: parseMoment(at) * 1000 }),
  };
  const access = await accessOf(surroundings);
  const keeping = await import('../service/keeping.ts');
  const { pruneInWords } = await import('../keeping/prune-words.ts');
  const plan = await keeping.askPrunePlan(access, asked, signal);
  if ((dataset ?? host) !== undefined && Object.keys(plan.totals).length === 0) throw nothingKept(scope);
  // What only holds for a simulation is never acted upon.
  if (options.dryRun === true || policy !== undefined || at !== undefined) {
    return { document: { plan }, text: `${pruneInWords(plan)}\nonly shown: nothing was changed` };
  }
  const done = await keeping.prune(access, { ...scope, digest: plan.digest }, signal);
  return { document: { plan, done }, text: pruneInWords(plan, done) };
}
