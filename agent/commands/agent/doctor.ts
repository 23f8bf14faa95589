/** `zkeep agent doctor`: what is not well on this host, and what mends it. */
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { HereFacts } from '../../leftovers/facts.ts';
import { common, type Outcome, perform, type Surroundings } from '../command.ts';
import { withClient } from '../connect.ts';
import { type AgentOptions, configured } from './agent.ts';

interface DoctorOptions extends AgentOptions {
  readonly fix?: boolean;
  readonly dryRun?: boolean;
}

/** Findings are left. */
const NOT_WELL = 1;
/** A service that is away is a finding at once. */
const NO_PATIENCE = '0';

const EXAMPLE = `zkeep agent doctor
zkeep agent doctor tank/home            only what is found there, and below
zkeep agent doctor --fix --dry-run      what it would mend by itself`;

export function addAgentDoctor(agent: Command, exit: (code: number) => void): void {
  const command = agent
    .command('doctor')
    .description(
      'look for leaked holds, left snapshots, wrong clocks, missing rights, datasets no job covers',
    )
    .argument('[dataset...]', 'only what is found at these, and below them')
    .option('--fix', 'mend what is safe to mend: take away what zkeep itself left')
    .option('--dry-run', 'with --fix: print the commands, and run none');
  common(configured(command), EXAMPLE).action(async (datasets: string[], options: DoctorOptions) => {
    exit(await perform('agent doctor', options, async (given) => await look(datasets, given)));
  });
}

async function look(names: readonly string[], surroundings: Surroundings<DoctorOptions>): Promise<Outcome> {
  const { options, signal } = surroundings;
  const { parseDataset } = await import('../../zfs/names.ts');
  const { askAll } = await import('../../doctor/gather.ts');
  const { diagnose } = await import('../../doctor/diagnose.ts');
  const { mend } = await import('../../doctor/mend.ts');
  const { doctorDocument, doctorInWords } = await import('../../doctor/words.ts');
  const { version } = await import('../program.ts');
  const asked = {
    scope: names.map(parseDataset),
    config: options.config,
    tokenFile: options.tokenFile,
    version: version(),
  };
  const impatient = { ...surroundings, options: { ...options, patience: NO_PATIENCE } };
  const facts = await askAll(asked, async (work) => await withClient(impatient, work), signal);
  const all = diagnose(facts);
  // What is gone may have left something; where it has not, the name is as likely mistyped.
  const missing = all.length > 0 ? undefined : asked.scope.find((name) => isNotThere(name, facts.here));
  if (missing !== undefined) throw notThere(missing);
  const findings = options.fix && options.dryRun ? all.filter(({ safe }) => safe) : all;
  const mended = options.fix && !options.dryRun ? await mend(findings, signal) : new Map();
  const left = findings.filter((finding) => {
    const done = mended.get(finding);
    return !done || done.some(({ error }: { error: string | null }) => error !== null);
  });
  return {
    document: doctorDocument(hostname(), findings, mended),
    text: doctorInWords(findings, mended),
    exit: left.length === 0 ? 0 : NOT_WELL,
  };
}

function isNotThere(name: string, here: HereFacts | null): boolean {
  return !!here && !here.sources.some(({ dataset }) => dataset === name || dataset.startsWith(`${name}/`));
}

function notThere(dataset: string): ZkeepError {
  return new ZkeepError('missing', 'doctor.no-dataset', `there is no dataset ${dataset} on this host`, {
    advice: 'zfs list shows those that are there',
    facts: { dataset },
  });
}
