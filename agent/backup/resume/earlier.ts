/** What earlier runs left unfinished of the datasets that are asked for: done before anything new is begun. */
import { messageOf } from '../../../catalog/errors.ts';
import type { KnownSnapshot, OpenBackupRow, RepositoryInfo } from '../../../catalog/protocol/protocol.ts';
import type { Guid } from '../../../catalog/words.ts';
import type { Progress } from '../../output/progress.ts';
import type { ServiceClient } from '../../service/client.ts';
import type { SourceFacts } from '../../zfs/list.ts';
import { snapshotOf } from '../../zfs/snapshot.ts';
import type { DatasetResult } from '../dataset.ts';
import { type DatasetPlan, planBackup } from '../plan.ts';
import { runBackup } from '../run.ts';
import { findOwed } from '../runs/find.ts';
import type { RunNotes } from '../runs/notes.ts';
import { areConcerned } from '../runs/owed.ts';
import { settleNotes } from '../runs/settle.ts';
import { knownOf, lookAtSources, type Sources } from '../sources.ts';
import { isOwn } from '../tidy/names.ts';
import type { Throttle } from '../upload/throttle.ts';
import type { ResumeDecision } from './decide.ts';
import { findOpen, type Match } from './find.ts';
import { decideUnseen, type FinishTools, finishInterrupted, type GivenUp, isAway } from './finish.ts';
import { type Finished, type MissingMembers, missingMembers } from './members.ts';

/** The datasets, and how they belong together. */
export interface Asked {
  readonly datasets: readonly string[];
  readonly recursive: boolean;
  /** They are the targets of one Lustre file system, whose snapshots of one name are of one moment. */
  readonly isOneMoment: boolean;
}

export interface EarlierTools {
  readonly client: ServiceClient;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  readonly throttle?: Throttle | undefined;
  /** Where runs note what they are at. */
  readonly notes: RunNotes;
}

/** Open backups that were found, with what is decided of each as far as it can be without taking it over. */
export interface Found {
  readonly repository: RepositoryInfo;
  readonly looked: Sources;
  readonly interrupted: readonly { readonly match: Match; readonly decision: ResumeDecision }[];
  /** Of their snapshots, those that the repository has. */
  readonly stored: ReadonlySet<Guid>;
  /** Snapshots and bases of all backups that are open, of whatever dataset. */
  readonly open: ReadonlySet<Guid>;
  /** Snapshots that runs took which were killed before their turn came. */
  readonly owed: readonly MissingMembers[];
  /** Such runs noted something of these datasets, be it owed still or not. */
  readonly isNoted: boolean;
}

/** What became of them. */
export interface EarlierResults {
  readonly results: readonly DatasetResult[];
  readonly givenUp: readonly GivenUp[];
}

/**
 * Looks at the datasets, and for interrupted backups of them.
 *
 * @throws {ZkeepError} what `lookAtSources` and the service throw.
 */
export async function findEarlier(asked: Asked, { client, notes, signal }: EarlierTools): Promise<Found> {
  const { datasets, recursive, isOneMoment } = asked;
  // The service is asked before a snapshot is taken, so that none is taken in vain.
  const [repository, looked] = await Promise.all([
    client.repository(signal),
    lookAtSources(datasets, { recursive, signal }),
  ]);
  const rows = await client.openBackups({}, signal);
  const matches = await findOpen(looked, { recursive, client, signal }, rows);
  const guids = matches.map(({ row }) => row.to);
  const known = guids.length === 0 ? [] : await client.known(guids, signal);
  const stored = new Set(known.map(({ guid }) => guid));
  const interrupted = matches.map((match) => ({
    match,
    decision: decideUnseen(match, { host: looked.host, stored }),
  }));
  const { sources } = looked;
  const runs = await notes.read(repository.id);
  const { owed } = await findOwed({ sources, rows, runs, isOneMoment }, client, signal);
  const isNoted = areConcerned(sources, runs);
  return { repository, looked, interrupted, stored, open: guidsOf(rows), owed, isNoted };
}

/** Snapshots and bases of open backups. */
export function guidsOf(rows: readonly OpenBackupRow[]): ReadonlySet<Guid> {
  return new Set(rows.flatMap(({ to, from }) => (from === null ? [to] : [to, from])));
}

/** Finishes them, and what is owed besides. One that fails does not keep the others from being finished. */
export async function finishEarlier(
  asked: Asked,
  { repository, looked, interrupted, stored }: Found,
  tools: EarlierTools,
): Promise<EarlierResults> {
  const all: FinishTools = { ...tools, repository, host: looked.host, stored };
  const matches = interrupted.map(({ match }) => match);
  const finished = await finishInterrupted(matches, all);
  if (tools.signal.aborted || finished.results.some(({ failure }) => isAway(failure))) return finished;
  const owed = await finishOwed(asked, finished, all);
  return { results: [...finished.results, ...owed], givenUp: finished.givenUp };
}

/**
 * What the repository will know once they are finished: the base of the next backup is among them.
 *
 * @param known what it knows now.
 */
export function knownThen(known: readonly KnownSnapshot[], { interrupted, owed }: Found): KnownSnapshot[] {
  const taken = owed.flatMap(({ snapshot, sources }) =>
    sources.flatMap(({ encrypted, points }) =>
      points
        .filter(({ kind, name }) => kind === 'snapshot' && name === snapshot)
        .map(({ guid }) => ({ guid, restorable: true, flags: { raw: encrypted, large_blocks: true } })),
    ),
  );
  const then = interrupted.flatMap(({ match: { row, source }, decision }): KnownSnapshot[] => {
    if (decision.kind === 'give-up' || !source) return [];
    return [{ guid: row.to, restorable: true, flags: { raw: source.encrypted, large_blocks: true } }];
  });
  return [...known, ...then, ...taken];
}

/** What was never begun: of sets of which something was finished just now, or that a run which was killed noted. */
async function finishOwed(
  asked: Asked,
  { results, givenUp }: EarlierResults,
  tools: FinishTools & EarlierTools,
): Promise<DatasetResult[]> {
  const { client, notes, progress, repository, signal } = tools;
  const { sources } = await lookAtSources(asked.datasets, { recursive: asked.recursive, signal });
  const runs = await notes.read(repository.id);
  const rows = await client.openBackups({}, signal);
  const found = await findOwed({ sources, rows, runs, isOneMoment: asked.isOneMoment }, client, signal);
  const missing = [...(await missingOf(results, asked, sources, rows, tools)), ...found.owed];
  const done: DatasetResult[] = [];
  // What is interrupted still would be taken for given up, if another one of its dataset were begun.
  const blocked = new Set(datasetsOf(results, 'failed'));
  for (const each of onceEach(missing)) {
    const members = each.sources.map(({ dataset }) => dataset).filter((dataset) => !blocked.has(dataset));
    if (members.length > 0) done.push(...(await finishSet(each, members, tools)));
    if (signal.aborted || done.some(({ failure }) => isAway(failure))) break;
    for (const dataset of datasetsOf(done, 'failed')) blocked.add(dataset);
  }
  const stored = [...results, ...done].flatMap(({ outcome, to }) =>
    outcome === 'failed' || !to ? [] : [to],
  );
  const ended = new Set(givenUp.map(({ dataset, snapshot }) => `${dataset}@${snapshot}`));
  const over = runs.filter(({ lives }) => !lives);
  await settleNotes(notes, over, {
    sources,
    stored: new Set([...stored, ...found.stored]),
    failed: new Set(done.flatMap((one) => (one.outcome === 'failed' ? nameOf(one) : []))),
    onGone: (snapshot) => {
      if (ended.has(snapshot)) return;
      progress.note(`${snapshot}, which a run that was killed had taken, is gone: it is not stored`);
    },
    onTrouble: (thrown) => progress.note(`what is owed no more cannot be noted: ${messageOf(thrown)}`),
  });
  return done;
}

async function missingOf(
  results: readonly DatasetResult[],
  { isOneMoment }: Asked,
  sources: readonly SourceFacts[],
  rows: readonly OpenBackupRow[],
  { client, signal }: FinishTools,
): Promise<MissingMembers[]> {
  const finished = results.flatMap((result): Finished[] => {
    const { outcome, dataset, snapshot, set } = result;
    return outcome === 'stored' && snapshot !== null && set !== null ? [{ dataset, snapshot, set }] : [];
  });
  if (finished.length === 0) return [];
  const stored = new Set((await knownOf(sources, client, signal)).map(({ guid }) => guid));
  const open = new Set(rows.map(({ to }) => to));
  return missingMembers({ finished, sources, stored, open, isOneMoment });
}

/** Each snapshot in the first group that names it. */
function onceEach(groups: readonly MissingMembers[]): MissingMembers[] {
  const seen = new Set<string>();
  return groups.map((group) => ({
    ...group,
    sources: group.sources.filter(({ dataset }) => {
      const name = snapshotOf(dataset, group.snapshot);
      return !seen.has(name) && seen.add(name);
    }),
  }));
}

async function finishSet(
  { set, snapshot }: MissingMembers,
  roots: readonly string[],
  tools: FinishTools & EarlierTools,
): Promise<DatasetResult[]> {
  const { client, progress, signal } = tools;
  const names = roots.map((dataset) => snapshotOf(dataset, snapshot)).join(', ');
  const whose = set === null ? 'taken by a run that was killed' : 'of the same set';
  progress.note(`${whose}, and stored now: ${names}`);
  const { sources } = await lookAtSources(roots, { recursive: false, signal });
  const there = sources.filter(({ points }) =>
    points.some(({ kind, name }) => kind === 'snapshot' && name === snapshot),
  );
  const known = await knownOf(there, client, signal);
  const request = { snapshot, full: false, now: 0 };
  const named = there.map(({ dataset }) => dataset);
  const plan = planBackup({ sources: there, roots: named, recursive: false, known, request });
  // As the run would have done that took it; what else is left of the datasets, the next backup clears.
  const datasets = plan.datasets.map((item) => ({ ...item, undo: undoOf(item) }));
  const moment = set === null ? undefined : async () => set;
  const begun = new Set(set === null ? [] : [set]);
  return await runBackup({ ...plan, temporary: [], datasets }, { ...tools, moment }, begun);
}

function undoOf({ snapshot, undo }: DatasetPlan): DatasetPlan['undo'] {
  return isOwn(snapshot) ? 'destroy' : undo;
}

function datasetsOf(results: readonly DatasetResult[], wanted: DatasetResult['outcome']): string[] {
  return results.filter(({ outcome }) => outcome === wanted).map(({ dataset }) => dataset);
}

function nameOf({ dataset, snapshot }: DatasetResult): string[] {
  return snapshot === null ? [] : [snapshotOf(dataset, snapshot)];
}
