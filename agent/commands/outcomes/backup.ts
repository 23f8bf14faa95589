/** What `zkeep backup` tells: for scripts and for people. */
import type { BackupSummary } from '../../../catalog/protocol/protocol.ts';
import type { BackupPlanned } from '../../backup/backup.ts';
import { commandsOf } from '../../backup/commands.ts';
import type { DatasetResult } from '../../backup/dataset.ts';
import type { DatasetPlan } from '../../backup/plan.ts';
import { exitOf, failuresOf, resultDocument, storedInWords } from '../../backup/results.ts';
import { type AbandonPlan, abandonCommandsOf } from '../../backup/resume/abandon.ts';
import { resumeCommandsOf } from '../../backup/resume/decide.ts';
import type { EarlierResults } from '../../backup/resume/earlier.ts';
import { tidyCommandsOf } from '../../backup/tidy/plan.ts';
import { sizeInWords } from '../../output/words.ts';
import { showCommand } from '../../zfs/failure.ts';
import { snapshotOf } from '../../zfs/snapshot.ts';
import { exitCodeOf, failureDocument, type Outcome } from '../command.ts';

/** What would be done: first what was interrupted, then the snapshots, then one dataset after the other. */
export function planOutcome(
  { plan, interrupted, owed }: Pick<BackupPlanned, 'plan' | 'interrupted' | 'owed'>,
  around: { before: string[][]; after: string[][] } = { before: [], after: [] },
): Outcome {
  const rows = plan.datasets.map((item) => ({
    dataset: item.dataset,
    kind: item.kind,
    reason: item.reason,
    from: item.from?.guid ?? null,
    snapshot: item.snapshot,
    commands: commandsOf(item),
    stays: item.tidying.stays,
  }));
  const temporary = plan.temporary.map((left) => ({
    dataset: left.dataset,
    snapshots: left.destroy.map(({ snapshot }) => snapshot),
    commands: tidyCommandsOf(left),
  }));
  const earlier = interrupted.map(({ match, decision }) => ({
    backup: match.row.backup,
    dataset: match.source?.dataset ?? match.row.source.dataset,
    snapshot: decision.item?.snapshot ?? null,
    decision: decision.kind,
    reason: decision.reason,
    bytes: match.row.bytes,
    commands: resumeCommandsOf(decision),
  }));
  const waiting = owed.flatMap(({ set, snapshot, sources }) =>
    sources.map(({ dataset }) => ({ dataset, snapshot, set })),
  );
  const first = [...around.before, ...plan.take.map(({ command }) => [...command]), ...around.after];
  const lines = [
    ...earlier.flatMap((row) => [`# ${interruptedInWords(row)}`, ...row.commands.map(showCommand)]),
    ...waiting.map(
      ({ dataset, snapshot, set }) =>
        `# ${snapshotOf(dataset, snapshot)} was taken by a run that was killed, and is stored first${set === null ? '' : `, in its set ${set}`}`,
    ),
    ...temporary.flatMap(({ dataset, commands }) => [
      `# ${dataset}: an earlier refresh left a temporary snapshot`,
      ...commands.map(showCommand),
    ]),
    ...first.map(showCommand),
    ...plan.datasets.flatMap((item) => [
      `# ${item.dataset}: ${inWords(item)}`,
      ...commandsOf(item).map(showCommand),
      ...item.tidying.stays.map(({ snapshot, reason }) => `# @${snapshot} stays, because ${reason}`),
    ]),
  ];
  return {
    document: {
      interrupted: earlier,
      owed: waiting,
      temporary,
      plan: rows,
      commands: first,
      left_out: plan.leftOut,
    },
    text: lines.join('\n'),
  };
}

/** How all of them fared: those that were interrupted before, then those of this run. */
export function resultOutcome(
  told: EarlierResults & { readonly fresh: readonly DatasetResult[]; readonly leftOut: readonly string[] },
  signal: AbortSignal,
): Outcome {
  const finished = new Set(told.results.map(({ backup }) => backup));
  // That what was just finished is stored already is no news.
  const fresh = told.fresh.filter(({ outcome, backup }) => outcome !== 'already' || !finished.has(backup));
  const results = [...told.results, ...fresh];
  const failures = failuresOf(results);
  const sets = new Set((fresh.length > 0 ? fresh : results).map(({ set }) => set));
  const [set = null] = sets;
  return {
    document: {
      set: sets.size === 1 ? set : null,
      backups: results.map((result) => resultDocument(result, failureDocument)),
      left_out: told.leftOut,
      given_up: told.givenUp,
      ...(failures[0] ? { error: failureDocument(failures[0].failure) } : {}),
    },
    text: [
      storedInWords(results),
      ...results.flatMap(whyFull),
      ...results.flatMap(resumedInWords),
      ...(sets.size === 1 && set !== null && failures.length === 0 ? [setInWords(set)] : []),
    ]
      .filter((text) => text !== '')
      .join('\n'),
    failures,
    exit: signal.aborted && failures.length > 0 ? exitCodeOf(signal.reason) : exitOf(results, exitCodeOf),
  };
}

/** What was taken at one moment can be brought back so. */
function setInWords(set: string): string {
  return `all of one moment: zkeep restore --set ${set} --to POOL brings them back together`;
}

/** What was ended, or would be. */
export function abandonOutcome(plans: readonly AbandonPlan[], dryRun: boolean): Outcome {
  const rows = plans.map((plan) => ({
    backup: plan.backup,
    dataset: plan.row?.source.dataset ?? null,
    snapshot: plan.item?.snapshot ?? null,
    bytes: plan.row?.bytes ?? 0,
    commands: abandonCommandsOf(plan),
  }));
  const lines = rows.flatMap(({ backup, dataset, bytes, commands }) => [
    `${dryRun ? '# ends ' : ''}backup ${backup}${dataset === null ? '' : ` of ${dataset}, ${sizeInWords(bytes)}`}${dryRun ? '' : ', is not open any more'}`,
    ...(dryRun ? commands.map(showCommand) : []),
  ]);
  return { document: dryRun ? { abandon: rows } : { abandoned: rows }, text: lines.join('\n') };
}

function inWords({ kind, reason }: DatasetPlan): string {
  return `${kind === 'already' ? 'nothing to do' : kind}, because ${reason}`;
}

function interruptedInWords(row: {
  dataset: string;
  snapshot: string | null;
  decision: 'resume' | 'again' | 'give-up';
  reason: string;
  bytes: BackupSummary['bytes'];
}): string {
  const what = row.snapshot === null ? row.dataset : snapshotOf(row.dataset, row.snapshot);
  const how = {
    resume: `goes on at about ${sizeInWords(row.bytes)}`,
    again: 'is sent from its start, and what is stored of it stays',
    'give-up': 'cannot be gone on with, and is ended',
  }[row.decision];
  return `${what} was interrupted and ${how}, because ${row.reason}`;
}

/** A full backup costs what an incremental one does not: it is never made in silence. */
function whyFull({ outcome, kind, resumed, dataset, reason }: DatasetResult): string[] {
  return outcome === 'stored' && kind === 'full' && !resumed
    ? [`         ${dataset}: full, because ${reason}`]
    : [];
}

function resumedInWords({ outcome, resumed, dataset }: DatasetResult): string[] {
  if (!resumed || outcome !== 'stored') return [];
  const { kept, sent_again, how } = resumed;
  if (how === 'committed')
    return [`         ${dataset}: it was whole already, only its commit was interrupted`];
  return [
    `         ${dataset}: ${sizeInWords(kept)} were stored before, ${sizeInWords(sent_again)} were sent again`,
  ];
}
