/** Which datasets of this host a job covers now. Decided here, purely. */
import { matches } from '../../catalog/patterns.ts';
import { isOfDrill } from '../drill/mark.ts';
import type { DatasetFacts, SourceFacts } from '../zfs/list.ts';
import type { Covered } from './jobs/job.ts';

type Patterns = Extract<Covered, { kind: 'datasets' }>;

/** The datasets of a job. */
export interface CoveredNow {
  /** In the order in which the host lists them. */
  readonly datasets: readonly string[];
  /** Plain names in the configuration that are not there. */
  readonly lacking: readonly string[];
}

/**
 * The datasets that a job covers; what a drill restored is none, wherever that is.
 *
 * @example coveredNow(job.covered, await listDatasets(signal)).datasets
 */
export function coveredNow(
  { patterns, named, only }: Patterns,
  here: readonly Pick<DatasetFacts, 'dataset' | 'type'>[],
): CoveredNow {
  const names = new Set(here.map(({ dataset }) => dataset));
  const datasets = here.filter(
    ({ dataset, type }) => (only ?? type) === type && matches(patterns, dataset) && !isOfDrill(dataset),
  );
  return {
    datasets: datasets.map(({ dataset }) => dataset),
    lacking: named.filter((name) => !names.has(name)),
  };
}

/**
 * The shortest words for these datasets: the tops of whole trees where they are made of such, so that one
 * `zfs snapshot -r` takes them and no command line grows too long; else one by one.
 *
 * @param here all datasets of the host.
 */
export function asTrees(
  datasets: readonly string[],
  here: readonly Pick<DatasetFacts, 'dataset'>[],
): { readonly datasets: readonly string[]; readonly recursive: boolean } {
  const chosen = new Set(datasets);
  const tops = datasets.filter((dataset) => !chosen.has(parentOf(dataset)));
  const isBelow = (dataset: string) => {
    for (let above = parentOf(dataset); above !== ''; above = parentOf(above))
      if (chosen.has(above)) return true;
    return false;
  };
  const isWhole = here.every(({ dataset }) => chosen.has(dataset) || !isBelow(dataset));
  const isNested = tops.some(isBelow);
  return isWhole && !isNested && tops.length < datasets.length
    ? { datasets: tops, recursive: true }
    : { datasets, recursive: false };
}

/** Datasets by the newest snapshot that fits a pattern; those that have none are left out, and named. */
export function byNewest(
  sources: readonly Pick<SourceFacts, 'dataset' | 'points'>[],
  pattern: string,
): { readonly batches: ReadonlyMap<string, readonly string[]>; readonly without: readonly string[] } {
  const batches = new Map<string, string[]>();
  const without: string[] = [];
  for (const { dataset, points } of sources) {
    const newest = points.findLast(({ kind, name }) => kind === 'snapshot' && matches([pattern], name));
    if (!newest) without.push(dataset);
    else batches.set(newest.name, [...(batches.get(newest.name) ?? []), dataset]);
  }
  return { batches, without };
}

/** The dataset above; empty for a pool's own. */
function parentOf(dataset: string): string {
  return dataset.slice(0, Math.max(0, dataset.lastIndexOf('/')));
}
