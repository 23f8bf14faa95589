/** `zkeep policy`: what is to be kept of which datasets. */
import { type Command, InvalidArgumentError } from 'commander';
import type { Policy } from '../../catalog/chain/retention/policy.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { PolicyOptions } from '../keeping/policy.ts';
import type { CommonOptions } from '../settings.ts';
import { common, type Outcome, perform, type Surroundings } from './command.ts';
import { accessOf } from './connect.ts';

interface SetOptions extends CommonOptions, PolicyOptions {
  readonly file?: string;
}

const EXAMPLE = `zkeep policy set home --datasets 'tank/home/**' --keep-hourly 24 --keep-daily 14 --keep-monthly 12 \\
  --zone Europe/Berlin --objective 26h --chain-steps 100
zkeep prune --dry-run`;

export function addPolicy(program: Command, exit: (code: number) => void): void {
  const policy = program.command('policy').description('what is to be kept of which datasets');
  policy.addHelpText('after', `\nExample:\n${EXAMPLE.replace(/^/gm, '  ')}`);
  addSet(policy, exit);
  common(policy.command('list').description('list the policies that hold'), 'zkeep policy list').action(
    async (options: CommonOptions) => exit(await perform('policy list', options, list)),
  );
  common(
    policy.command('show').description('show one policy').argument('<name>'),
    'zkeep policy show home --json',
  ).action(async (name: string, options: CommonOptions) => {
    exit(await perform('policy show', options, async (surroundings) => await show(name, surroundings)));
  });
  common(
    policy
      .command('remove')
      .description('remove a policy: what no other one is for is kept')
      .argument('<name>'),
    'zkeep policy remove home',
  ).action(async (name: string, options: CommonOptions) => {
    exit(await perform('policy remove', options, async (surroundings) => await remove(name, surroundings)));
  });
}

function addSet(policy: Command, exit: (code: number) => void): void {
  const command = policy
    .command('set')
    .description('set a policy, in place of the one of its name; needs an operator token')
    .argument('[name]', 'its name; with --file, of the only one in it')
    .option('--datasets <patterns...>', "datasets that it is for: 'tank/**' '!tank/scratch/**'")
    .option('--hosts <patterns...>', 'only of these hosts')
    .option('--lineages <ids...>', 'lineages that it is for, whatever their datasets are called')
    .option('--keep-last <n>', 'keep the newest n', countOf)
    .option('--keep-within <duration>', 'keep all that are no older: 36h, 30d')
    .option('--keep-hourly <n>', 'keep the newest of each of the last n hours that have one', countOf)
    .option('--keep-daily <n>', 'the same of days', countOf)
    .option('--keep-weekly <n>', 'of weeks, from Monday', countOf)
    .option('--keep-monthly <n>', 'of months', countOf)
    .option('--keep-yearly <n>', 'of years', countOf)
    .option('--zone <zone>', 'time zone of hours, days, weeks, months and years (default UTC)')
    .option('--objective <duration>', 'how old the newest restorable snapshot may be before it is late')
    .option('--chain-steps <n>', 'most backups in a chain; then the next one is full', countOf)
    .option(
      '--chain-ratio <number>',
      'most stored bytes of the increments, in times of the full backup',
      numberOf,
    )
    .option('--chain-restore <duration>', 'longest restore that is expected, by measured rates')
    .option('--file <file>', 'a TOML file with [[policy]] tables instead of options');
  common(command, EXAMPLE).action(async (name: string | undefined, options: SetOptions) => {
    exit(await perform('policy set', options, async (surroundings) => await set(name, surroundings)));
  });
}

async function set(name: string | undefined, surroundings: Surroundings<SetOptions>): Promise<Outcome> {
  const { options, signal } = surroundings;
  const { policiesIn, policyBy } = await import('../keeping/policy.ts');
  if (name === undefined && options.file === undefined) {
    throw new ZkeepError('usage', 'policy.nameless', 'neither a name nor a file is given', {
      advice: 'zkeep policy set --help has an example',
    });
  }
  const policies =
    options.file === undefined ? [policyBy(name ?? '', options)] : policiesIn(options.file, name);
  const access = await accessOf(surroundings);
  const { setPolicy } = await import('../service/keeping.ts');
  const set: Policy[] = [];
  for (const policy of policies) set.push(await setPolicy(access, policy, signal));
  return { document: { policies: set }, text: await policyTable(set) };
}

async function list(surroundings: Surroundings): Promise<Outcome> {
  const policies = await policiesOf(surroundings);
  const text = policies.length === 0 ? 'there is no policy: everything is kept' : await policyTable(policies);
  return { document: { policies }, text };
}

async function show(name: string, surroundings: Surroundings): Promise<Outcome> {
  const policy = (await policiesOf(surroundings)).find((one) => one.name === name);
  if (!policy) {
    throw new ZkeepError(
      'missing',
      'policy.missing',
      `there is no policy ${JSON.stringify(name.slice(0, 80))}`,
      {
        advice: 'zkeep policy list shows those that hold',
        facts: { policy: name.slice(0, 80) },
      },
    );
  }
  const { chainInWords, keepInWords, rangeInWords } = await import('../../catalog/chain/retention/words.ts');
  const { printable } = await import('../output/words.ts');
  const rows: [string, string][] = [
    ['policy', policy.name],
    ['for', rangeInWords(policy)],
    ['keeps', keepInWords(policy.keep)],
    ['zone', policy.zone],
    ['objective', policy.objective ?? 'none'],
    ['chain', chainInWords(policy) || '-'],
  ];
  const text = rows.map(([title, value]) => `${title.padEnd(10)} ${printable(value)}`).join('\n');
  return { document: { policy }, text };
}

async function remove(name: string, surroundings: Surroundings): Promise<Outcome> {
  const { removePolicy } = await import('../service/keeping.ts');
  await removePolicy(await accessOf(surroundings), name, surroundings.signal);
  return { document: { removed: name }, text: `policy ${name} is removed` };
}

async function policiesOf(surroundings: Surroundings): Promise<Policy[]> {
  const { askPolicies } = await import('../service/keeping.ts');
  return await askPolicies(await accessOf(surroundings), surroundings.signal);
}

async function policyTable(policies: readonly Policy[]): Promise<string> {
  const { chainInWords, keepInWords, rangeInWords } = await import('../../catalog/chain/retention/words.ts');
  const { table } = await import('../output/table.ts');
  const titles = ['policy', 'for', 'keeps', 'zone', 'objective', 'chain'];
  return table(
    titles.map((title) => ({ title })),
    policies.map((policy) => [
      policy.name,
      rangeInWords(policy),
      keepInWords(policy.keep),
      policy.zone,
      policy.objective ?? '-',
      chainInWords(policy) || '-',
    ]),
  );
}

function countOf(text: string): number {
  if (/^[0-9]{1,6}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('write a whole number, 0 or more.');
}

function numberOf(text: string): number {
  if (/^[0-9]{1,6}(\.[0-9]{1,6})?$/.test(text)) return Number(text);
  throw new InvalidArgumentError('write a number such as 1.5.');
}
