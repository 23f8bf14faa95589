/** One run of a job: its hooks, and the same backup that `zkeep backup` makes. */
import { messageOf, ZkeepError } from '../../../catalog/errors.ts';
import { type BackupAsked, type BackupDone, backUpWhole, type WholeTools } from '../../backup/backup.ts';
import type { DatasetResult } from '../../backup/dataset.ts';
import type { Around } from '../../backup/snapshots.ts';
import { datasetsOf } from '../../lustre/sets/backup.ts';
import { counted, sizeInWords } from '../../output/words.ts';
import { type DatasetFacts, listDatasets, listSources } from '../../zfs/list.ts';
import { parsePoint } from '../../zfs/names.ts';
import { asTrees, byNewest, coveredNow } from '../covered.ts';
import type { Debts } from './debts.ts';
import { runHook } from './hooks.ts';
import type { Job } from './job.ts';
import type { JobEnd } from './records.ts';

/** What a run works with. */
export interface RunTools extends Omit<WholeTools, 'around'> {
  readonly debts: Debts;
}

/** What went wrong beside the backups themselves. */
interface Trouble {
  /** `undefined`: it concerns all of the run. */
  readonly dataset: string | undefined;
  readonly thrown: unknown;
}

/** Longest words about a run. */
const MOST_WORDS = 2000;

/**
 * Runs a job once: finishes what was interrupted of its datasets, then takes, sends, stores.
 *
 * @param only these of its datasets, where a run before could not store just these; `null`: all.
 * @returns how it went: it does not throw.
 * @example (await runJob(job, null, tools)).outcome // 'done'
 */
export async function runJob(job: Job, only: readonly string[] | null, tools: RunTools): Promise<JobEnd> {
  const results: DatasetResult[] = [];
  const troubles: Trouble[] = [];
  const covered: string[] = [];
  try {
    const { batches, datasets, lacking } = await batchesOf(job, only, tools);
    covered.push(...datasets);
    troubles.push(...lacking);
    const around = aroundBy(job, tools, (thrown) => troubles.push({ dataset: undefined, thrown }));
    for (const asked of batches) {
      if (tools.signal.aborted) break;
      const told = await backUpWhole(asked, { ...tools, around });
      if (told.kind === 'done') results.push(...resultsOf(told));
    }
  } catch (thrown) {
    troubles.push({ dataset: undefined, thrown });
  }
  const end = endOf(results, troubles, tools.signal.aborted);
  return await afterAll(job, covered, end, tools);
}

/** The datasets that a job covers now. */
export async function datasetsNow(
  job: Job,
  here: readonly DatasetFacts[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (job.covered.kind === 'lustre') return await datasetsOf(job.covered.asked, { signal });
  return coveredNow(job.covered, here).datasets;
}

/** What is asked of one backup after the other. */
async function batchesOf(
  { name, covered, snapshot }: Job,
  only: readonly string[] | null,
  { signal }: RunTools,
): Promise<{ batches: BackupAsked[]; datasets: readonly string[]; lacking: Trouble[] }> {
  const usual = { recursive: false, snapshot: undefined, full: false, dryRun: false };
  if (covered.kind === 'lustre') {
    const datasets = await datasetsOf(covered.asked, { signal });
    return { batches: [{ ...usual, datasets: [], lustre: covered.asked }], datasets, lacking: [] };
  }
  const here = await listDatasets(signal);
  const now = coveredNow(covered, here);
  const datasets = now.datasets.filter((dataset) => only?.includes(dataset) ?? true);
  const lacking = now.lacking.filter((dataset) => only?.includes(dataset) ?? true).map(notThere);
  if (datasets.length === 0) {
    // With `only`: what could not be stored may be gone, and is then not lacking.
    if (only || lacking.length > 0) return { batches: [], datasets, lacking };
    throw nothingCovered(name);
  }
  if (snapshot.kind !== 'newest') {
    const mode = snapshot.kind === 'refresh' ? { refresh: true } : { keepOnSource: snapshot.keepOnSource };
    return { batches: [{ ...usual, ...asTrees(datasets, here), ...mode }], datasets, lacking };
  }
  const sources = await listSources(datasets, { recursive: false, signal });
  const { batches, without } = byNewest(sources, snapshot.pattern);
  return {
    batches: [...batches].map(([newest, those]) => ({ ...usual, datasets: those, snapshot: newest })),
    datasets,
    lacking: [...lacking, ...without.map((dataset) => noSuchSnapshot(dataset, snapshot.pattern))],
  };
}

/** The hooks right before and after the snapshots. */
function aroundBy(
  { name, hooks }: Job,
  { debts, signal }: RunTools,
  onTrouble: (thrown: unknown) => void,
): Around | undefined {
  const { before, after, timeout } = hooks;
  if (!before && !after) return undefined;
  return async (snapshots, take) => {
    const points = snapshots.map(parsePoint);
    const facts = {
      job: name,
      datasets: points.map(({ dataset }) => dataset),
      snapshot: points[0]?.name ?? '',
    };
    const pay = after && (await debts.owe({ command: after, timeout, facts: { ...facts, outcome: '' } }));
    let outcome = 'failed';
    try {
      if (before)
        await runHook({ name: 'before', command: before, timeout, facts: { ...facts, outcome: '' }, signal });
      await take();
      outcome = 'taken';
    } finally {
      // The snapshots stand, whatever becomes of it; but somebody has to look.
      await pay?.(outcome).catch(onTrouble);
    }
  };
}

async function afterAll(
  { name, hooks }: Job,
  datasets: readonly string[],
  end: JobEnd,
  { progress }: RunTools,
): Promise<JobEnd> {
  if (!hooks.ended) return end;
  const facts = { job: name, datasets, snapshot: '', outcome: end.outcome };
  try {
    await runHook({ name: 'ended', command: hooks.ended, timeout: hooks.timeout, facts });
    return end;
  } catch (thrown) {
    progress.note(messageOf(thrown));
    return { ...end, words: cut(`${end.words}; ${messageOf(thrown)}`) };
  }
}

/** What was stored before and is stored by this run, each once. */
function resultsOf({ results, fresh }: BackupDone): DatasetResult[] {
  const finished = new Set(results.map(({ backup }) => backup));
  return [
    ...results,
    ...fresh.filter(({ outcome, backup }) => outcome !== 'already' || !finished.has(backup)),
  ];
}

function endOf(
  results: readonly DatasetResult[],
  troubles: readonly Trouble[],
  interrupted: boolean,
): JobEnd {
  const failures = results.filter(({ outcome }) => outcome === 'failed');
  const stored = results.filter(({ outcome }) => outcome === 'stored');
  const size = sum(stored.map((result) => result.stored));
  const words = [
    ...(stored.length > 0 ? [`${counted(stored.length, 'snapshot')} stored as ${sizeInWords(size)}`] : []),
    ...troubles.map(({ thrown }) => messageOf(thrown)),
    ...failures.map(({ dataset, failure }) => `${dataset}: ${messageOf(failure)}`),
    // What costs more than an increment is never stored in silence.
    ...stored
      .filter(({ kind, resumed }) => kind === 'full' && !resumed)
      .map(({ dataset, reason }) => `${dataset} in full, because ${reason}`),
  ];
  const isWhole = troubles.some(({ dataset }) => dataset === undefined);
  const failed = [
    ...troubles.flatMap(({ dataset }) => dataset ?? []),
    ...failures.map(({ dataset }) => dataset),
  ];
  return {
    outcome: interrupted ? 'interrupted' : outcomeOf(results.length, failures.length, troubles.length),
    words: cut(words.join('; ') || 'nothing was new'),
    stored: size,
    failed: isWhole ? [] : [...new Set(failed)],
  };
}

function outcomeOf(results: number, failures: number, troubles: number): JobEnd['outcome'] {
  if (failures + troubles === 0) return 'done';
  return failures === results ? 'failed' : 'partly';
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

function cut(words: string): string {
  return words.length <= MOST_WORDS ? words : `${words.slice(0, MOST_WORDS - 3)}...`;
}

function notThere(dataset: string): Trouble {
  const thrown = new ZkeepError('missing', 'agent.no-dataset', `there is no dataset ${dataset}`, {
    advice: 'zfs list shows the datasets of this host',
    facts: { dataset },
  });
  return { dataset, thrown };
}

function nothingCovered(job: string): ZkeepError {
  return new ZkeepError('missing', 'agent.nothing-covered', 'no dataset of this host fits', {
    advice: 'zkeep agent check shows what each job covers',
    facts: { job },
  });
}

function noSuchSnapshot(dataset: string, pattern: string): Trouble {
  const message = `${dataset} has no snapshot @${pattern}`;
  const thrown = new ZkeepError('missing', 'agent.no-snapshot', message, {
    advice: 'see that what takes them runs',
    facts: { dataset, pattern },
  });
  return { dataset, thrown };
}
