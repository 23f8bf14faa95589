/** What `zkeep migrate` says: what it would do, what it did, and what is not as it was. */
import type { ParsedAttributes } from '../../../catalog/attributes/attributes.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { type RunbookStep, runbookOf, runbookText } from '../../../catalog/lustre/runbook.ts';
import type { Guid } from '../../../catalog/words.ts';
import { type MigrationPlan, passedCommands } from '../../migrate/plan.ts';
import type { MigrationResult } from '../../migrate/run.ts';
import { counted, durationInWords, sizeInWords } from '../../output/words.ts';
import type { Finding } from '../../restore/preflight/finding.ts';
import type { ProofDifference } from '../../restore/proof.ts';
import { showCommand } from '../../zfs/failure.ts';
import { releaseCommand, snapshotOf } from '../../zfs/snapshot.ts';
import { failureDocument, type Outcome } from '../command.ts';
import { differenceInWords } from './restore.ts';

/** That there is more than what moves. */
export function behindInWords({ source, behind }: Pick<MigrationPlan, 'source' | 'behind'>): string {
  const what = counted(behind, 'snapshot');
  return `${what} of ${source} will not be at the target: --snapshots moves them too`;
}

/** The commands as a person would type them, each send into its receive. */
export function previewText(
  plan: MigrationPlan,
  findings: readonly Finding[],
  runbook: readonly RunbookStep[],
): string {
  const { source, target, steps, properties, release, behind } = plan;
  const { received, skipped, commands } = properties;
  return [
    ...(behind > 0 ? [`# ${behindInWords(plan)}`] : []),
    ...findings.map(({ message, advice }) => `# ${message}; ${advice}`),
    ...skipped.map(({ property, reason }) => `# ${property} of ${target} is left out: ${reason}`),
    ...(received ? [`# received with the stream: ${[...received.keys()].join(', ')}`] : []),
    ...steps.flatMap((step) => [
      ...step.before.map(showCommand),
      `${showCommand(step.send)} | ${showCommand(step.receive)}`,
      ...passedCommands(source, step).map(showCommand),
    ]),
    ...commands.map(showCommand),
    ...release.map((name) => showCommand(releaseCommand(snapshotOf(source, name)))),
    ...(runbook.length > 0 ? ['', runbookText(runbook).replace(/^/gm, '# ')] : []),
  ].join('\n');
}

/** What is to be done about a Lustre target once its last step has come: nothing before. */
export function runbookAfter(
  { source, target, final }: MigrationPlan,
  guid: Guid | null,
  parsed: ParsedAttributes,
): RunbookStep[] {
  return final ? runbookOf({ dataset: source, parsed }, { target, guid, here: parsed.host }) : [];
}

/** What was done, and whether all that matters agrees; the runbook where the target may now be served. */
export function migratedOutcome(
  plan: MigrationPlan,
  { migrated, differences, written }: MigrationResult,
  parsed: ParsedAttributes,
): Outcome {
  const { source, target, final, behind } = plan;
  const guid = migrated.at(-1)?.guid ?? null;
  const steps = runbookAfter(plan, guid, parsed);
  const failures = failuresOf(plan, differences, written).map((failure) => ({ what: target, failure }));
  const next = final ? afterFinal(plan, written) : beforeFinal(plan);
  return {
    document: {
      source,
      target,
      final,
      behind,
      migrated,
      guid,
      proof: { guid_matches: true, written, differences },
      runbook: steps,
      ...(failures[0] ? { error: failureDocument(failures[0].failure) } : {}),
    },
    text: [
      ...migrated.map(({ snapshot, kind, bytes, seconds }) => {
        const size = `${sizeInWords(bytes)} in ${durationInWords(seconds)}`;
        return `${target} stands at @${snapshot} of ${source}  ${kind}, ${size}`;
      }),
      ...differences.map((difference) => `  ${differenceInWords(difference)}`),
      ...next,
      ...(steps.length > 0 ? ['', runbookText(steps)] : []),
    ].join('\n'),
    failures,
    exit: failures.length > 0 ? 1 : 0,
  };
}

function beforeFinal({ source, target }: MigrationPlan): string[] {
  return [
    `once nothing writes to ${source} any more (stopped, or unmounted): zkeep migrate ${source} --to ${target} --final`,
  ];
}

/** What a person must know who now serves from the target and gives the source away. */
function afterFinal({ source, target, steps }: MigrationPlan, written: number | null): string[] {
  const last = steps.at(-1)?.snapshot;
  if (written !== 0 || last === undefined) return [];
  const held = snapshotOf(source, last);
  return [
    `nothing was written to ${source} after @${last}: all of it is at ${target}`,
    `nothing of it is mounted or started by zkeep, and ${source} stays as it is`,
    `@${last} is held, for another run; before ${source} is destroyed: ${showCommand(releaseCommand(held))}`,
  ];
}

function failuresOf(
  { source, target }: MigrationPlan,
  differences: readonly ProofDifference[],
  written: number | null,
): ZkeepError[] {
  const mattering = differences
    .filter(({ matters }) => matters)
    .map(({ property, why }) => `${property} (${why})`);
  return [
    ...(written !== null && written > 0 ? [stillWritten(source, target, written)] : []),
    ...(mattering.length > 0 ? [notAsItWas(target, mattering)] : []),
  ];
}

function stillWritten(source: string, target: string, written: number): ZkeepError {
  const message = `${written} bytes were written to ${source} after the last snapshot: ${target} lacks them`;
  return new ZkeepError('failed', 'migrate.written', message, {
    advice: 'stop what writes to it, unmount it, and start the same command again',
    facts: { source, target, written },
  });
}

function notAsItWas(target: string, properties: readonly string[]): ZkeepError {
  const more = properties.length > 5 ? ` and ${properties.length - 5} more` : '';
  const message = `${target} holds the data, but not all is as it was: ${properties.slice(0, 5).join('; ')}${more}`;
  return new ZkeepError('failed', 'restore.proof', message, {
    advice: 'see why, set it by hand with zfs set, or start the same command again',
    facts: { target, properties },
  });
}
