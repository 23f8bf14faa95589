/** What earlier runs left unfinished of the datasets that are asked for: done before anything new is begun. */
import type { KnownSnapshot, OpenBackupRow, RepositoryInfo } from '../../../catalog/protocol/protocol.ts';
import type { Guid } from '../../../catalog/words.ts';
import type { Progress } from '../../output/progress.ts';
import type { ServiceClient } from '../../service/client.ts';
import { snapshotOf } from '../../zfs/snapshot.ts';
import type { DatasetResult } from '../dataset.ts';
import { planBackup } from '../plan.ts';
import { runBackup } from '../run.ts';
import { knownOf, lookAtSources, type Sources } from '../sources.ts';
import type { Throttle } from '../upload/throttle.ts';
import type { ResumeDecision } from './decide.ts';
import { findOpen, type Match } from './find.ts';
import { decideUnseen, type FinishTools, finishInterrupted, type GivenUp } from './finish.ts';
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
export async function findEarlier(asked: Asked, { client, signal }: EarlierTools): Promise<Found> {
  const { datasets, recursive } = asked;
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
  return { repository, looked, interrupted, stored, open: guidsOf(rows) };
}

/** Snapshots and bases of open backups. */
export function guidsOf(rows: readonly OpenBackupRow[]): ReadonlySet<Guid> {
  return new Set(rows.flatMap(({ to, from }) => (from === null ? [to] : [to, from])));
}

/** Finishes them, and what was left of their sets. One that fails does not keep the others from being finished. */
export async function finishEarlier(
  asked: Asked,
  { repository, looked, interrupted, stored }: Found,
  tools: EarlierTools,
): Promise<EarlierResults> {
  const all: FinishTools = { ...tools, repository, host: looked.host, stored };
  const matches = interrupted.map(({ match }) => match);
  const { results, givenUp } = await finishInterrupted(matches, all);
  const finished = results.flatMap((result): Finished[] => {
    const { outcome, dataset, snapshot, set } = result;
    return outcome === 'stored' && snapshot !== null && set !== null ? [{ dataset, snapshot, set }] : [];
  });
  if (finished.length === 0 || tools.signal.aborted) return { results, givenUp };
  return { results: [...results, ...(await finishMembers(asked, finished, all))], givenUp };
}

/**
 * What the repository will know once they are finished: the base of the next backup is among them.
 *
 * @param known what it knows now.
 */
export function knownThen(known: readonly KnownSnapshot[], { interrupted }: Found): KnownSnapshot[] {
  const then = interrupted.flatMap(({ match: { row, source }, decision }): KnownSnapshot[] => {
    if (decision.kind === 'give-up' || !source) return [];
    return [{ guid: row.to, restorable: true, flags: { raw: source.encrypted, large_blocks: true } }];
  });
  return [...known, ...then];
}

async function finishMembers(
  asked: Asked,
  finished: readonly Finished[],
  tools: FinishTools,
): Promise<DatasetResult[]> {
  const { client, signal } = tools;
  const { sources } = await lookAtSources(asked.datasets, { recursive: asked.recursive, signal });
  const known = await knownOf(sources, client, signal);
  const open = new Set((await client.openBackups({}, signal)).map(({ to }) => to));
  const { isOneMoment } = asked;
  const results: DatasetResult[] = [];
  for (const missing of missingMembers({ finished, sources, known, open, isOneMoment })) {
    results.push(...(await finishSet(missing, known, tools)));
  }
  return results;
}

async function finishSet(
  { set, snapshot, sources }: MissingMembers,
  known: readonly KnownSnapshot[],
  tools: FinishTools,
): Promise<DatasetResult[]> {
  const roots = sources.map(({ dataset }) => dataset);
  const names = roots.map((dataset) => snapshotOf(dataset, snapshot)).join(', ');
  tools.progress.note(`of the same set, and stored now: ${names}`);
  const request = { snapshot, full: false, now: 0 };
  const plan = planBackup({ sources, roots, recursive: false, known, request });
  // What else is left of the datasets, the next backup clears.
  return await runBackup({ ...plan, temporary: [] }, { ...tools, moment: async () => set });
}
